//! A news day, played through HTTP alone by a writer, an editor, a publisher and a program: everybody who tells of it (the
//! audit trail, the revisions, the change feed, a webhook's receiver, the mail) must tell the same story. Then the same
//! day again, while the program is killed.

mod day;
mod killed;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::receiver::Receiver;
use crate::support::smtp::{Mail, MailServer};
use crate::support::{Desk, Reply, Value, json, run};
use day::{Day, Step};

/// What the newsroom of a news day is set to. The public address must not be the port of one start.
const SETTINGS: [(&str, &str); 6] = [
    ("PUBLIC_URL", "https://api.example.vn"),
    ("SITE_NAME", "Tin"),
    ("SITE_URL", "https://tin.example.vn"),
    ("WEBHOOK_ALLOW_PRIVATE", "127.0.0.1"),
    ("WEBHOOK_RETRY_SECONDS", "1,1,1,1,1,1,1,1"),
    ("RATE_LIMITS", "off"),
];

/// A newsroom with a mail server and a receiver of all its events.
fn newsroom<F: Future<Output = ()>>(test: impl FnOnce(Desk, MailServer, Receiver, String) -> F) {
    let mail = MailServer::open(&[]);
    let smtp = mail.url.clone();
    let settings: Vec<(&str, &str)> = SETTINGS.into_iter().chain([("SMTP_URL", smtp.as_str())]).collect();
    run(&settings, |desk| async move {
        let receiver = Receiver::start();
        let hook = json!({ "url": receiver.url(), "name": "Trang tĩnh" });
        desk.as_admin().post("/webhooks", hook).await.is(201);
        let key = json!({ "name": "Máy dịch", "scopes": ["articles:read", "articles:write"] });
        let machine = desk.as_editor().post("/api-keys", key).await.is(201).text("/key");
        for person in [desk.as_writer(), desk.as_editor(), desk.as_admin()] {
            person.get("/auth/me").await.is(200);
        }
        test(desk.clone(), mail, receiver, machine).await;
    });
}

/// The audit trail from the beginning.
async fn trail(desk: &Desk, filter: &str) -> Vec<Value> {
    let (mut lines, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/audit?limit=100&sort=at{filter}{cursor}");
        let page = desk.as_admin().get(&path).await.is(200);
        lines.extend_from_slice(page.list("/data"));
        match page["page"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return lines,
        }
    }
}

/// Who did what to which, as the trail tells it.
fn line(line: &Value) -> [String; 3] {
    let text = |pointer: &str| line.pointer(pointer).and_then(Value::as_str).expect("text").to_owned();
    [text("/actor/name"), text("/action"), text("/target/id")]
}

/// What happened to which story.
fn change(change: &Value) -> [String; 2] {
    ["type", "article_id"].map(|name| change[name].as_str().unwrap_or_default().to_owned())
}

/// To whom, and about what.
fn letter(mail: &Mail) -> [String; 2] {
    [
        mail.to.join(" "),
        mail.parsed().subject().expect("a subject").to_owned(),
    ]
}

/// What the history of an article tells, from the beginning: who did what.
async fn history(desk: &Desk, article: &str) -> Vec<[String; 2]> {
    let path = format!("/articles/{article}/revisions?limit=100");
    let page: Reply = desk.as_editor().get(&path).await.is(200);
    let mut told: Vec<[String; 2]> = page
        .list("/data")
        .iter()
        .map(|one| [&one["created_by"]["name"], &one["action"]].map(|text| text.as_str().expect("text").to_owned()))
        .collect();
    told.reverse();
    told
}

/// All that is told while the day goes on: what has been heard so far.
struct Ears<'a> {
    desk: &'a Desk,
    mail: &'a MailServer,
    receiver: &'a Receiver,
    lines: usize,
    changes: usize,
    mails: usize,
    hooks: usize,
}

impl Ears<'_> {
    /// After a step everybody tells of it, and of nothing else.
    async fn hear(&mut self, step: &Step) {
        let name = step.name;
        let lines = trail(self.desk, "").await;
        let new = &lines[self.lines..];
        assert_eq!(
            new.iter().map(line).collect::<Vec<_>>(),
            step.lines,
            "{name}: the trail"
        );
        let changes = self.desk.feed().await;
        let told = &changes[self.changes..];
        assert_eq!(
            told.iter().map(change).collect::<Vec<_>>(),
            step.changes,
            "{name}: the feed"
        );
        self.mails += step.mails.len();
        let mails = self.mail.mails(self.mails).await;
        let letters = mails[self.mails - step.mails.len()..].iter().map(letter);
        assert_eq!(letters.collect::<Vec<_>>(), step.mails, "{name}: the mail");
        self.hooks += told.len();
        let mut hooks: Vec<Value> = self
            .receiver
            .got(self.hooks)
            .await
            .iter()
            .map(|hook| hook.json())
            .collect();
        hooks.sort_by_key(|hook| hook["data"]["seq"].as_i64());
        for (hook, row) in hooks[self.hooks - told.len()..].iter().zip(told) {
            assert_eq!(
                (&hook["type"], &hook["timestamp"]),
                (&row["type"], &row["at"]),
                "{name}"
            );
            assert_eq!(
                (&hook["data"]["seq"], &hook["data"]["article_id"]),
                (&row["seq"], &row["article_id"]),
                "{name}"
            );
            // One transaction, one time: the line of who did it is the change's.
            let same = |line: &&Value| line["at"] == row["at"] && line["target"]["id"] == row["article_id"];
            assert_eq!(new.iter().filter(same).count(), 1, "{name}: {row}");
        }
        (self.lines, self.changes) = (lines.len(), changes.len());
    }
}

#[test]
fn everybody_tells_the_same_story_of_a_news_day() {
    newsroom(|desk, mail, receiver, machine| async move {
        let mut ears = Ears {
            lines: trail(&desk, "").await.len(),
            changes: desk.feed().await.len(),
            desk: &desk,
            mail: &mail,
            receiver: &receiver,
            mails: 0,
            hooks: 0,
        };
        let mut day = Day::new(&desk, &machine, 1);
        day.play(async |step| ears.hear(step).await).await;
        assert_eq!((day.unanswered, day.replayed), (0, 0));
        for (article, told) in day.histories() {
            assert_eq!(history(&desk, &article).await, told);
        }
        // And nothing comes afterwards.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let all = |count: fn(&Step) -> usize| day.steps.iter().map(count).sum::<usize>();
        assert_eq!(mail.mails_now().len(), all(|step| step.mails.len()));
        assert_eq!(receiver.seen().len(), all(|step| step.changes.len()));
        assert_eq!(trail(&desk, "").await.len(), ears.lines);
        let mut ids: BTreeMap<String, usize> = BTreeMap::new();
        receiver
            .seen()
            .iter()
            .for_each(|hook| *ids.entry(hook.id()).or_default() += 1);
        mail.mails_now()
            .iter()
            .for_each(|mail| *ids.entry(mail.header("Message-ID")).or_default() += 1);
        assert!(ids.values().all(|count| *count == 1), "{ids:?}");
    });
}
