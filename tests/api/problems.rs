//! The problem types and their pages, and the documents about them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{contract, newsroom_tests};

/// The codes, as the one table in the source has them.
fn codes() -> BTreeSet<String> {
    let source =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/error.rs")).expect("the table");
    let table = source
        .split("\ncodes! {")
        .nth(1)
        .expect("the table")
        .split("\n}")
        .next()
        .expect("its end");
    let code = |line: &str| line.split('"').nth(1).map(str::to_owned);
    table.lines().filter_map(code).collect()
}

newsroom_tests! {
    async fn every_code_has_its_page(desk) {
        let codes = codes();
        assert!(codes.len() > 30);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors");
        let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().trim_end_matches(".md").to_owned();
        let pages: BTreeSet<String> = std::fs::read_dir(folder).expect("pages").flatten().map(name).collect();
        assert_eq!(pages, codes, "a page for each code, a code for each page");
        for code in codes {
            let page = desk.as_reader().get(&format!("/docs/errors/{code}")).await.is(200);
            assert!(page.header("content-type").starts_with("text/html"), "{code}");
            assert!(page.body().contains(&code), "{code}");
        }
        desk.as_reader().get("/docs/errors/no_such_code").await.refuses(404, "not_found");
        desk.as_reader().get("/docs/errors/").await.is(200);
    }

    async fn the_documents_are_served_as_they_are_written(desk) {
        for face in ["delivery", "management"] {
            let served = desk.as_reader().get(&format!("/openapi/{face}.json")).await.is(200);
            assert_eq!(&served.json, contract::document(face));
            let old = desk.as_reader().get(&format!("/openapi/{face}-3.0.json")).await.is(200);
            assert!(old.text("/openapi").starts_with("3.0"));
        }
        let packed = desk.as_reader().get("/openapi/delivery.json").header("Accept-Encoding", "gzip").await.is(200);
        assert_eq!(packed.header("content-encoding"), "gzip");
        desk.as_reader().get("/openapi/other.json").await.refuses(404, "not_found");
        desk.as_reader().get("/docs/").await.is(200);
        let plain = desk.as_reader().get("/docs").await;
        assert!([200, 301, 302, 307, 308].contains(&plain.status), "{}", plain.status);
    }
}
