//! Who may do what: every operation of both documents, asked by everybody, on real objects.
//!
//! An operation that is missing here fails the test, and so does a row that no document knows.

use std::collections::BTreeSet;

use crate::support::contract::{Operation, operations};
use crate::support::database::PASSWORD;
use crate::support::newsroom::{message, png};
use crate::support::{Ask, Desk, Person, Reply, Value, json, newsroom_tests};

/// Face, operation, whose object it is done to, and what nobody, a writer, an editor and an admin are answered.
///
/// `own` is the writer's, `others` another writer's, `live` a published story of an editor's, `trashed` the writer's in
/// the trash, `submitted` the writer's in review, `placed` the writer's in use.
const TABLE: &str = "
management login                own      200 200 200 200
management refresh              own      401 401 401 401
management logout               own      401 204 204 204
management getMe                own      401 200 200 200
management changePassword       own      401 200 200 200
management listSessions         own      401 200 200 200
management endOtherSessions     own      401 204 204 204
management endSession           own      401 204 204 204
management endSession           others   401 404 404 404
management requestPasswordReset own      503 503 503 503
management confirmPasswordReset own      422 422 422 422
management acceptInvitation     own      422 422 422 422
management startTotp            own      401 200 200 200
management confirmTotp          own      401 409 409 409
management disableTotp          own      401 409 409 409
management inviteEditor         own      401 403 403 409
management removeTotp           own      401 403 403 409
management listEditors          own      401 403 403 200
management createEditor         own      401 403 403 201
management getEditor            own      401 403 403 200
management updateEditor         own      401 403 403 200
management deleteEditor         own      401 403 403 204
management listApiKeys          own      401 200 200 200
management createApiKey         own      401 201 201 201
management getApiKey            own      401 200 200 200
management getApiKey            others   401 404 404 200
management revokeApiKey         own      401 204 204 204
management revokeApiKey         others   401 404 404 204
management getSiteSettings      own      401 403 403 200
management updateSiteSettings   own      401 403 403 200
management listSections         own      401 200 200 200
management createSection        own      401 403 201 201
management getSection           own      401 200 200 200
management updateSection        own      401 403 200 200
management deleteSection        own      401 403 204 204
management listTags             own      401 200 200 200
management createTag            own      401 201 201 201
management getTag               own      401 200 200 200
management updateTag            own      401 403 200 200
management deleteTag            own      401 403 204 204
management listAuthors          own      401 200 200 200
management createAuthor         own      401 403 201 201
management getAuthor            own      401 200 200 200
management updateAuthor         own      401 403 200 200
management deleteAuthor         own      401 403 204 204
management listArticles         own      401 200 200 200
management createArticle        own      401 201 201 201
management batchArticles        own      401 200 200 200
management getArticle           own      401 200 200 200
management getArticle           others   401 404 200 200
management getArticle           live     401 200 200 200
management getArticle           trashed  401 200 200 200
management updateArticle        own      401 200 200 200
management updateArticle        others   401 404 200 200
management updateArticle        live     401 403 200 200
management updateArticle        submitted 401 403 200 200
management submitArticle        own      401 200 200 200
management submitArticle        submitted 401 409 409 409
management submitArticle        others   401 404 200 200
management submitArticle        live     401 403 200 200
management rejectArticle        own      401 403 409 409
management rejectArticle        submitted 401 403 200 200
management rejectArticle        others   401 404 409 409
management rejectArticle        live     401 403 409 409
management createCorrection     own      401 403 409 409
management createCorrection     others   401 404 409 409
management createCorrection     live     401 403 201 201
management publishArticle       own      401 403 200 200
management publishArticle       others   401 404 200 200
management publishArticle       live     401 403 200 200
management unpublishArticle     own      401 403 409 409
management unpublishArticle     others   401 404 409 409
management unpublishArticle     live     401 403 200 200
management unscheduleArticle    own      401 403 409 409
management unscheduleArticle    others   401 404 409 409
management unscheduleArticle    live     401 403 409 409
management takeLease            own      401 200 200 200
management takeLease            others   401 404 200 200
management takeLease            live     401 403 200 200
management takeLease            trashed  401 409 409 409
management endLease             own      401 204 204 204
management endLease             others   401 404 204 204
management endLease             live     401 403 204 204
management createPreviewLink    own      401 403 201 201
management createPreviewLink    others   401 404 201 201
management createPreviewLink    live     401 403 201 201
management createPreviewLink    trashed  401 403 409 409
management listPreviewLinks     own      401 403 200 200
management listPreviewLinks     others   401 404 200 200
management revokePreviewLink    own      401 403 204 204
management revokePreviewLink    others   401 404 204 204
management trashArticle         own      401 200 200 200
management trashArticle         others   401 404 200 200
management trashArticle         live     401 403 200 200
management trashArticle         submitted 401 403 200 200
management restoreArticle       trashed  401 200 200 200
management restoreArticle       others   401 404 409 409
management restoreArticle       live     401 403 409 409
management eraseArticle         trashed  401 403 204 204
management eraseArticle         others   401 404 409 409
management eraseArticle         live     401 403 409 409
management listRevisions        own      401 200 200 200
management listRevisions        others   401 404 200 200
management listRevisions        live     401 403 200 200
management getRevision          own      401 200 200 200
management getRevision          others   401 404 200 200
management getRevision          live     401 403 200 200
management compareRevisions     own      401 200 200 200
management compareRevisions     others   401 404 200 200
management compareRevisions     live     401 403 200 200
management restoreRevision      own      401 200 200 200
management restoreRevision      others   401 404 200 200
management restoreRevision      live     401 403 200 200
management restoreRevision      trashed  401 403 409 409
management listCaptions         own      401 200 200 200
management createCaption        own      401 201 201 201
management createCaption        others   401 422 201 201
management createCaption        submitted 401 403 201 201
management createCaption        live     401 403 201 201
management getCaption           own      401 200 200 200
management getCaption           others   401 404 200 200
management updateCaption        own      401 200 200 200
management updateCaption        others   401 404 200 200
management deleteCaption        own      401 204 204 204
management deleteCaption        others   401 404 204 204
management listImages           own      401 200 200 200
management createImage          own      401 201 201 201
management getImage             others   401 200 200 200
management updateImage          own      401 200 200 200
management updateImage          others   401 403 200 200
management updateImage          placed   401 403 200 200
management replaceImageFile     own      401 200 200 200
management replaceImageFile     others   401 403 200 200
management replaceImageFile     placed   401 403 200 200
management getImageUpload       own      401 403 200 200
management deleteImage          own      401 204 204 204
management deleteImage          others   401 403 204 204
management deleteImage          placed   401 403 409 409
management listAudit              own      401 403 403 200
management listFeedback         own      401 403 200 200
management exportFeedback       own      401 403 200 200
management getFeedback          own      401 403 200 200
management updateFeedback       own      401 403 200 200
management replyToFeedback      own      401 403 200 200
management deleteFeedback       own      401 403 204 204
management exportPersonalData   own      401 403 403 200
management erasePersonalData    own      401 403 403 200
delivery   getPreview           own      200 200 200 200
management listWebhooks         own      401 403 403 200
management createWebhook        own      401 403 403 201
management getWebhook           own      401 403 403 200
management updateWebhook        own      401 403 403 200
management deleteWebhook        own      401 403 403 204
management rotateWebhookSecret  own      401 403 403 200
management testWebhook          own      401 403 403 200
management replayWebhook        own      401 403 403 202
management listWebhookDeliveries own     401 403 403 200
management getWebhookDelivery   own      401 403 403 200
management replayWebhookDelivery own     401 403 403 202
delivery   listArticles         live     200 200 200 200
delivery   getArticle           live     200 200 200 200
delivery   getArticle           own      404 404 404 404
delivery   listRelated          live     200 200 200 200
delivery   listRelated          own      404 404 404 404
delivery   searchArticles       live     200 200 200 200
delivery   getArticleHtml       live     200 200 200 200
delivery   getArticleHtml       own      404 404 404 404
delivery   getArticleMarkdown   live     200 200 200 200
delivery   getArticleMarkdown   own      404 404 404 404
delivery   getArticleJsonLd     live     200 200 200 200
delivery   getArticleJsonLd     own      404 404 404 404
delivery   getRssFeed           live     200 200 200 200
delivery   getAtomFeed          live     200 200 200 200
delivery   getJsonFeed          live     200 200 200 200
delivery   getSitemap           live     200 200 200 200
delivery   getSitemapPage       live     200 200 200 200
delivery   getNewsSitemap       live     200 200 200 200
delivery   shareArticle         live     503 503 503 503
delivery   shareArticle         own      404 404 404 404
delivery   showOptOut           live     404 404 404 404
delivery   optOut               live     404 404 404 404
delivery   listSections         live     200 200 200 200
delivery   getSection           live     200 200 200 200
delivery   getSection           own      404 404 404 404
delivery   listTags             live     200 200 200 200
delivery   getTag               live     200 200 200 200
delivery   getTag               own      404 404 404 404
delivery   listAuthors          live     200 200 200 200
delivery   getAuthor            live     200 200 200 200
delivery   getAuthor            own      404 404 404 404
delivery   listMostViewed       live     200 200 200 200
delivery   recordView           live     202 202 202 202
delivery   recordView           own      404 404 404 404
delivery   listChanges          live     200 200 200 200
delivery   streamChanges        live     200 200 200 200
delivery   getSite              live     200 200 200 200
delivery   sendFeedback         live     201 201 201 201
delivery   sendFeedback         own      404 404 404 404
delivery   listVisibleFeedback  live     200 200 200 200
delivery   listVisibleFeedback  own      404 404 404 404
delivery   followFeedback       live     200 200 200 200
delivery   getMedia             live     200 200 200 200
delivery   getLiveness          live     200 200 200 200
delivery   getReadiness         live     200 200 200 200
";

struct Row {
    operation: &'static Operation,
    whose: &'static str,
    expected: Vec<u16>,
}

fn face(operation: &Operation) -> &'static str {
    if operation.path.starts_with("/management/") {
        "management"
    } else {
        "delivery"
    }
}

fn table() -> Vec<Row> {
    let row = |line: &'static str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let known = |operation: &&Operation| face(operation) == words[0] && operation.id == words[1];
        Row {
            operation: operations()
                .iter()
                .find(known)
                .unwrap_or_else(|| panic!("no document has {line}")),
            whose: words[2],
            expected: words[3..]
                .iter()
                .map(|status| status.parse().expect("a status"))
                .collect(),
        }
    };
    TABLE.trim().lines().map(row).collect()
}

#[test]
fn every_operation_has_its_row() {
    let name = |operation: &Operation| format!("{} {}", face(operation), operation.id);
    let known: BTreeSet<String> = table().iter().map(|row| name(row.operation)).collect();
    let missing: Vec<String> = operations()
        .iter()
        .map(name)
        .filter(|name| !known.contains(name))
        .collect();
    assert!(missing.is_empty(), "without a row: {missing:#?}");
}

#[test]
fn only_signing_in_is_open_under_management() {
    let open = |operation: &&Operation| face(operation) == "management" && operation.about["security"] == json!([]);
    let mut open: Vec<&str> = operations()
        .iter()
        .filter(open)
        .map(|operation| operation.id.as_str())
        .collect();
    open.sort_unstable();
    let without_token = [
        "acceptInvitation",
        "confirmPasswordReset",
        "login",
        "logout",
        "refresh",
        "requestPasswordReset",
    ];
    assert_eq!(open, without_token);
}

/// The table as `docs/rights.md` has it.
fn page() -> String {
    let cell = |status: &u16| match status {
        200..=299 => "yes".to_owned(),
        other => other.to_string(),
    };
    let scope = |operation: &Operation| {
        let about = operation.about["description"].as_str().unwrap_or_default();
        match about.split_once("An API key needs the scope ") {
            Some((_, rest)) => rest.trim_end_matches('.').to_owned(),
            None if about.ends_with("Any API key may do this.") => "any key".into(),
            None if operation.about["security"] == json!([]) => "open".into(),
            None => "no key".into(),
        }
    };
    let line = |row: &Row| {
        let Row {
            operation,
            whose,
            expected,
        } = row;
        let path = operation.path.trim_start_matches("/management/v1");
        let cells: Vec<String> = expected.iter().map(cell).collect();
        let (method, cells) = (&operation.method, cells.join(" | "));
        format!("| `{method} {path}` | {whose} | {cells} | {} |\n", scope(operation))
    };
    let rows = table();
    let lines = rows.iter().filter(|row| face(row.operation) == "management").map(line);
    ABOUT.to_owned() + &lines.collect::<String>()
}

const ABOUT: &str = "# Rights

Who may do what under `/management/v1`: every operation, asked by nobody, a writer, an editor and an admin, as the test
`everybody_may_do_what_the_table_says` in `tests/api/rights.rs` asks them. The same in words is in [api.md](api.md#rights).

*Whose* is whose object it is: `own` the writer's, `others` another writer's, `live` a published story of an editor's, `trashed` the
writer's in the trash, `placed` the writer's in use. `yes` is done; 401 sign in first; 403 may not; 404 may not know of it; with any
other number the caller may ask, but the request does not fit the object's state (409, 422) or the installation (503). The last
column is the scope that an API key needs beside its owner's rights. Under `/delivery/v1` everybody may do everything.

| Operation | Whose | Nobody | Writer | Editor | Admin | API key |
|---|---|---|---|---|---|---|
";

/// `UPDATE_DOCS=1 cargo test --test api the_docs_have_this_table` writes the page.
#[test]
fn the_docs_have_this_table() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rights.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &page).expect("the page is written");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == page, "docs/rights.md differs: UPDATE_DOCS=1 writes it anew");
}

/// A picture nobody has uploaded yet.
fn new_png() -> Vec<u8> {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(100);
    png(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed), 8)
}

async fn upload(who: &Person) -> Reply {
    who.ask("POST", "/images").bytes("image/png", new_png()).await.is(201)
}

async fn article(desk: &Desk, whose: &str) -> Reply {
    let content = json!({ "title": "Bài", "source": { "name": "Báo" } });
    match whose {
        "others" => desk.as_other_writer().post("/articles", content).await.is(201),
        "live" => desk.story(content).await,
        "trashed" => {
            let draft = desk.draft("Bài").await;
            desk.action(&draft, "trash").await.is(200)
        }
        "submitted" => {
            let draft = desk.draft("Bài").await;
            desk.action(&draft, "submit").await.is(200)
        }
        _ => desk.draft("Bài").await,
    }
}

async fn preview_link(desk: &Desk, article: &Reply) -> Reply {
    let path = format!("/articles/{}/preview-links", article.id());
    desk.as_editor().post(&path, json!({})).await.is(201)
}

async fn caption(desk: &Desk, whose: &str) -> Reply {
    let article = article(desk, whose).await;
    let image = upload(&desk.as_editor()).await;
    desk.caption(&article, &image, "inline").await
}

async fn image(desk: &Desk, whose: &str) -> Reply {
    if whose == "others" {
        return upload(&desk.as_other_writer()).await;
    }
    let image = upload(&desk.as_writer()).await;
    if whose == "placed" {
        let article = article(desk, "own").await;
        desk.caption(&article, &image, "inline").await;
    }
    image
}

async fn feedback(desk: &Desk) -> Reply {
    let story = article(desk, "live").await;
    desk.message(&story, "Chào").await;
    let list = desk
        .as_editor()
        .get(&format!("/feedback?article_id={}", story.id()))
        .await;
    let path = format!("/feedback/{}", list.text("/data/0/id"));
    desk.as_editor().get(&path).await.is(200)
}

async fn account(desk: &Desk, role: &str) -> Reply {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let new = json!({ "email": format!("n{number}@example.vn"), "name": "Mới", "role": role, "password": PASSWORD });
    desk.as_admin().post("/editors", new).await.is(201)
}

/// A key of the caller's own, or another writer's.
async fn api_key(desk: &Desk, role: &str, whose: &str) -> Reply {
    let owner = match (whose, role) {
        ("others", _) => desk.as_other_writer(),
        (_, "nobody") => desk.as_writer(),
        (_, role) => staff(desk, role),
    };
    let new = json!({ "name": "Máy", "scopes": ["articles:read"] });
    owner.post("/api-keys", new).await.is(201)
}

/// A webhook to where nothing is sent.
async fn webhook(desk: &Desk) -> Reply {
    let new = json!({ "url": "http://10.0.0.1/hook" });
    desk.as_admin().post("/webhooks", new).await.is(201)
}

async fn delivery(desk: &Desk, webhook: &str) -> String {
    let test = desk.as_admin().ask("POST", &format!("/webhooks/{webhook}/test"));
    test.await.is(200).id()
}

/// A section, tag or author; a live story uses it when readers are to see it.
async fn named(desk: &Desk, kind: &str, whose: &str) -> Reply {
    let item = desk.named(kind, "Tên").await;
    if whose == "live" {
        let content = match kind {
            "sections" => json!({ "title": "Bài", "section_id": item.id() }),
            "tags" => json!({ "title": "Bài", "tag_ids": [item.id()] }),
            _ => json!({ "title": "Bài", "author_ids": [item.id()] }),
        };
        desk.story(content).await;
    }
    item
}

/// The request of a row: a fresh object in the path, and a body that is right.
async fn ask(desk: &Desk, row: &Row, role: &str) -> Ask {
    let (id, path) = (row.operation.id.as_str(), row.operation.path.as_str());
    let room = path.split('/').nth(3).unwrap_or("");
    let (mut who, mut session) = (staff(desk, role), String::new());
    if room == "auth" && role != "nobody" {
        // Some of these end sessions: a fresh account each time.
        let email = account(desk, role).await.text("/email");
        let [one, two] = [
            desk.log_in(&email, PASSWORD).await.is(200),
            desk.log_in(&email, PASSWORD).await.is(200),
        ];
        who = desk.with_token(&one.text("/access_token"));
        let newest = desk.with_token(&two.text("/access_token")).get("/auth/sessions").await;
        session = newest.text("/data/0/id");
    }
    let object = match room {
        _ if !path.contains('{') || path.starts_with("/media/") || path.starts_with("/sitemap") || room == "shares" => {
            None
        }
        "articles" => Some(article(desk, row.whose).await),
        "previews" => Some(preview_link(desk, &article(desk, row.whose).await).await),
        "captions" => Some(caption(desk, row.whose).await),
        "images" => Some(image(desk, row.whose).await),
        "feedback" => Some(feedback(desk).await),
        "editors" => Some(account(desk, "writer").await),
        "api-keys" => Some(api_key(desk, role, row.whose).await),
        "auth" => Some(desk.as_admin().get("/auth/sessions").await),
        "webhooks" => Some(webhook(desk).await),
        kind => Some(named(desk, kind, row.whose).await),
    };
    let name = match (&object, id) {
        // A link that nobody has sealed.
        (None, "showOptOut" | "optOut") => "0".repeat(96),
        (None, _) => String::new(),
        (Some(_), "endSession") if row.whose == "own" && role != "nobody" => session,
        (Some(sessions), "endSession") => sessions.text("/data/0/id"),
        (Some(message), "followFeedback") => message.text("/reference"),
        (Some(link), "getPreview") => link.text("/token"),
        (Some(object), _) => object.id(),
    };
    let path = match path.split_once("/{") {
        _ if id == "getMedia" => {
            let url = upload(&desk.as_editor()).await.text("/url");
            url.trim_start_matches(&desk.address()).to_owned()
        }
        _ if id == "getSitemapPage" => {
            let story = article(desk, "live").await;
            let story = desk.read(&story).await;
            format!("/sitemap-{}.xml", &story.text("/published_at")[..7])
        }
        Some((start, end)) => {
            let path = format!("{start}/{name}{}", end.split_once('}').map_or("", |(_, rest)| rest));
            // Everything has a first revision.
            ["{number}", "{a}", "{b}"]
                .iter()
                .fold(path, |path, number| path.replace(number, "1"))
        }
        None if id == "searchArticles" => format!("{path}?q=tin"),
        None => path.to_owned(),
    };
    let path = match (&object, id) {
        (Some(article), "revokePreviewLink") => path.replace("{link_id}", &preview_link(desk, article).await.id()),
        _ if path.contains("{delivery_id}") => path.replace("{delivery_id}", &delivery(desk, &name).await),
        _ => path,
    };
    let mut ask = who.ask(&row.operation.method, &path);
    let parameters = row.operation.about["parameters"].to_string();
    if let Some(version) = object
        .as_ref()
        .and_then(|object| object["version"].as_i64())
        .filter(|_| parameters.contains("If-Match"))
    {
        ask = ask.version(version);
    }
    match body(desk, row).await {
        Some(body) => ask.json(&body),
        None if id == "createImage" || id == "replaceImageFile" => ask.bytes("image/png", new_png()),
        None => ask,
    }
}

async fn body(desk: &Desk, row: &Row) -> Option<Value> {
    Some(match row.operation.id.as_str() {
        "login" => json!({ "email": account(desk, "writer").await.text("/email"), "password": PASSWORD }),
        "refresh" => json!({ "refresh_token": "ndr_unknown" }),
        "requestPasswordReset" => json!({ "email": "writer@example.vn" }),
        "confirmPasswordReset" | "acceptInvitation" => {
            json!({ "token": "ndo_x", "password": "bai tho Duong doi thu hai" })
        }
        "startTotp" => json!({ "password": PASSWORD }),
        "confirmTotp" => json!({ "code": "123456" }),
        "disableTotp" => json!({ "password": PASSWORD, "code": "123456" }),
        "changePassword" => json!({ "current_password": PASSWORD, "new_password": "bai tho Duong doi thu hai" }),
        "createEditor" => json!({ "email": "moi@example.vn", "name": "Mới", "role": "writer", "password": PASSWORD }),
        "createApiKey" => json!({ "name": "Máy", "scopes": ["articles:read"] }),
        "createArticle" => json!({ "title": "Bài" }),
        "createSection" | "createTag" | "createAuthor" => json!({ "name": "Tên" }),
        "createCaption" => json!({
            "article_id": article(desk, row.whose).await.id(), "image_id": upload(&desk.as_editor()).await.id(), "role": "inline"
        }),
        "batchArticles" => json!({ "operations": [{ "method": "POST", "body": { "title": "Bài" } }] }),
        "createCorrection" => json!({ "text": "Đúng là 25,4 m." }),
        "rejectArticle" => json!({ "note": "Thiếu nguồn" }),
        "updateArticle" => json!({ "lead": "Mới" }),
        "updateCaption" => json!({ "text": "Mới" }),
        "updateImage" => json!({ "alt": "Mới" }),
        "updateEditor" | "updateSection" | "updateTag" | "updateAuthor" | "updateSiteSettings" => {
            json!({ "name": "Tên khác" })
        }
        "updateFeedback" => json!({ "status": "in_progress" }),
        "replyToFeedback" => json!({ "message": "Cảm ơn." }),
        "exportPersonalData" | "erasePersonalData" => json!({ "email": "an@example.vn" }),
        "createWebhook" => json!({ "url": "http://10.0.0.1/hook" }),
        "updateWebhook" => json!({ "name": "Tên khác" }),
        "replayWebhook" => json!({ "since": "2026-01-01T00:00:00Z" }),
        "sendFeedback" => message("Chào"),
        "shareArticle" => {
            json!({ "sender": { "name": "An", "email": "an@example.vn" }, "recipients": ["b@example.vn"] })
        }
        _ => return None,
    })
}

fn staff(desk: &Desk, role: &str) -> Person {
    match role {
        "writer" => desk.as_writer(),
        "editor" => desk.as_editor(),
        "admin" => desk.as_admin(),
        _ => desk.as_nobody(),
    }
}

newsroom_tests! {
    async fn everybody_may_do_what_the_table_says(desk, RATE_LIMITS = "off", KEEP_UPLOADS = "on") {
        let mut wrong = Vec::new();
        for row in table() {
            for (role, expected) in ["nobody", "writer", "editor", "admin"].into_iter().zip(&row.expected) {
                let reply = ask(&desk, &row, role).await.await;
                if reply.status != *expected {
                    wrong.push(format!("{} of {} by {role}: {} and not {expected}: {}", row.operation.id, row.whose, reply.status, reply.body()));
                }
                if role == "admin" && row.operation.id == "createEditor" {
                    desk.as_admin().delete(&format!("/editors/{}", reply.id()), 1).await.is(204);
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    async fn a_writer_cannot_give_away_or_take_what_is_not_theirs(desk) {
        let other = desk.as_other_writer().get("/auth/me").await.id();
        let writer = desk.as_writer();
        let for_another = json!({ "title": "Bài", "owner_id": other });
        writer.post("/articles", for_another.clone()).await.refuses(403, "forbidden");
        let own = desk.draft("Bài").await;
        let path = format!("/articles/{}", own.id());
        writer.patch(&path, json!({ "owner_id": other }), 1).await.refuses(403, "forbidden");
        let given = desk.as_editor().patch(&path, json!({ "owner_id": other }), 1).await.is(200);
        assert_eq!(given["owner_id"], other);
        writer.get(&path).await.refuses(404, "not_found");
        desk.as_other_writer().patch(&path, json!({ "lead": "Của tôi" }), given.version()).await.is(200);
        let hidden = desk.as_other_writer().post("/articles", json!({ "title": "Kín", "language": "en" })).await.is(201);
        let translation = json!({ "title": "X", "translation_of": hidden.id() });
        writer.post("/articles", translation).await.points_at("/translation_of");
    }
}
