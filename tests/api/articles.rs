//! The life of an article.

use crate::support::{json, newsroom_tests};

newsroom_tests! {
    async fn a_draft_is_unknown_to_readers(desk) {
        let draft = desk.as_writer().post("/articles", json!({ "title": "Lũ rút trên sông Cầu" })).await.is(201);
        desk.as_reader().get(&format!("/articles/{}", draft.id())).await.refuses(404, "not_found");
    }
}
