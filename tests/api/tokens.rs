//! Access tokens that are not ours, or not any more.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use crate::support::database::PASSWORD;
use crate::support::desk::JWT_SECRET;
use crate::support::{Desk, Value, json, newsroom_tests};

/// The claims of a good token, to be spoilt.
async fn claims(desk: &Desk) -> Value {
    let token = desk
        .log_in("admin@example.vn", PASSWORD)
        .await
        .is(200)
        .text("/access_token");
    let part = token.split('.').nth(1).expect("claims");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

fn signed(claims: &Value, algorithm: Algorithm, kind: &str, secret: &str) -> String {
    let mut header = Header::new(algorithm);
    header.typ = Some(kind.into());
    encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token")
}

fn ours(claims: &Value) -> String {
    signed(claims, Algorithm::HS256, "at+jwt", JWT_SECRET)
}

newsroom_tests! {
    async fn a_token_is_ours_or_refused(desk) {
        let good = claims(&desk).await;
        desk.with_token(&ours(&good)).get("/auth/me").await.is(200);
        let b64 = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let unsigned = format!("{}.{}.", b64(&json!({ "typ": "at+jwt", "alg": "none" })), b64(&good));
        let mut foreign = vec![
            unsigned,
            signed(&good, Algorithm::HS512, "at+jwt", JWT_SECRET),
            signed(&good, Algorithm::HS256, "at+jwt", "another-secret-of-more-than-32-bytes-here"),
            signed(&good, Algorithm::HS256, "JWT", JWT_SECRET),
            "x".into(),
            "a.b.c".into(),
        ];
        for (claim, value) in [
            ("iss", json!("other")), ("aud", json!("newsdesk-delivery")), ("sub", json!("01890a5d-ac96-774b-bcce-b302099a8057")),
            ("sid", json!("01890a5d-ac96-774b-bcce-b302099a8057")), ("epoch", json!(99)), ("role", json!("admin")),
            ("exp", json!(9_999_999_999_i64)), ("nbf", json!(9_999_999_999_i64)),
        ] {
            let mut spoilt = good.clone();
            spoilt[claim] = value;
            foreign.push(ours(&spoilt));
        }
        for claim in ["iss", "aud", "sub", "sid", "epoch", "iat", "nbf", "exp", "jti"] {
            let mut spoilt = good.clone();
            spoilt.as_object_mut().expect("claims").remove(claim);
            foreign.push(ours(&spoilt));
        }
        for token in foreign {
            let refused = desk.with_token(&token).get("/auth/me").await.refuses(401, "unauthenticated");
            assert!(refused.header("www-authenticate").starts_with("Bearer"), "{token}");
        }
    }

    async fn an_expired_token_says_so(desk) {
        let mut old = claims(&desk).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        for (claim, ago) in [("iat", 1000), ("nbf", 1000), ("exp", 100)] {
            old[claim] = json!(now - ago);
        }
        desk.with_token(&ours(&old)).get("/auth/me").await.refuses(401, "token_expired");
    }

    async fn a_token_goes_in_one_header_of_one_form(desk) {
        let token = ours(&claims(&desk).await);
        let ask = || desk.as_nobody().get("/auth/me");
        ask().header("Authorization", &format!("bearer {token}")).await.is(200);
        for value in [token.clone(), format!("Basic {token}"), "Bearer".into(), "Bearer ".into(), format!("Bearer {token} x")] {
            ask().header("Authorization", &value).await.refuses(401, "unauthenticated");
        }
        let twice = ask().header("Authorization", &format!("Bearer {token}")).header("Authorization", &format!("Bearer {token}"));
        twice.await.refuses(401, "unauthenticated");
        desk.as_nobody().get(&format!("/auth/me?access_token={token}")).await.refuses(401, "unauthenticated");
    }
}
