//! Starting, stopping, failing: what whoever runs the program relies on.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::database::{Database, PASSWORD, postgres};
use crate::support::desk::{Ended, Server, newsdesk, run_to_end};
use crate::support::{Value, all, json, newsroom_tests};

/// Runs a command in an empty folder; `{}` in a setting is the folder.
fn run(arguments: &[&str], settings: &[(&str, &str)], input: &str) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite://{}", folder.path().join("data/newsdesk.db").display());
    let mut all = vec![("DATABASE_URL", database.as_str())];
    all.extend(settings);
    run_to_end(newsdesk(arguments, &all, folder.path()), input)
}

newsroom_tests! {
    async fn what_was_answered_survives_a_kill(desk) {
        let editor = desk.as_editor();
        editor.get("/auth/me").await.is(200);
        let made = all((0..20).map(|n| editor.post("/articles", json!({ "title": format!("Bài {n}") })))).await;
        desk.kill();
        let ids: Vec<String> = made.into_iter().map(|reply| reply.is(201).id()).collect();
        desk.start();
        let list = editor.get("/articles?limit=100&include_total=true").await.is(200);
        assert_eq!(list["page"]["total"], 20);
        for id in &ids {
            assert!(list.each("id").contains(id), "{id} is lost");
        }
        editor.post("/articles", json!({ "title": "Sau" })).await.is(201);
    }

    async fn sigterm_lets_a_running_request_end(desk) {
        use std::io::{Read, Write};
        let address = desk.address();
        let body = "{\"email\":\"nobody@example.vn\",\"password\":\"x\"}";
        let head = format!(
            "POST /management/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = std::net::TcpStream::connect(address.trim_start_matches("http://")).expect("a connection");
        stream.write_all(head.as_bytes()).expect("a head");
        stream.write_all(&body.as_bytes()[..10]).expect("half a body");
        std::thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        desk.ask_to_stop();
        std::thread::sleep(Duration::from_millis(300));
        stream.write_all(&body.as_bytes()[10..]).expect("the rest");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 401");
        drop(stream);
        let status = desk.ended();
        assert!(status.success(), "{status:?}");
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }

    async fn an_idle_program_stops_at_once(desk) {
        let start = Instant::now();
        assert!(desk.terminate().success());
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }

    async fn a_start_on_an_existing_database_is_quick(desk) {
        desk.story(json!({ "title": "Tin" })).await;
        assert!(desk.terminate().success());
        let start = Instant::now();
        desk.start();
        desk.as_reader().get("/articles").await.is(200);
        let took = start.elapsed();
        println!("from start to the first answer: {took:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }

    async fn every_line_of_the_log_is_one_object_without_secrets(desk) {
        let login = desk.log_in("writer@example.vn", PASSWORD).await.is(200);
        desk.log_in("writer@example.vn", "a secret that was mistyped").await.is(401);
        let who = desk.with_token(&login.text("/access_token"));
        who.post("/articles", json!({ "title": "Tin" })).await.is(201);
        desk.as_nobody().post("/auth/refresh", json!({ "refresh_token": login["refresh_token"] })).await.is(200);
        who.get("/articles?q=%0a%7B%22level%22%3A%22ERROR%22%7D").await;
        who.get("/articles/%0a%7B%22level%22").await.is(404);
        let story = desk.story(json!({ "title": "Có phản hồi" })).await;
        let receipt = desk.message(&story, "Riêng tư lắm").await;
        desk.as_reader().get(&format!("/feedback/{}", receipt.text("/reference"))).await.is(200);
        let log = desk.log();
        for line in log.lines() {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(event["timestamp"].is_string() && event["level"].is_string(), "{line}");
        }
        let secrets = [
            PASSWORD.to_owned(), "mistyped".into(), login.text("/access_token"), login.text("/refresh_token"),
            "an@example.vn".into(), "Riêng tư".into(), "912 345".into(), receipt.text("/reference"), "argon2".into(),
            crate::support::desk::JWT_SECRET.into(),
        ];
        for secret in secrets {
            assert!(!log.contains(&secret), "the log holds {secret}");
        }
        assert!(log.lines().any(|line| line.contains("\"request_id\"") && line.contains("/management/v1/articles")));
    }

    async fn health_tells_the_truth(desk) {
        for path in ["/health/live", "/health/ready"] {
            let health = desk.as_reader().get(path).await.is(200);
            assert_eq!((&health["status"], health.header("cache-control")), (&json!("ok"), "no-store".into()));
        }
    }

    async fn an_older_program_leaves_a_newer_database_alone(desk) {
        assert!(desk.terminate().success());
        desk.database().execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')");
        for command in [["serve"], ["migrate"]] {
            let refused = run_to_end(newsdesk(&command, &desk.settings(), desk.folder()), "");
            assert_eq!(refused.code, Some(1), "{refused:?}");
            assert!(refused.err.contains("99991231000000") && refused.err.contains("newer"), "{refused:?}");
        }
    }

    async fn the_doctor_finds_references_that_lead_nowhere(desk) {
        desk.story(json!({ "title": "Tin" })).await;
        let doctor = || run_to_end(newsdesk(&["doctor"], &desk.settings(), desk.folder()), "");
        assert_eq!(doctor().code, Some(0), "{:?}", doctor());
        let off = if postgres().is_some() { "SET session_replication_role = replica" } else { "PRAGMA foreign_keys = OFF" };
        desk.database().execute_after(off, "UPDATE sessions SET editor_id = 'nobody'; DELETE FROM publication_docs");
        let ill = doctor();
        assert_eq!(ill.code, Some(1), "{ill:?}");
        assert!(ill.out.contains("FAIL  integrity: ") && ill.out.contains("editors that is not there"), "{ill:?}");
        assert!(ill.out.contains("FAIL  stories: 1 published stories lack their text"), "{ill:?}");
        assert_eq!(ill.err, "newsdesk: 2 checks failed\n");
    }

    async fn the_tables_are_what_the_program_thinks(desk) {
        let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schema.rs")).expect("the tables");
        let mut count = 0;
        for table in source.split("diesel::table! {").skip(1) {
            let lines: Vec<&str> = table.lines().map(str::trim).collect();
            let head = lines.iter().find(|line| line.ends_with('{') && line.contains('(')).expect("a name");
            let name = head.split([' ', '(']).next().expect("a name");
            let column = |line: &&str| {
                let (name, kind) = line.split_once(" -> ")?;
                kind.ends_with(',').then(|| name.trim().to_owned())
            };
            let columns: Vec<String> = lines.iter().filter_map(column).collect();
            assert!(!columns.is_empty(), "{name}");
            // A view fails at once when a column is missing, and leaves nothing behind.
            let list = columns.join(", ");
            desk.database().execute(&format!("CREATE VIEW the_columns AS SELECT {list} FROM {name}; DROP VIEW the_columns"));
            count += 1;
        }
        assert!(count >= 20, "{count} tables");
    }
}

#[test]
fn two_processes_may_start_on_an_empty_database_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::empty(folder.path());
    let settings = [("DATABASE_URL", database.url.as_str())];
    let ended: Vec<Ended> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| run_to_end(newsdesk(&["migrate"], &settings, folder.path()), "")))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("a command"))
            .collect()
    });
    ended.iter().for_each(Ended::done);
    let ran: Vec<&Ended> = ended.iter().filter(|ended| ended.out.contains("ran ")).collect();
    assert_eq!(ran.len(), 1, "one of them did it: {ended:#?}");
    std::thread::scope(|scope| {
        let servers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| Server::start(&settings, folder.path())))
            .collect();
        servers
            .into_iter()
            .for_each(|thread| drop(thread.join().expect("a server")));
    });
}

#[test]
fn a_wrong_setting_is_one_clear_line() {
    for (name, value) in [
        ("DATABASE_URL", "mysql://x"),
        ("BIND", "8080"),
        ("BIND", "0.0.0.0:0"),
        ("JWT_SECRET", "short"),
        ("LANGUAGES", "Việt"),
        ("TIME_ZONE", "saigon"),
        ("RATE_LIMITS", "maybe"),
        ("SITE_URL", "bao.vn"),
        ("ADMIN_URL", "bao.vn/admin"),
        ("ARTICLE_URL", "{site}"),
        ("MEDIA_URL", "ftp://x"),
        ("TRUSTED_PROXIES", "everybody"),
        ("CORS_ORIGINS", "https://x/y"),
        ("LOG", "=,="),
        ("FEEDBACK_RETENTION_DAYS", "0"),
        ("REVISION_RETENTION_DAYS", "0"),
        ("REVISION_RETENTION_DAYS", "never"),
        ("PUBLIC_URL", "x"),
    ] {
        let ended = run(&["serve"], &[(name, value)], "");
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(1), ""),
            "{name}={value}: {ended:?}"
        );
        let named = if name == "BIND" && value.starts_with("0.") {
            "PUBLIC_URL"
        } else {
            name
        };
        assert!(
            ended.err.starts_with("newsdesk: ") && ended.err.contains(named),
            "{name}={value}: {ended:?}"
        );
        assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    }
    let postgres = run(
        &["serve"],
        &[("DATABASE_URL", "postgres://127.0.0.1:1/x"), ("JWT_SECRET", "")],
        "",
    );
    assert!(postgres.err.contains("JWT_SECRET is needed"), "{postgres:?}");
    let unreachable = run(&["serve"], &[("DATABASE_URL", "postgres://127.0.0.1:1/x")], "");
    assert_eq!(unreachable.code, Some(1), "{unreachable:?}");
}

#[test]
fn wrong_usage_exits_with_2_and_help_with_0() {
    for wrong in [
        &["sereve"][..],
        &[],
        &["serve", "--fast"],
        &["doctor", "--fast"],
        &["editor", "create"],
        &["editor", "create", "--email", "a@b.vn", "--name", "A", "--role", "king"],
    ] {
        let ended = run(wrong, &[], "");
        assert_eq!(ended.code, Some(2), "{wrong:?}: {ended:?}");
        assert!(!ended.err.is_empty());
    }
    for right in ["--help", "--version"] {
        assert_eq!(run(&[right], &[], "").code, Some(0));
    }
}

#[test]
fn the_command_line_keeps_the_rules_of_accounts() {
    let create = |email: &str, password: &str| {
        run(
            &["editor", "create", "--email", email, "--name", "An", "--role", "admin"],
            &[],
            password,
        )
    };
    create("an@example.vn", PASSWORD).done();
    for (email, password, word) in [
        ("an", PASSWORD, "email"),
        ("an@example.vn", "short", "password"),
        ("an@example.vn", "", "password"),
    ] {
        let ended = create(email, password);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains(word), "{ended:?}");
    }
}

#[test]
fn the_doctor_says_what_is_sound_and_what_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::empty(folder.path());
    let doctor = |settings: &[(&str, &str)]| {
        let all = [&[("DATABASE_URL", database.url.as_str())], settings].concat();
        run_to_end(newsdesk(&["doctor"], &all, folder.path()), "")
    };
    let unmade = doctor(&[("AUTO_MIGRATE", "off")]);
    assert_eq!(unmade.code, Some(1), "{unmade:?}");
    assert!(unmade.out.contains("FAIL  database: The schema lacks"), "{unmade:?}");
    let well = doctor(&[]);
    assert_eq!(well.code, Some(0), "{well:?}");
    for what in ["configuration", "database", "integrity", "media", "audit"] {
        assert!(well.out.contains(&format!("ok    {what}: ")), "{what}: {well:?}");
    }
    assert!(well.out.contains("note  editors: no admin can sign in"), "{well:?}");
    std::fs::write(folder.path().join("file"), "").expect("a file");
    let place = format!("file://{}", folder.path().join("file").display());
    for (setting, what) in [
        (("MEDIA_URL", place.as_str()), "media"),
        (("TIME_ZONE", "saigon"), "configuration"),
    ] {
        let ill = doctor(&[setting]);
        assert_eq!(ill.code, Some(1), "{what}: {ill:?}");
        assert!(ill.out.contains(&format!("FAIL  {what}: ")), "{what}: {ill:?}");
        assert_eq!(ill.err, "newsdesk: 1 check failed\n");
    }
}

#[test]
fn the_kept_documents_are_those_of_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    run_to_end(newsdesk(&["openapi", "--check"], &[], folder), "").done();
    let elsewhere = run(&["openapi", "--check"], &[], "");
    assert_eq!(elsewhere.code, Some(1), "where none are kept they differ");
}

#[test]
fn without_auto_migrate_an_empty_database_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::empty(folder.path());
    let settings = [("DATABASE_URL", database.url.as_str()), ("AUTO_MIGRATE", "off")];
    let ended = run_to_end(newsdesk(&["serve"], &settings, folder.path()), "");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
}

#[test]
fn beside_a_file_database_a_secret_is_made_once_and_kept_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite://{}", folder.path().join("newsdesk.db").display());
    let settings = [("DATABASE_URL", database.as_str()), ("JWT_SECRET", "")];
    drop(Server::start(&settings, folder.path()));
    let file = folder.path().join("jwt_secret");
    let first = std::fs::read(&file).expect("the secret");
    assert_eq!(std::fs::metadata(&file).expect("it").permissions().mode() & 0o077, 0);
    drop(Server::start(&settings, folder.path()));
    assert_eq!(std::fs::read(&file).expect("the secret"), first);
}
