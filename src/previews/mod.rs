//! Preview links: one revision in the shape that readers get, for whoever has the link.
//!
//! A token is the link's id and end, signed with a key derived from `JWT_SECRET`; the table keeps its hash. So neither the
//! database nor the secret alone is enough to make or to find one.

pub mod delivery;
pub mod management;
pub mod store;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::Config;
use crate::error::{Problem, Result};
use crate::types::{Id, Time};

/// How long a link holds when nothing is said, in seconds: a week.
pub const DEFAULT_SECONDS: i64 = 7 * 24 * 3600;
/// The longest that a link may hold, in seconds: 30 days.
pub const MAX_SECONDS: i64 = 30 * 24 * 3600;
/// How long a link is listed after its end, in seconds: 30 days.
pub const LISTED_SECONDS: i64 = 30 * 24 * 3600;

/// Tells our tokens from others'.
const PREFIX: &str = "ndp_";
/// Bytes of a token before its signature: the link's id and its end.
const SIGNED: usize = 24;

fn seal(secret: &[u8], signed: &[u8]) -> Result<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(Problem::internal)?;
    mac.update(b"newsdesk preview link\0");
    mac.update(signed);
    Ok(mac)
}

/// The token of a link.
pub fn token(secret: &[u8], id: &Id, expires: Time) -> Result<String> {
    let id = uuid::Uuid::try_parse(id.as_str()).map_err(Problem::internal)?;
    let mut bytes = id.as_bytes().to_vec();
    bytes.extend(expires.ms().to_be_bytes());
    let signature = seal(secret, &bytes)?.finalize().into_bytes();
    bytes.extend(signature);
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Whether a token is one that we made; compared in constant time.
pub fn is_ours(secret: &[u8], token: &str) -> Result<bool> {
    let bytes = token
        .strip_prefix(PREFIX)
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .unwrap_or_default();
    let Some((signed, signature)) = bytes.split_at_checked(SIGNED) else {
        return Ok(false);
    };
    Ok(seal(secret, signed)?.verify_slice(signature).is_ok())
}

/// The address where the front end shows a preview.
pub fn front_end_url(config: &Config, token: &str, article: &Id, language: &str) -> String {
    config
        .preview_url
        .replace("{site}", &config.site_url)
        .replace("{id}", article.as_str())
        .replace("{language}", language)
        .replace("{token}", token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of the tests, long enough";

    #[test]
    fn a_token_is_good_as_it_was_made_and_not_otherwise() {
        let (id, end) = (Id::new(), Time::from_ms(1_795_000_000_000));
        let good = token(SECRET, &id, end).expect("a token");
        assert_eq!(
            token(SECRET, &id, end).expect("a token"),
            good,
            "made again it is the same"
        );
        assert!(is_ours(SECRET, &good).expect("a judgement"));
        assert!(!is_ours(b"another secret", &good).expect("a judgement"));
        for at in PREFIX.len()..good.len() - 1 {
            let mut bad = good.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).expect("ASCII");
            assert!(!is_ours(SECRET, &bad).expect("a judgement"), "{at}");
        }
        for bad in ["", "ndp_", "ndp_AAAA", &good[4..], &good[..good.len() - 4], "ndp_đ"] {
            assert!(!is_ours(SECRET, bad).expect("a judgement"), "{bad}");
        }
    }

    #[test]
    fn another_end_is_another_token() {
        let id = Id::new();
        let [one, two] = [1, 2].map(|ms| token(SECRET, &id, Time::from_ms(ms)).expect("a token"));
        assert_ne!(one, two);
    }
}
