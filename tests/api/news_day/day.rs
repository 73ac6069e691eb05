//! What happens on a news day, step by step, and what has to be told of each step.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::schedules::ahead;
use crate::support::client::Unanswered;
use crate::support::newsroom::jpeg;
use crate::support::{Ask, Desk, Person, Reply, Value, json};

/// The people, as the trail names them.
const WRITER: &str = "Lê Phóng Viên";
const EDITOR: &str = "Trần Biên Tập";
const ADMIN: &str = "Nguyễn Quản Trị";
const MACHINE: &str = "Máy dịch";
const SCHEDULE: &str = "schedule";

/// One step, and what everybody has to tell of it, in order.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it is.
    pub name: &'static str,
    /// Lines of the audit trail: who, what, to which.
    pub lines: Vec<[String; 3]>,
    /// Revisions: of which article, who, what.
    pub revisions: Vec<[String; 3]>,
    /// Changes, and with them events: what, to which story.
    pub changes: Vec<[String; 2]>,
    /// Mails: to whom, about what.
    pub mails: Vec<[String; 2]>,
    /// False for a step whose answer never came and that was not tried again: all of it is told, or nothing.
    pub certain: bool,
}

impl Step {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            lines: Vec::new(),
            revisions: Vec::new(),
            changes: Vec::new(),
            mails: Vec::new(),
            certain: true,
        }
    }

    fn line(mut self, who: &str, action: &str, target: &str) -> Self {
        self.lines.push([who, action, target].map(str::to_owned));
        self
    }

    /// A write of an article: its revision and its line.
    fn write(mut self, who: &str, action: &str, article: &str) -> Self {
        // What the schedule does, it does in the name of who planned it.
        let by = if who == SCHEDULE { ADMIN } else { who };
        self.revisions.push([article, by, action].map(str::to_owned));
        self.line(who, &format!("article.{action}"), article)
    }

    fn change(mut self, kind: &str, article: &str) -> Self {
        self.changes.push([format!("article.{kind}"), article.to_owned()]);
        self
    }

    fn mail(mut self, to: &str, subject: String) -> Self {
        self.mails.push([to.to_owned(), format!("[Tin] {subject}")]);
        self
    }
}

/// A day that is being played. Every request is sent until it is answered: a `POST` with its key, anything else with the
/// version it means.
pub struct Day {
    desk: Desk,
    machine: Person,
    number: u32,
    keys: usize,
    /// What has happened.
    pub steps: Vec<Step>,
    /// Answers, of all days that count together.
    answers: Rc<Cell<usize>>,
    /// Requests that were not answered.
    pub unanswered: usize,
    /// Requests that had been done before they were asked again.
    pub replayed: usize,
}

impl Day {
    /// A day that has not begun; its number makes its stories others than those of other days.
    pub fn new(desk: &Desk, machine: &str, number: u32) -> Self {
        Self {
            desk: desk.clone(),
            machine: desk.with_token(machine),
            number,
            keys: 0,
            steps: Vec::new(),
            answers: Rc::default(),
            unanswered: 0,
            replayed: 0,
        }
    }

    /// Counts its answers with those of others.
    pub fn counted(mut self, answers: &Rc<Cell<usize>>) -> Self {
        self.answers = Rc::clone(answers);
        self
    }

    /// What the history of each article has to tell: who, what.
    pub fn histories(&self) -> BTreeMap<String, Vec<[String; 2]>> {
        let mut all: BTreeMap<String, Vec<[String; 2]>> = BTreeMap::new();
        for [article, who, action] in self.steps.iter().flat_map(|step| step.revisions.clone()) {
            all.entry(article).or_default().push([who, action]);
        }
        all
    }

    /// Asks until there is an answer.
    async fn insist(&mut self, ask: Ask) -> Reply {
        let mut again = false;
        loop {
            match ask.clone().attempt().await {
                // The one before is still being done, or the database is not ready for us.
                Ok(reply) if reply.json["code"] == "idempotency_in_progress" || reply.status == 503 => {}
                Ok(mut reply) => {
                    self.replayed += usize::from(reply.header("idempotency-replayed") == "true");
                    reply.again = again;
                    self.answers.set(self.answers.get() + 1);
                    return reply;
                }
                Err(Unanswered::NotSent) => {}
                Err(Unanswered::Sent(_)) => {
                    self.unanswered += 1;
                    again = true;
                }
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// A `POST` with a key of its own: however often it is sent, it is done once.
    async fn post(&mut self, ask: Ask) -> Reply {
        self.keys += 1;
        let key = format!("{}-{}", self.number, self.keys);
        self.insist(ask.header("Idempotency-Key", &key)).await
    }

    /// A merge patch of an article. When nobody answered at first, a 412 afterwards tells that it was done.
    async fn patch(&mut self, who: &Person, article: &Reply, change: Value) -> Reply {
        let path = format!("/articles/{}", article.id());
        let reply = self.insist(who.patch(&path, change.clone(), article.version())).await;
        if !(reply.again && reply.status == 412) {
            return reply.is(200);
        }
        let now = self.insist(who.get(&path)).await.is(200);
        assert_eq!(now.version(), article.version() + 1, "wholly there: {}", now.body());
        for (name, value) in change.as_object().expect("an object") {
            assert_eq!(now[name.as_str()], *value, "wholly there: {}", now.body());
        }
        now
    }

    /// An action on an article as it was when it was answered.
    async fn act(&mut self, who: &Person, article: &Reply, verb: &str, body: Value) -> Reply {
        let path = format!("/articles/{}/{verb}", article.id());
        self.post(who.act(&path, article.version()).json(&body)).await
    }

    async fn current(&mut self, article: &Reply) -> Reply {
        let path = format!("/articles/{}", article.id());
        let editor = self.desk.as_editor();
        self.insist(editor.get(&path)).await.is(200)
    }

    fn title(&self, words: &str) -> String {
        format!("{words} {}", self.number)
    }

    /// A whole day: written, captioned, reviewed, mended, translated, planned, corrected, fought over, restored,
    /// withdrawn. `after` is called after each step.
    pub async fn play(&mut self, mut after: impl AsyncFnMut(&Step)) {
        macro_rules! told {
            ($step:expr) => {
                let step = $step;
                after(&step).await;
                self.steps.push(step);
            };
        }
        let (writer, editor, admin) = (self.desk.as_writer(), self.desk.as_editor(), self.desk.as_admin());
        let machine = self.machine.clone();
        let title = self.title("Lũ rút");

        let content = json!({ "title": title, "body_markdown": "Nước **rút** chậm.\n\nDân về nhà." });
        let vi = self.post(writer.post("/articles", content)).await.is(201);
        let id = &vi.id();
        told!(Step::new("write").write(WRITER, "create", id));

        // Other bytes each day: the same ones again would be the same image.
        let upload = writer
            .ask("POST", "/images")
            .bytes("image/jpeg", jpeg(64 + self.number, 48));
        let image = self.post(upload).await.is(201);
        told!(Step::new("upload").line(WRITER, "image.create", &image.id()));
        let place =
            json!({ "article_id": id, "image_id": image.id(), "role": "lead", "text": "Nước rút", "alt": "Cầu" });
        let caption = self.post(writer.post("/captions", place)).await.is(201);
        told!(
            Step::new("caption")
                .write(WRITER, "caption_create", id)
                .line(WRITER, "caption.create", &caption.id())
        );

        let now = self.current(&vi).await;
        let asked = self
            .act(&writer, &now, "submit", json!({ "note": "Trước 17 giờ" }))
            .await
            .is(200);
        let to_review = format!("Chờ duyệt: {title}");
        told!(
            Step::new("submit")
                .write(WRITER, "submit", id)
                .mail("editor@example.vn", to_review.clone())
        );
        let back = self
            .act(&editor, &asked, "reject", json!({ "note": "Thiếu nguồn" }))
            .await
            .is(200);
        told!(
            Step::new("reject")
                .write(EDITOR, "reject", id)
                .mail("writer@example.vn", format!("Cần sửa: {title}"))
        );
        let fixed = self.patch(&writer, &back, json!({ "kicker": "Miền Trung" })).await;
        told!(Step::new("fix").write(WRITER, "update", id));
        let asked = self.act(&writer, &fixed, "submit", json!({})).await.is(200);
        told!(
            Step::new("submit again")
                .write(WRITER, "submit", id)
                .mail("editor@example.vn", to_review)
        );

        let content = json!({ "title": self.title("The flood recedes"), "language": "en", "translation_of": id });
        let en = self.post(machine.post("/articles", content)).await.is(201);
        let other = &en.id();
        told!(Step::new("translate").write_by_key("create", other));
        let en = self.patch(&machine, &en, json!({ "lead": "Slowly." })).await;
        told!(Step::new("translate more").write_by_key("update", other));

        // One after the other at their times, too: the trail is in order.
        for (article, ms) in [(&asked, 2500), (&en, 4000)] {
            self.schedule(&admin, article, ms).await;
            told!(Step::new("schedule").write(ADMIN, "schedule", &article.id()));
        }
        let live = self.published(&vi).await;
        assert_eq!(live["review"], "none");
        told!(
            Step::new("on time")
                .write(SCHEDULE, "publish", id)
                .change("published", id)
                .mail("writer@example.vn", format!("Đã đăng: {title}"))
        );
        let english = self.published(&en).await;
        told!(
            Step::new("on time")
                .write(SCHEDULE, "publish", other)
                .change("published", other)
        );

        let text = json!({ "text": "Đúng là 25,4 m." });
        self.act(&editor, &live, "corrections", text).await.is(201);
        told!(Step::new("correct").write(EDITOR, "correct", id).change("updated", id));

        let lease = format!("/articles/{id}/lease");
        let take = |who: &Person, by_force: bool| who.put(&lease, json!({ "take_over": by_force }));
        self.insist(take(&editor, false)).await.is(200);
        told!(Step::new("lease").line(EDITOR, "article.lease", id));
        let now = self.current(&vi).await;
        let path = format!("/articles/{id}");
        let barred = admin.patch(&path, json!({ "title": "Không được" }), now.version());
        self.insist(barred).await.refuses(409, "article_leased");
        self.insist(take(&admin, false)).await.refuses(409, "article_leased");
        told!(Step::new("barred"));
        self.insist(take(&admin, true)).await.is(200);
        told!(Step::new("take over").line(ADMIN, "article.lease", id));
        let barred = editor.patch(&path, json!({ "title": "Không được" }), now.version());
        self.insist(barred).await.refuses(409, "article_leased");
        self.insist(admin.ask("DELETE", &lease)).await.is(204);
        told!(Step::new("let go").line(ADMIN, "article.lease_end", id));

        let before = now["revision"].as_i64().expect("a number");
        let edited = self.patch(&editor, &now, json!({ "lead": "Nước rút chậm." })).await;
        told!(Step::new("edit").write(EDITOR, "update", id));
        let late = admin.patch(&path, json!({ "lead": "Nước rút nhanh." }), now.version());
        self.insist(late).await.refuses(412, "version_mismatch");
        told!(Step::new("clash"));
        let live = self.act(&editor, &edited, "publish", json!({})).await.is(200);
        told!(
            Step::new("publish the edit")
                .write(EDITOR, "publish", id)
                .change("updated", id)
        );
        let verb = format!("revisions/{before}/restore");
        let restored = self.act(&editor, &live, &verb, json!({})).await.is(200);
        assert_eq!(restored["lead"], now["lead"]);
        told!(Step::new("restore").write(EDITOR, "revision_restore", id));
        self.act(&editor, &restored, "publish", json!({})).await.is(200);
        told!(
            Step::new("publish the restored")
                .write(EDITOR, "publish", id)
                .change("updated", id)
        );

        let reason = json!({ "reason": "Dịch sai" });
        self.act(&admin, &english, "unpublish", reason).await.is(200);
        told!(
            Step::new("unpublish")
                .write(ADMIN, "unpublish", other)
                .change("unpublished", other)
        );
    }

    /// A short day of the editor's: one story, published, edited, published again and withdrawn.
    pub async fn play_short(&mut self) {
        let editor = self.desk.as_editor();
        let content = json!({ "title": self.title("Tin nhanh") });
        let draft = self.post(editor.post("/articles", content)).await.is(201);
        let id = draft.id();
        self.steps.push(Step::new("write").write(EDITOR, "create", &id));
        let live = self.act(&editor, &draft, "publish", json!({})).await.is(200);
        self.steps.push(
            Step::new("publish")
                .write(EDITOR, "publish", &id)
                .change("published", &id),
        );
        let edited = self.patch(&editor, &live, json!({ "lead": "Thêm" })).await;
        self.steps.push(Step::new("edit").write(EDITOR, "update", &id));
        let live = self.act(&editor, &edited, "publish", json!({})).await.is(200);
        self.steps.push(
            Step::new("publish")
                .write(EDITOR, "publish", &id)
                .change("updated", &id),
        );
        self.act(&editor, &live, "unpublish", json!({})).await.is(200);
        self.steps.push(
            Step::new("withdraw")
                .write(EDITOR, "unpublish", &id)
                .change("unpublished", &id),
        );
    }

    /// A draft that is published once, by somebody who does not ask again when no answer comes.
    pub async fn play_carelessly(&mut self) {
        let editor = self.desk.as_editor();
        let content = json!({ "title": self.title("Một lần") });
        let draft = self.post(editor.post("/articles", content)).await.is(201);
        let id = draft.id();
        self.steps.push(Step::new("write").write(EDITOR, "create", &id));
        let mut step = Step::new("publish")
            .write(EDITOR, "publish", &id)
            .change("published", &id);
        match editor
            .act(&format!("/articles/{id}/publish"), draft.version())
            .attempt()
            .await
        {
            Ok(reply) if reply.status == 503 => return,
            Ok(reply) => drop(reply.is(200)),
            Err(Unanswered::NotSent) => return,
            Err(Unanswered::Sent(_)) => {
                self.unanswered += 1;
                step.certain = false;
            }
        }
        self.steps.push(step);
    }

    /// Plans a publication. A time that has passed before anybody took the plan is set anew.
    async fn schedule(&mut self, who: &Person, article: &Reply, ms: i64) {
        loop {
            let plan = json!({ "publish_at": ahead(ms) });
            let reply = self.act(who, article, "publish", plan).await;
            if reply.status == 422 && reply.again {
                continue;
            }
            reply.is(200);
            return;
        }
    }

    /// The article once readers see it.
    async fn published(&mut self, article: &Reply) -> Reply {
        let start = std::time::Instant::now();
        loop {
            let now = self.current(article).await;
            if now["status"] == "published" {
                return now;
            }
            assert_eq!(now["schedule_failed"], json!(null), "{}", now.body());
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "never published: {}",
                now.body()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Step {
    /// A write by the program: its line names the program, its revision the editor it acts for.
    fn write_by_key(mut self, action: &str, article: &str) -> Self {
        self.revisions.push([article, EDITOR, action].map(str::to_owned));
        self.line(MACHINE, &format!("article.{action}"), article)
    }
}
