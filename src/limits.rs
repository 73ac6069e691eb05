//! Rate limits: how much one caller may ask in which time. Answers that shared caches keep carry no trace of them.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::{HttpMessage, HttpRequest};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::{Code, Problem, Result};
use crate::request::{Counted, client_address, is_forwarded};
use crate::types::Id;

/// One limit: so many at once, refilled over so much time.
struct Limit<K: Hash + Eq + Clone> {
    name: &'static str,
    burst: u32,
    seconds: u64,
    limiter: DefaultKeyedRateLimiter<K>,
}

impl<K: Hash + Eq + Clone> Limit<K> {
    /// `burst` requests at once, all of them again after `seconds`.
    fn new(name: &'static str, burst: u32, seconds: u64) -> Self {
        let burst_size = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let period = Duration::from_secs(seconds) / burst_size.get();
        let quota = Quota::with_period(period)
            .unwrap_or(Quota::per_second(burst_size))
            .allow_burst(burst_size);
        Self {
            name,
            burst,
            seconds,
            limiter: RateLimiter::keyed(quota),
        }
    }

    fn check(&self, key: &K) -> Result<()> {
        self.limiter.check_key(key).map(|_| ()).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
            Problem::new(Code::RateLimited, format!("Too many requests: try again in {wait} s."))
                .header("Retry-After", wait.to_string())
                .header(
                    "RateLimit-Policy",
                    format!("\"{}\";q={};w={}", self.name, self.burst, self.seconds),
                )
                .header("RateLimit", format!("\"{}\";r=0;t={wait}", self.name))
        })
    }

    fn sweep(&self) {
        self.limiter.retain_recent();
    }
}

/// An address, or the /64 network that an IPv6 customer has to themselves.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => {
            let mut segments = v6.segments();
            segments[4..].fill(0);
            IpAddr::from(segments)
        }
    }
}

/// All limits of this process.
pub struct Limits {
    on: bool,
    management: Limit<Id>,
    delivery: Limit<IpAddr>,
    login_address: Limit<IpAddr>,
    login_account: Limit<String>,
    reset_account: Limit<String>,
    second_factor: Limit<Id>,
    feedback: Limit<IpAddr>,
    feedback_day: Limit<IpAddr>,
    share: Limit<IpAddr>,
}

impl Limits {
    /// The published limits, or none.
    pub fn new(on: bool) -> Self {
        Self {
            on,
            management: Limit::new("editor", 600, 10),
            delivery: Limit::new("reads", 300, 10),
            login_address: Limit::new("login-address", 30, 60),
            // Ten at once, then one a minute.
            login_account: Limit::new("login-account", 10, 600),
            reset_account: Limit::new("password-resets", 5, 3600),
            // A code is one of a million, and three are good at a time.
            second_factor: Limit::new("second-factor", 10, 3600),
            feedback: Limit::new("feedback", 5, 600),
            feedback_day: Limit::new("feedback-day", 30, 86_400),
            share: Limit::new("shares", 5, 3600),
        }
    }

    /// A management request of an editor or an API key.
    pub fn management(&self, caller: &Id) -> Result<()> {
        if self.on { self.management.check(caller) } else { Ok(()) }
    }

    /// A reader's request that needs the database.
    pub fn delivery(&self, ip: IpAddr) -> Result<()> {
        if self.on {
            self.delivery.check(&network(ip))
        } else {
            Ok(())
        }
    }

    /// The same, but for a front end that fetches for readers.
    pub fn reads(&self, req: &HttpRequest) -> Result<()> {
        if is_forwarded(req) || req.extensions().get::<Counted>().is_some() {
            Ok(())
        } else {
            self.delivery(client_address(req))
        }
    }

    /// Whether a request counts: the limits are on, and it is no front end's that fetches for readers.
    pub fn is_counted(&self, req: &HttpRequest) -> bool {
        self.on && !is_forwarded(req)
    }

    /// A login attempt, also for accounts that do not exist. It holds with `RATE_LIMITS=off` too: a gateway cannot
    /// see which account is tried.
    pub fn login(&self, ip: IpAddr, email_key: &str) -> Result<()> {
        if self.on {
            self.login_address.check(&network(ip))?;
        }
        self.login_account.check(&email_key.to_owned())
    }

    /// A wish for a new password, also for accounts that do not exist. It holds with `RATE_LIMITS=off` too, like the one
    /// of logins: nobody's mailbox shall be filled.
    pub fn reset(&self, ip: IpAddr, email_key: &str) -> Result<()> {
        if self.on {
            self.login_address.check(&network(ip))?;
        }
        self.reset_account.check(&email_key.to_owned())
    }

    /// A code of a second factor, after the right password. It always holds: whoever has the password must not guess on.
    pub fn second_factor(&self, editor: &Id) -> Result<()> {
        self.second_factor.check(editor)
    }

    /// A message from a reader.
    pub fn feedback(&self, ip: IpAddr) -> Result<()> {
        if self.on {
            self.feedback.check(&network(ip))?;
            self.feedback_day.check(&network(ip))?;
        }
        Ok(())
    }

    /// A story sent to friends.
    pub fn share(&self, ip: IpAddr) -> Result<()> {
        if self.on {
            self.share.check(&network(ip))
        } else {
            Ok(())
        }
    }

    /// Forgets callers that have been quiet.
    pub fn sweep(&self) {
        self.management.sweep();
        self.delivery.sweep();
        self.login_address.sweep();
        self.login_account.sweep();
        self.reset_account.sweep();
        self.second_factor.sweep();
        self.feedback.sweep();
        self.feedback_day.sweep();
        self.share.sweep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of twenty go through.
    fn taken(ask: impl Fn() -> Result<()>) -> usize {
        (0..20).filter(|_| ask().is_ok()).count()
    }

    #[test]
    fn what_guards_accounts_holds_without_the_other_limits() {
        let limits = Limits::new(false);
        let (editor, other) = (Id::new(), Id::new());
        let ip = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(taken(|| limits.second_factor(&editor)), 10);
        assert!(limits.second_factor(&other).is_ok());
        assert_eq!(taken(|| limits.reset(ip, "an@example.vn")), 5);
        assert!(limits.reset(ip, "binh@example.vn").is_ok());
        assert_eq!(taken(|| limits.login(ip, "an@example.vn")), 10);
        assert_eq!(taken(|| limits.delivery(ip)), 20);
    }
}
