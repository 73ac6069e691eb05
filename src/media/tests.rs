use super::*;

async fn exercise(store: &MediaStore) {
    let key = new_key("jpg");
    assert!(store.get(&key, None).await.unwrap().is_none());
    assert_eq!(store.size(&key).await.unwrap(), None);
    store.put(&key, Bytes::from_static(b"0123456789")).await.unwrap();
    assert_eq!(store.size(&key).await.unwrap(), Some(10));
    let whole = store.get(&key, None).await.unwrap().unwrap();
    assert_eq!(
        (&whole.bytes[..], whole.size, whole.range),
        (&b"0123456789"[..], 10, 0..10)
    );
    let part = store.get(&key, Some(2..5)).await.unwrap().unwrap();
    assert_eq!((&part.bytes[..], part.size, part.range), (&b"234"[..], 10, 2..5));
    let tail = store.get(&key, Some(8..100)).await.unwrap().unwrap();
    assert_eq!((&tail.bytes[..], tail.size, tail.range), (&b"89"[..], 10, 8..10));
    for none in [10..11, 50..60, 3..3] {
        let object = store.get(&key, Some(none)).await.unwrap().unwrap();
        assert_eq!((object.bytes.len(), object.size), (0, 10));
    }
    assert!(store.get("aa/none.jpg", Some(0..4)).await.unwrap().is_none());
    let listed = store.list().await.unwrap();
    assert_eq!(
        (listed.len(), listed[0].key.as_str(), listed[0].size),
        (1, key.as_str(), 10)
    );
    assert!((Time::now().ms() - listed[0].written.ms()).abs() < 60_000);
    store.put(&key, Bytes::from_static(b"new")).await.unwrap();
    assert_eq!(store.size(&key).await.unwrap(), Some(3));
    store.delete(&key).await.unwrap();
    store.delete(&key).await.unwrap();
    assert!(store.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn memory_keeps_files() {
    exercise(&MediaStore::open("memory://").unwrap()).await;
}

#[tokio::test]
async fn a_folder_keeps_files_and_leaves_nothing_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("made/when missing");
    let store = MediaStore::open(&format!("file://{}", place.display())).unwrap();
    exercise(&store).await;
    store.put("ab/c.png", Bytes::from_static(b"x")).await.unwrap();
    let names: Vec<_> = std::fs::read_dir(place.join("ab"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["c.png"]);
}

/// Needs a server; run by hand: `AWS_ENDPOINT_URL=http://… AWS_ACCESS_KEY_ID=… MEDIA_TEST_URL=s3://bucket/prefix`.
#[tokio::test]
#[ignore = "needs an S3 server"]
async fn a_bucket_keeps_files() {
    exercise(&MediaStore::open(&std::env::var("MEDIA_TEST_URL").unwrap()).unwrap()).await;
}

#[tokio::test]
async fn no_key_leaves_the_store() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "s").unwrap();
    let store = MediaStore::open(&format!("file://{}/media", folder.path().display())).unwrap();
    let hostile = [
        "",
        ".",
        "..",
        "/",
        "../secret",
        "a/../../secret",
        "/etc/passwd",
        "a//b",
        "a/",
        "a/./b",
        "..a",
        "a..b",
        "%2e%2e/secret",
        "..%2fsecret",
        "..\\secret",
        "a\0b",
        "A.jpg",
        "a b",
        "é",
        "a/.hidden",
        "file://x",
        "a\n",
        "a?b",
        "a#1",
        "~",
        "a:b",
    ];
    for key in hostile {
        assert!(store.put(key, Bytes::from_static(b"x")).await.is_err(), "{key:?}");
        assert!(store.delete(key).await.is_err(), "{key:?}");
        assert!(store.get(key, None).await.unwrap().is_none(), "{key:?}");
        assert!(store.size(key).await.unwrap().is_none(), "{key:?}");
    }
    assert!(store.put(&"a".repeat(201), Bytes::new()).await.is_err());
    assert_eq!(std::fs::read_to_string(folder.path().join("secret")).unwrap(), "s");
    assert!(store.list().await.unwrap().is_empty());
}

#[test]
fn keys_are_spread_and_allowed() {
    let key = new_key("webp");
    assert_eq!(key.len(), 3 + 32 + 5);
    assert_eq!(key[..2], key[3..5]);
    assert!(checked(&key).is_ok());
    assert_ne!(key, new_key("webp"));
}

#[test]
fn files_of_one_picture_are_told_from_what_is_not_ours() {
    let key = new_key("webp");
    assert_eq!(stem(&key), Some(&key[..35]));
    let variant = format!("{}-16x9-50x50-w320.jpg", &key[..35]);
    assert_eq!(stem(&variant), Some(&key[..35]));
    let capital = key.to_uppercase();
    for foreign in [
        "",
        "a.jpg",
        "newsdesk-owner.txt",
        "photos/2026/a.jpg",
        &key[1..],
        &key[..35],
        &capital,
    ] {
        assert_eq!(stem(foreign), None, "{foreign}");
    }
}

#[test]
fn a_wrong_setting_is_one_clear_line() {
    for url in ["", "data/media", "ftp://x", "s3://", "file://", "https://bucket"] {
        let message = MediaStore::open(url).unwrap_err();
        assert!(message.contains("MEDIA_URL") && !message.contains('\n'), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_does_not_hang_a_request() {
    let silent = in_time::<()>(std::future::pending()).await;
    assert_eq!(silent.unwrap_err().public, MediaError::slow().public);
}
