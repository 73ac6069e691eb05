//! Access tokens: JWT (RFC 7519) of type `at+jwt` (RFC 9068), one algorithm, every claim needed and checked.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::error::{Code, Problem, Result};
use crate::types::{Id, Time};

/// How long an access token is good, in seconds.
pub const ACCESS_SECONDS: i64 = 15 * 60;
/// How far two clocks may differ, in seconds.
const LEEWAY: i64 = 30;
const ISSUER: &str = "newsdesk";
const AUDIENCE: &str = "newsdesk-management";
const TYPE: &str = "at+jwt";

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: String,
    /// The editor.
    pub sub: Id,
    /// The session.
    pub sid: Id,
    /// The account's epoch: raised when its password changes or it is disabled. (The role is looked up every time.)
    pub epoch: i64,
    /// Issued at, in seconds since 1970.
    pub iat: i64,
    /// Not good before.
    pub nbf: i64,
    /// Expires at.
    pub exp: i64,
    /// The token's own id.
    pub jti: Id,
}

/// The keys that sign and verify.
pub struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    secret: Vec<u8>,
}

impl Keys {
    /// From `JWT_SECRET`.
    pub fn new(secret: &[u8]) -> Self {
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            secret: secret.to_vec(),
        }
    }

    /// The secret, for values that are derived from it.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// Makes an access token.
    pub fn issue(&self, editor: &Id, session: &Id, epoch: i64, now: Time) -> Result<String> {
        let iat = now.ms() / 1000;
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: editor.clone(),
            sid: session.clone(),
            epoch,
            iat,
            nbf: iat,
            exp: iat + ACCESS_SECONDS,
            jti: Id::new(),
        };
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.into());
        jsonwebtoken::encode(&header, &claims, &self.encoding).map_err(Problem::internal)
    }

    /// Checks a token's algorithm, type, signature and every claim.
    pub fn verify(&self, token: &str, now: Time) -> Result<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY as u64;
        let data =
            jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation).map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => {
                    super::unauthenticated(Code::TokenExpired, "The access token has expired: refresh it.")
                }
                _ => refused().because(error),
            })?;
        let claims = data.claims;
        let now = now.ms() / 1000;
        let in_time = claims.iat <= now + LEEWAY && claims.exp - claims.iat == ACCESS_SECONDS;
        if data.header.typ.as_deref() != Some(TYPE) || !in_time {
            return Err(refused());
        }
        Ok(claims)
    }
}

fn refused() -> Problem {
    super::unauthenticated(Code::Unauthenticated, "The access token is not valid: sign in again.")
        .header("Cache-Control", "no-store")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a-test-secret-of-more-than-32-bytes!";

    #[test]
    fn a_token_is_good_for_its_time_and_its_key_only() {
        let keys = Keys::new(SECRET);
        let now = Time::now();
        let (editor, session) = (Id::new(), Id::new());
        let token = keys.issue(&editor, &session, 3, now).expect("a token");
        assert_eq!(keys.verify(&token, now).expect("valid").sub, editor);
        assert!(
            Keys::new(b"another-secret-of-more-than-32-byte")
                .verify(&token, now)
                .is_err()
        );
        let old = keys
            .issue(&editor, &session, 3, now.plus_seconds(-ACCESS_SECONDS - LEEWAY - 2))
            .expect("a token");
        assert_eq!(keys.verify(&old, now).expect_err("expired").code(), Code::TokenExpired);
        let early = keys
            .issue(&editor, &session, 3, now.plus_seconds(3600))
            .expect("a token");
        assert_eq!(
            keys.verify(&early, now).expect_err("not yet").code(),
            Code::Unauthenticated
        );
    }

    #[test]
    fn other_algorithms_types_and_claims_are_refused() {
        let keys = Keys::new(SECRET);
        let now = Time::now();
        let good = keys.issue(&Id::new(), &Id::new(), 0, now).expect("a token");
        let claims = keys.verify(&good, now).expect("valid");
        let sign = |header: &Header, claims: &serde_json::Value| {
            jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(SECRET)).expect("encodes")
        };
        let typed = |algorithm| {
            let mut header = Header::new(algorithm);
            header.typ = Some(TYPE.into());
            header
        };
        let value = serde_json::to_value(&claims).expect("json");
        assert!(keys.verify(&sign(&typed(Algorithm::HS256), &value), now).is_ok());
        assert!(keys.verify(&sign(&typed(Algorithm::HS512), &value), now).is_err());
        assert!(
            keys.verify(&sign(&Header::new(Algorithm::HS256), &value), now).is_err(),
            "typ JWT"
        );
        for claim in ["iss", "aud", "sub", "sid", "epoch", "iat", "nbf", "exp", "jti"] {
            let mut without = value.clone();
            without.as_object_mut().expect("object").remove(claim);
            assert!(
                keys.verify(&sign(&typed(Algorithm::HS256), &without), now).is_err(),
                "without {claim}"
            );
        }
        let unsigned = {
            use base64::Engine;
            let b64 = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
            format!(
                "{}.{}.",
                b64(r#"{"typ":"at+jwt","alg":"none"}"#),
                b64(&value.to_string())
            )
        };
        assert!(keys.verify(&unsigned, now).is_err());
    }
}
