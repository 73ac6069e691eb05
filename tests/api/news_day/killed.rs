//! The same day while the program is killed at any moment: what was answered is there, what was not is wholly there or not
//! at all, and nothing is done twice.
//!
//! `NEWS_DAY_KILLS` says how often it is killed (`.ci/run`: 50 times), `NEWS_DAY_SEED` when: a failure prints both.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::day::{Day, Step};
use super::{change, history, letter, line, newsroom, trail};
use crate::support::desk::{newsdesk, run_to_end};
use crate::support::receiver::Receiver;
use crate::support::smtp::MailServer;
use crate::support::{Desk, Value, all};

/// How often it is killed when nothing is said.
const KILLS: u64 = 15;
/// Editors in a hurry: enough that each kill comes in the middle of something.
const HANDS: usize = 10;
/// Answers that a life gives at most, so that a slow machine's program is killed at work, too.
const ANSWERS: usize = 40;
/// How long one waits for them.
const LONGEST: Duration = Duration::from_secs(3);
/// How long after the last of them it is killed, and how long after a start that comes to nothing, in milliseconds.
const AFTER: u64 = 25;
const START: u64 = 400;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_program_that_is_killed_again_and_again_tells_the_same_story() {
    newsroom(|desk, mail, receiver, machine| async move {
        let kills = setting("NEWS_DAY_KILLS").unwrap_or(KILLS);
        let seed = setting("NEWS_DAY_SEED").unwrap_or_else(|| rand::random_range(0..1_000_000));
        println!("NEWS_DAY_KILLS={kills} NEWS_DAY_SEED={seed}");
        let (over, number, answers) = (Cell::new(false), Cell::new(0), Rc::new(Cell::new(0)));
        let next = || {
            number.set(number.get() + 1);
            Day::new(&desk, &machine, number.get()).counted(&answers)
        };
        let news = async {
            let mut days = Vec::new();
            while !over.get() {
                let mut day = next();
                day.play(async |_| {}).await;
                days.push(day);
            }
            days
        };
        let in_a_hurry = || async {
            let mut days = Vec::new();
            while !over.get() {
                let mut day = next();
                day.play_short().await;
                days.push(day);
            }
            days
        };
        let careless = async {
            let mut days = Vec::new();
            while !over.get() {
                let mut day = next();
                day.play_carelessly().await;
                days.push(day);
            }
            days
        };
        let killing = async {
            let mut chance = StdRng::seed_from_u64(seed);
            for n in 0..kills {
                let some = answers.get() + chance.random_range(0..ANSWERS);
                let start = Instant::now();
                while answers.get() < some && start.elapsed() < LONGEST {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                tokio::time::sleep(Duration::from_millis(chance.random_range(0..AFTER))).await;
                kill(&desk, &mut chance, n).await;
            }
            over.set(true);
        };
        let hands = all((0..HANDS).map(|_| in_a_hurry()));
        let (mut days, hurried, last, ()) = tokio::join!(news, hands, careless, killing);
        days.extend(hurried.into_iter().flatten().chain(last));
        let unanswered: usize = days.iter().map(|day| day.unanswered).sum();
        let replayed: usize = days.iter().map(|day| day.replayed).sum();
        println!(
            "{} days, {unanswered} requests unanswered, {replayed} of them had been done",
            days.len()
        );
        assert!(unanswered as u64 >= kills / 2, "the kills met too little: {unanswered}");
        settle(&desk).await;
        same_story(&desk, &mail, &receiver, days).await;
    });
}

/// Kills the program, each fifth time once more while it starts, and starts it.
async fn kill(desk: &Desk, chance: &mut StdRng, n: u64) {
    if n % 5 == 4 {
        let mut start = newsdesk(&["serve"], &desk.settings(), desk.folder());
        let start = start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        desk.kill();
        let mut child = start.spawn().expect("newsdesk starts");
        tokio::time::sleep(Duration::from_millis(chance.random_range(0..START))).await;
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
    } else {
        desk.kill();
    }
    let desk = desk.clone();
    tokio::task::spawn_blocking(move || desk.start())
        .await
        .expect("it starts again");
}

/// Waits until everything is sent and sealed. What a killed program was about to send is held for it until its lease has
/// run out; that time passes here at once.
async fn settle(desk: &Desk) {
    desk.database()
        .execute("UPDATE outbox SET lease_ms = 0; UPDATE webhook_deliveries SET lease_ms = 0");
    let waiting = [
        "outbox WHERE done_ms IS NULL",
        "webhook_deliveries WHERE state = 'pending'",
        "audit WHERE chain_no IS NULL",
        "counters AS c JOIN counters AS w ON c.n > w.n WHERE c.name = 'changes' AND w.name = 'webhooks'",
    ];
    let start = Instant::now();
    loop {
        let left = waiting.map(|rows| desk.database().count(rows));
        if left == [0; 4] {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "still to be done: {left:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Lists of what was told, by what it was told of.
type Told = BTreeMap<String, Vec<String>>;

fn gather(rows: impl IntoIterator<Item = (String, String)>) -> Told {
    let mut told = Told::new();
    for (subject, words) in rows {
        told.entry(subject).or_default().push(words);
    }
    told
}

fn of_steps<const N: usize>(
    days: &[Day],
    part: fn(&Step) -> &Vec<[String; N]>,
    told: impl Fn(&[String; N]) -> (String, String),
) -> Told {
    let steps = days.iter().flat_map(|day| &day.steps);
    gather(steps.flat_map(part).map(told))
}

/// What nobody knows is looked up in the trail; from there on all have to agree.
fn make_certain(days: &mut [Day], lines: &Told) {
    for steps in days.iter_mut().map(|day| &mut day.steps) {
        let told = |[who, action, target]: &[String; 3]| lines[target].contains(&format!("{who}: {action}"));
        steps.retain(|step| step.certain || step.lines.iter().any(told));
    }
}

async fn same_story(desk: &Desk, mail: &MailServer, receiver: &Receiver, mut days: Vec<Day>) {
    let kinds = "&target_type=article,caption,image";
    let lines = trail(desk, kinds).await;
    let lines = gather(
        lines
            .iter()
            .map(line)
            .map(|[who, action, target]| (target, format!("{who}: {action}"))),
    );
    make_certain(&mut days, &lines);
    let told = of_steps(
        &days,
        |step| &step.lines,
        |[who, action, target]| (target.clone(), format!("{who}: {action}")),
    );
    assert_eq!(lines, told, "the trail");

    for day in &days {
        for (article, told) in day.histories() {
            assert_eq!(history(desk, &article).await, told, "the history of {article}");
        }
    }

    let rows = desk.feed().await;
    let stories: Vec<&Value> = rows.iter().filter(|row| row["article_id"].is_string()).collect();
    let changes = gather(
        stories
            .iter()
            .map(|row| change(row))
            .map(|[kind, article]| (article, kind)),
    );
    let told = of_steps(
        &days,
        |step| &step.changes,
        |[kind, article]| (article.clone(), kind.clone()),
    );
    assert_eq!(changes, told, "the feed");
    for (article, kinds) in &changes {
        let gone = kinds.last().is_some_and(|kind| kind == "article.unpublished");
        desk.as_reader()
            .get(&format!("/articles/{article}"))
            .await
            .is(if gone { 410 } else { 200 });
    }

    let mut events: BTreeMap<i64, BTreeSet<(String, String)>> = BTreeMap::new();
    for hook in receiver.seen() {
        let seq = hook.json()["data"]["seq"].as_i64().expect("a number");
        events.entry(seq).or_default().insert((hook.id(), hook.body));
    }
    for row in &stories {
        let told = events
            .remove(&row["seq"].as_i64().expect("a number"))
            .unwrap_or_default();
        assert_eq!(told.len(), 1, "one event, however often it was sent: {row} {told:?}");
    }
    assert!(events.is_empty(), "and no others: {events:?}");

    same_mails(mail, &days);
    let well = run_to_end(newsdesk(&["doctor"], &desk.settings(), desk.folder()), "");
    assert_eq!(well.code, Some(0), "{well:?}");
}

/// A mail may come twice, with the same id. One that was late may have lost its meaning: a review that has been answered
/// is asked for no more.
fn same_mails(mail: &MailServer, days: &[Day]) {
    let mut came: BTreeMap<[String; 2], BTreeSet<String>> = BTreeMap::new();
    let mut ids: BTreeMap<String, [String; 2]> = BTreeMap::new();
    for mail in mail.mails_now() {
        let (id, letter) = (mail.header("Message-ID"), letter(&mail));
        assert_eq!(ids.entry(id.clone()).or_insert_with(|| letter.clone()), &letter, "{id}");
        came.entry(letter).or_default().insert(id);
    }
    let mut told: BTreeMap<[String; 2], usize> = BTreeMap::new();
    let mails = days
        .iter()
        .flat_map(|day| &day.steps)
        .flat_map(|step| step.mails.clone());
    mails.for_each(|letter| *told.entry(letter).or_default() += 1);
    for (letter, count) in told {
        let ids = came.remove(&letter).unwrap_or_default().len();
        let may_be_late = letter[1].contains("Chờ duyệt");
        assert!(
            ids == count || may_be_late && ids < count,
            "{letter:?}: {ids} of {count}"
        );
    }
    assert!(came.is_empty(), "and no others: {came:?}");
}
