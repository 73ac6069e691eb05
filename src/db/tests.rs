use std::sync::mpsc;
use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::meta;

fn new_database() -> (tempfile::TempDir, Db) {
    let folder = tempfile::tempdir().expect("a folder");
    let location = Location::Sqlite(folder.path().join("newsdesk.db"));
    migrate(&location).expect("a schema");
    let db = Db::open(&location).expect("a database");
    (folder, db)
}

/// An embedded database in memory with nothing but these tables and rows.
pub fn scratch(statements: &str) -> Conn {
    let mut conn = SqliteConnection::establish(":memory:").expect("a database");
    conn.batch_execute(statements).expect("tables and rows");
    Conn::Sqlite(conn)
}

/// Writes that wait while another one runs, so that they share a transaction.
async fn together<F>(db: &Db, count: usize, work: F) -> Vec<Result<()>>
where
    F: Fn(usize, &mut Tx<'_>) -> Result<()> + Clone + Send + 'static,
{
    let (go, wait) = mpsc::channel();
    let (begun, first_runs) = oneshot::channel();
    let mut begun = Some(begun);
    let first = tokio::spawn({
        let db = db.clone();
        async move {
            db.write(move |_| {
                let _ = begun.take().map(|begun| begun.send(()));
                let _ = wait.recv_timeout(Duration::from_secs(10));
                Ok(())
            })
            .await
        }
    });
    first_runs.await.expect("the first write runs");
    let mut writes: Vec<_> = (0..count)
        .map(|n| {
            let work = work.clone();
            Box::pin(db.write(move |tx| work(n, tx)))
        })
        .collect();
    // Polled once, a write waits in the queue.
    for write in &mut writes {
        assert!(futures_util::future::poll_immediate(write.as_mut()).await.is_none());
    }
    go.send(()).expect("the first write waits");
    first.await.expect("no panic").expect("the first write");
    join_all(writes).await
}

fn refusal() -> Problem {
    Problem::not_found("page")
}

async fn kept(db: &Db, n: usize) -> Option<String> {
    db.read(move |conn| meta::value(conn, &format!("n{n}")))
        .await
        .expect("a look")
}

#[tokio::test]
async fn a_write_that_is_refused_takes_nothing_of_its_neighbours_with_it() {
    let (_folder, db) = new_database();
    let results = together(&db, 12, |n, tx| {
        // Some are refused before they write anything, some after it.
        if n % 4 == 1 {
            return Err(refusal());
        }
        meta::set(tx.conn, &format!("n{n}"), "written")?;
        if n % 4 == 3 { Err(refusal()) } else { Ok(()) }
    })
    .await;
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), n % 2 == 0, "{n}");
        assert_eq!(kept(&db, n).await.is_some(), n % 2 == 0, "{n}");
    }
}

#[tokio::test]
async fn a_write_that_panics_is_a_problem_of_its_own() {
    let (_folder, db) = new_database();
    let results = together(&db, 5, |n, tx| {
        meta::set(tx.conn, &format!("n{n}"), "written")?;
        assert_ne!(n, 2, "two is too much");
        Ok(())
    })
    .await;
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), n != 2, "{n}");
        assert_eq!(kept(&db, n).await.is_some(), n != 2, "{n}");
    }
}

#[tokio::test]
async fn a_refused_write_alone_leaves_nothing_and_the_next_one_is_written() {
    let (_folder, db) = new_database();
    let refused = db
        .write(|tx| {
            meta::set(tx.conn, "n0", "written")?;
            Err::<(), _>(refusal())
        })
        .await;
    assert!(refused.is_err());
    assert_eq!(kept(&db, 0).await, None);
    db.write(|tx| meta::set(tx.conn, "n1", "written"))
        .await
        .expect("written");
    assert_eq!(kept(&db, 1).await.as_deref(), Some("written"));
}

#[tokio::test]
async fn a_look_on_this_thread_sees_what_is_written() {
    let (_folder, db) = new_database();
    db.write(|tx| meta::set(tx.conn, "n0", "first")).await.expect("written");
    let seen = db.read_here(|here| here.together(|conn| meta::value(conn, "n0")));
    assert_eq!(seen.expect("at once").expect("a look").as_deref(), Some("first"));
}

#[test]
fn after_a_slow_look_others_go_elsewhere_for_a_while() {
    let haste = Haste::default();
    let (begin, end) = (Duration::from_secs(5), Duration::from_secs(5) + SLOW);
    haste.took(begin, end);
    assert!(haste.is_right(end), "as long as it may take");
    let end = begin + SLOW * 2;
    haste.took(begin, end);
    assert!(!haste.is_right(end));
    assert!(!haste.is_right(end + SLOW * 2 * REST - Duration::from_micros(1)));
    assert!(haste.is_right(end + SLOW * 2 * REST));
}
