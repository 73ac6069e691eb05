//! A clock for due times that a step of the database's clock cannot hurry.
//!
//! The database's clock is compared with one that only counts on. While both run alike, the database's is believed. When
//! it jumps ahead (somebody sets it, a host with a wrong clock takes over), the time before the jump goes on counting
//! until the new time has stood for ten minutes: nothing is published early because of a clock that is put right again.
//! When it jumps back, the earlier time counts at once.

use crate::types::Time;

/// How far the clocks may run apart between two looks, in milliseconds.
const TOLERANCE: i64 = 2_000;
/// How long a new time has to stand before it is believed, in milliseconds.
const HOLD: i64 = 10 * 60 * 1000;

/// Milliseconds since some moment before, also while the machine sleeps; nobody sets this clock.
pub fn ticks() -> i64 {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// What is known about a clock.
#[derive(Debug, Clone, Copy)]
pub struct Steady {
    /// How far the believed time is ahead of the ticks.
    believed: i64,
    /// Another time that the clock shows, and since which tick.
    claimed: Option<(i64, i64)>,
}

impl Steady {
    /// Believes the clock as it is now.
    pub fn new(clock: Time, ticks: i64) -> Self {
        Self {
            believed: clock.ms() - ticks,
            claimed: None,
        }
    }

    /// The time to go by: never later than the clock, and not ahead of the ticks.
    pub fn now(&mut self, clock: Time, ticks: i64) -> Time {
        let shown = clock.ms() - ticks;
        let like = |other: i64| (shown - other).abs() <= TOLERANCE;
        if like(self.believed) {
            self.believed = shown;
            self.claimed = None;
            return clock;
        }
        match self.claimed {
            Some((claimed, since)) if like(claimed) => {
                self.claimed = Some((shown, since));
                if ticks - since >= HOLD {
                    tracing::warn!(%clock, "the clock's new time has stood for ten minutes and is believed");
                    *self = Self::new(clock, ticks);
                }
            }
            _ => {
                let seconds = (shown - self.believed) / 1000;
                tracing::warn!(seconds, %clock, "the clock has jumped: the time before goes on counting for schedules");
                self.claimed = Some((shown, ticks));
            }
        }
        Time::from_ms(ticks + self.believed.min(shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const YEAR: i64 = 365 * 24 * HOUR;
    const START: i64 = 1_795_000_000_000;

    /// A clock that is this much off at each second after the start, and the steady time there.
    fn follow(off: impl Fn(i64) -> i64, seconds: i64) -> Vec<i64> {
        let mut steady = Steady::new(Time::from_ms(START), 0);
        (1..=seconds)
            .map(|second| {
                let ticks = second * 1000;
                steady.now(Time::from_ms(START + ticks + off(ticks)), ticks).ms() - START - ticks
            })
            .collect()
    }

    #[test]
    fn a_clock_that_runs_a_little_wrong_is_followed() {
        assert!(
            follow(|ticks| ticks / 1000, 100)
                .iter()
                .enumerate()
                .all(|(n, off)| *off == n as i64 + 1)
        );
    }

    #[test]
    fn a_step_ahead_that_is_taken_back_hurries_nothing() {
        for step in [3_000, HOUR, YEAR, 12 * YEAR] {
            let off = |ticks: i64| if (10_000..400_000).contains(&ticks) { step } else { 0 };
            assert!(follow(off, 1000).iter().all(|off| *off == 0), "{step}");
        }
    }

    #[test]
    fn a_step_ahead_that_stands_is_believed_in_the_end() {
        let steady = follow(|ticks| if ticks >= 10_000 { HOUR } else { 0 }, 700);
        assert!(steady[..608].iter().all(|off| *off == 0));
        assert!(steady[612..].iter().all(|off| *off == HOUR));
    }

    #[test]
    fn a_step_back_counts_at_once_and_the_way_home_is_known() {
        let off = |ticks: i64| if (10_000..60_000).contains(&ticks) { -HOUR } else { 0 };
        let steady = follow(off, 100);
        assert!(steady[10..58].iter().all(|off| *off == -HOUR));
        assert!(steady[60..].iter().all(|off| *off == 0));
    }

    #[test]
    fn steps_one_after_another_are_each_waited_out() {
        let off = |ticks: i64| ticks / 60_000 * HOUR;
        assert!(follow(off, 1200).iter().all(|off| *off == 0));
    }

    #[test]
    fn the_ticks_go_on() {
        let one = ticks();
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!((15..10_000).contains(&(ticks() - one)));
    }
}
