//! Secrets and signatures as the Standard Webhooks specification says: HMAC-SHA256 over `{id}.{timestamp}.{body}`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use sha2::Sha256;

/// How a secret begins, so that it is known for one wherever it turns up.
const PREFIX: &str = "whsec_";
/// Random bytes of a secret; the specification takes 24 to 64.
const LENGTH: usize = 32;

/// A secret as it is shown once: `whsec_` and base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one.
    pub fn new() -> Self {
        let mut bytes = [0u8; LENGTH];
        rand::rng().fill_bytes(&mut bytes);
        Self(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// One that was kept.
    pub fn kept(text: String) -> Self {
        Self(text)
    }

    /// The text, for whoever keeps it or shows it the one time.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The signature of one message at one try, with its version.
    fn sign(&self, id: &str, timestamp: i64, body: &str) -> Option<String> {
        let key = STANDARD.decode(self.0.strip_prefix(PREFIX)?).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The header `webhook-signature`: one signature for each secret that holds, joined by spaces.
pub fn signatures(secrets: &[Secret], id: &str, timestamp: i64, body: &str) -> String {
    let each = secrets.iter().filter_map(|secret| secret.sign(id, timestamp, body));
    each.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_signature_is_what_other_programs_make_of_it() {
        // Made with Python's hmac module.
        let secret = Secret::kept("whsec_bmV3c2Rlc2stdGVzdC1zZWNyZXQtMTIzNDU2".into());
        let body = r#"{"type":"article.published","data":{"seq":1}}"#;
        assert_eq!(
            signatures(&[secret], "evt_ab12_1", 1_764_000_000, body),
            "v1,rCUA7a0TWb5uuvB585mgF1tajNsJlH1/tKbCxRlGp1k="
        );
    }

    #[test]
    fn secrets_are_long_enough_differ_and_are_not_printed() {
        let (one, two) = (Secret::new(), Secret::new());
        assert_ne!(one, two);
        let bytes = STANDARD
            .decode(one.expose().trim_start_matches("whsec_"))
            .expect("base64");
        assert_eq!(bytes.len(), 32);
        assert_eq!(format!("{one:?}"), "(secret)");
    }

    proptest! {
        #[test]
        fn each_secret_signs_by_itself_and_everything_is_signed(body in ".{0,40}", id in "[a-z0-9_]{1,20}", time in 0i64..1 << 40) {
            let (new, old) = (Secret::new(), Secret::new());
            let both = signatures(&[new.clone(), old.clone()], &id, time, &body);
            let alone = |secret: &Secret| signatures(std::slice::from_ref(secret), &id, time, &body);
            prop_assert_eq!(&both, &format!("{} {}", alone(&new), alone(&old)));
            prop_assert!(both.split(' ').all(|one| one.starts_with("v1,") && one.len() == 47));
            let others = [
                signatures(std::slice::from_ref(&new), &format!("{id}x"), time, &body),
                signatures(std::slice::from_ref(&new), &id, time + 1, &body),
                signatures(std::slice::from_ref(&new), &id, time, &format!("{body} ")),
            ];
            prop_assert!(others.iter().all(|other| *other != alone(&new)));
        }
    }
}
