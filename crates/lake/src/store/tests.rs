//! What the store promises, on a real disk and on one that fails.

mod damage;

use super::read::PIECE_BYTES;
use super::*;
use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use object_store::{GetRange, ObjectStoreExt as _, UpdateVersion};
use odograph_env::LocalDisk;
use odograph_testkit::disk::{Action, FaultDisk, Moment};

const ROOT: &str = "/data/lake";

/// Stores on both disks, each without anything in it.
fn stores() -> (tempfile::TempDir, [DiskStore; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let local = DiskStore::new(Arc::new(LocalDisk), &folder.path().join("not/yet/there"));
    (folder, [local, DiskStore::new(Arc::new(FaultDisk::new()), Path::new(ROOT))])
}

fn at(location: &str) -> Location {
    Location::parse(location).unwrap()
}

async fn put(store: &DiskStore, location: &str, content: &[u8], mode: PutMode) -> Result<()> {
    store.put_opts(&at(location), content.to_vec().into(), mode.into()).await.map(drop)
}

async fn check_content(store: &DiskStore, location: &str, expected: Option<&[u8]>) {
    match store.get(&at(location)).await {
        Ok(found) => assert_eq!(Some(&*found.bytes().await.unwrap()), expected, "{location}"),
        Err(Error::NotFound { .. }) => assert_eq!(expected, None, "{location}"),
        Err(error) => panic!("{location}: {error}"),
    }
}

async fn check_list(store: &DiskStore, prefix: Option<&str>, expected: &[(&str, u64)]) {
    let found: Vec<ObjectMeta> = store.list(prefix.map(at).as_ref()).try_collect().await.unwrap();
    let found: Vec<_> = found.iter().map(|meta| (meta.location.as_ref(), meta.size)).collect();
    assert_eq!(found, expected, "below {prefix:?}");
}

/// The names of all files, complete or not.
fn names(store: &DiskStore) -> Vec<String> {
    let files = store.files_below(store.root.clone()).unwrap();
    let mut names: Vec<_> =
        files.iter().map(|(path, _)| path.strip_prefix(&store.root).unwrap().to_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn an_object_is_there_from_put_to_delete() {
    let (_folder, stores) = stores();
    for store in stores {
        check_content(&store, "a/b.json", None).await;
        check_list(&store, None, &[]).await;
        put(&store, "a/b.json", b"old", PutMode::Overwrite).await.unwrap();
        check_content(&store, "a/b.json", Some(b"old")).await;
        put(&store, "a/b.json", b"newer", PutMode::Overwrite).await.unwrap();
        put(&store, "empty", b"", PutMode::Create).await.unwrap();
        check_content(&store, "a/b.json", Some(b"newer")).await;
        check_content(&store, "empty", Some(b"")).await;
        check_content(&store, "a", None).await;
        check_list(&store, None, &[("a/b.json", 5), ("empty", 0)]).await;
        assert_eq!(names(&store), ["a/b.json", "empty"]);
        store.delete(&at("a/b.json")).await.unwrap();
        check_content(&store, "a/b.json", None).await;
        assert!(matches!(store.delete(&at("a/b.json")).await, Err(Error::NotFound { .. })));
        check_list(&store, None, &[("empty", 0)]).await;
    }
}

#[tokio::test]
async fn create_replaces_nothing() {
    let (_folder, stores) = stores();
    for store in stores {
        put(&store, "log/0.json", b"first", PutMode::Create).await.unwrap();
        let error = put(&store, "log/0.json", b"second", PutMode::Create).await.unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
        check_content(&store, "log/0.json", Some(b"first")).await;
        let version = UpdateVersion { e_tag: None, version: None };
        let error = put(&store, "log/0.json", b"third", PutMode::Update(version)).await.unwrap_err();
        assert!(matches!(error, Error::NotSupported { .. }), "{error}");
        assert_eq!(names(&store), ["log/0.json"]);
    }
}

#[test]
fn of_many_that_create_one_wins() {
    let (_folder, stores) = stores();
    for store in stores {
        let threads: Vec<_> = (0..8_u8)
            .map(|own| {
                let store = store.clone();
                std::thread::spawn(move || {
                    let put = put(&store, "new/0.json", &[own; 9], PutMode::Create).now_or_never();
                    put.expect("without a runtime nothing waits").is_ok()
                })
            })
            .collect();
        let won: Vec<bool> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
        let winner = won.iter().position(|won| *won).unwrap() as u8;
        check_content(&store, "new/0.json", Some(&[winner; 9])).now_or_never().unwrap();
        assert_eq!(names(&store), ["new/0.json"]);
    }
}

#[tokio::test]
async fn a_large_object_comes_in_pieces() {
    let content: Vec<u8> = (0..2 * PIECE_BYTES + 1).map(|at| (at % 251) as u8).collect();
    let (_folder, stores) = stores();
    for store in stores {
        put(&store, "large", &content, PutMode::Overwrite).await.unwrap();
        let got = store.get(&at("large")).await.unwrap();
        assert_eq!((got.meta.size, got.range.clone()), (content.len() as u64, 0..content.len() as u64));
        let pieces: Vec<Bytes> = got.into_stream().try_collect().await.unwrap();
        assert_eq!(pieces.iter().map(|piece| piece.len() as u64).collect::<Vec<_>>(), [PIECE_BYTES, PIECE_BYTES, 1]);
        assert_eq!(pieces.concat(), content);
        store.copy(&at("large"), &at("copy")).await.unwrap();
        check_content(&store, "copy", Some(&content)).await;
    }
}

#[tokio::test]
async fn what_is_being_read_does_not_change() {
    let (_folder, stores) = stores();
    for store in stores {
        put(&store, "a", b"old", PutMode::Overwrite).await.unwrap();
        let got = store.get(&at("a")).await.unwrap();
        put(&store, "a", b"other", PutMode::Overwrite).await.unwrap();
        assert_eq!(got.bytes().await.unwrap(), b"old"[..]);
    }
}

#[tokio::test]
async fn a_range_that_ends_behind_the_object_is_an_error_that_names_it() {
    let (_folder, stores) = stores();
    for store in stores {
        put(&store, "a", b"0123456789", PutMode::Overwrite).await.unwrap();
        check_range(&store, GetRange::Bounded(2..4), Some((2..4, b"23"))).await;
        check_range(&store, GetRange::Bounded(8..11), None).await;
        check_range(&store, GetRange::Bounded(10..11), None).await;
        check_range(&store, GetRange::Offset(7), Some((7..10, b"789"))).await;
        check_range(&store, GetRange::Suffix(1), Some((9..10, b"9"))).await;
        let got = store.get_ranges(&at("a"), &[3..5, 0..1, 9..10, 4..4]).await.unwrap();
        assert_eq!(got, [&b"34"[..], b"0", b"9", b""]);
        for range in [9..12, 10..11] {
            let error = store.get_ranges(&at("a"), &[0..1, range.clone()]).await.unwrap_err().to_string();
            let (path, end) = (store.path(&at("a")), range.end);
            let expected = format!("{} is damaged: it ends at byte 10 and should have at least {end}", path.display());
            assert!(error.ends_with(&expected), "{error}");
        }
        store.get_ranges(&at("a"), &[0..1, Range { start: 5, end: 2 }]).await.unwrap_err();
        assert!(matches!(store.get_ranges(&at("b"), &[0..1, 2..3]).await, Err(Error::NotFound { .. })));
    }
}

async fn check_range(store: &DiskStore, range: GetRange, expected: Option<(Range<u64>, &[u8])>) {
    let got = store.get_opts(&at("a"), GetOptions::new().with_range(Some(range))).await;
    let Some((range, content)) = expected else {
        got.unwrap_err();
        return;
    };
    let got = got.unwrap();
    assert_eq!(got.range, range);
    assert_eq!(got.bytes().await.unwrap(), content);
}

#[tokio::test]
async fn conditions_go_by_the_time_of_writing() {
    let (_folder, stores) = stores();
    for store in stores {
        put(&store, "a", b"123", PutMode::Overwrite).await.unwrap();
        let meta = store.head(&at("a")).await.unwrap();
        assert_eq!((meta.location.as_ref(), meta.size, meta.e_tag), ("a", 3, None));
        let (written, never) = (meta.last_modified, DateTime::<Utc>::MIN_UTC);
        let modified = GetOptions { if_modified_since: Some(written), ..GetOptions::default() };
        assert!(matches!(store.get_opts(&at("a"), modified).await, Err(Error::NotModified { .. })));
        let unmodified = GetOptions { if_unmodified_since: Some(never), ..GetOptions::default() };
        assert!(matches!(store.get_opts(&at("a"), unmodified).await, Err(Error::Precondition { .. })));
        let tagged = GetOptions { if_match: Some("tag".to_owned()), ..GetOptions::default() };
        assert!(matches!(store.get_opts(&at("a"), tagged).await, Err(Error::Precondition { .. })));
        let head = GetOptions { head: true, if_modified_since: Some(never), ..GetOptions::default() };
        assert_eq!(store.get_opts(&at("a"), head).await.unwrap().meta.size, 3);
    }
}

#[tokio::test]
async fn a_prefix_is_whole_folders() {
    let (_folder, stores) = stores();
    for store in stores {
        for name in ["day=1/b", "day=1/a", "day=10/c", "log/0.json", "top", "day=1/deep/d"] {
            put(&store, name, b"x", PutMode::Overwrite).await.unwrap();
        }
        let part = store.begin(&at("day=1/unfinished")).unwrap();
        check_list(&store, Some("day=1"), &[("day=1/a", 1), ("day=1/b", 1), ("day=1/deep/d", 1)]).await;
        check_list(&store, Some("day"), &[]).await;
        check_list(&store, Some("top"), &[]).await;
        check_list(&store, Some("top/below"), &[]).await;
        check_look(&store, None, &["day=1", "day=10", "log"], &["top"]).await;
        check_look(&store, Some("day=1"), &["day=1/deep"], &["day=1/a", "day=1/b"]).await;
        check_look(&store, Some("day=2"), &[], &[]).await;
        drop(part);
        let after: Vec<_> = store.list_with_offset(None, &at("day=10/c")).try_collect().await.unwrap();
        assert_eq!(after.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(), ["log/0.json", "top"]);
    }
}

async fn check_look(store: &DiskStore, prefix: Option<&str>, folders: &[&str], objects: &[&str]) {
    let found = store.list_with_delimiter(prefix.map(at).as_ref()).await.unwrap();
    assert_eq!(found.common_prefixes, folders.iter().map(|folder| at(folder)).collect::<Vec<_>>());
    assert_eq!(found.objects.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(), objects);
}

#[tokio::test]
async fn many_are_deleted_and_each_that_is_not_there_is_told() {
    let (_folder, stores) = stores();
    for store in stores {
        put(&store, "a", b"1", PutMode::Overwrite).await.unwrap();
        put(&store, "b/c", b"2", PutMode::Overwrite).await.unwrap();
        let locations = stream::iter(["a", "missing", "b/c"].map(|name| Ok(at(name)))).boxed();
        let deleted: Vec<_> = store.delete_stream(locations).collect().await;
        assert_eq!(deleted.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        assert!(matches!(deleted[1], Err(Error::NotFound { .. })));
        check_list(&store, None, &[]).await;
    }
}

#[tokio::test]
async fn copies_and_new_names_replace_only_where_they_may() {
    let (_folder, stores) = stores();
    for store in stores {
        put(&store, "a", b"1", PutMode::Overwrite).await.unwrap();
        put(&store, "b", b"2", PutMode::Overwrite).await.unwrap();
        let exists = |result: Result<()>| assert!(matches!(result, Err(Error::AlreadyExists { .. })));
        exists(store.copy_if_not_exists(&at("a"), &at("b")).await);
        exists(store.rename_if_not_exists(&at("a"), &at("b")).await);
        check_content(&store, "b", Some(b"2")).await;
        store.copy_if_not_exists(&at("a"), &at("c/copy")).await.unwrap();
        store.rename_if_not_exists(&at("a"), &at("d/moved")).await.unwrap();
        check_content(&store, "a", None).await;
        store.copy(&at("d/moved"), &at("b")).await.unwrap();
        check_content(&store, "b", Some(b"1")).await;
        put(&store, "e", b"3", PutMode::Overwrite).await.unwrap();
        store.rename(&at("e"), &at("b")).await.unwrap();
        check_content(&store, "b", Some(b"3")).await;
        assert_eq!(names(&store), ["b", "c/copy", "d/moved"]);
        let missing = |result: Result<()>| assert!(matches!(result, Err(Error::NotFound { .. })));
        missing(store.copy(&at("x"), &at("y")).await);
        missing(store.rename(&at("x"), &at("y")).await);
        missing(store.rename(&at("c"), &at("y")).await);
    }
}

#[tokio::test]
async fn parts_are_put_together_whatever_order_they_arrive_in() {
    let (_folder, stores) = stores();
    for store in stores {
        put(&store, "a", b"old", PutMode::Overwrite).await.unwrap();
        let mut upload = store.put_multipart(&at("a")).await.unwrap();
        let (first, second) = (upload.put_part("first ".into()), upload.put_part("second".into()));
        second.await.unwrap();
        first.await.unwrap();
        check_content(&store, "a", Some(b"old")).await;
        upload.complete().await.unwrap();
        check_content(&store, "a", Some(b"first second")).await;
        upload.complete().await.unwrap_err();
        upload.put_part("late".into()).await.unwrap_err();
        drop(upload);
        assert_eq!(names(&store), ["a"]);
    }
}

#[tokio::test]
async fn an_upload_without_an_end_leaves_nothing() {
    let (_folder, stores) = stores();
    for store in stores {
        put(&store, "a", b"old", PutMode::Overwrite).await.unwrap();
        let mut aborted = store.put_multipart(&at("a")).await.unwrap();
        aborted.put_part("new".into()).await.unwrap();
        assert_eq!(names(&store).len(), 2);
        aborted.abort().await.unwrap();
        assert_eq!(names(&store), ["a"]);
        aborted.abort().await.unwrap_err();
        let mut incomplete = store.put_multipart(&at("a")).await.unwrap();
        drop(incomplete.put_part("never".into()));
        incomplete.put_part("written".into()).await.unwrap();
        incomplete.complete().await.unwrap_err();
        drop(store.put_multipart(&at("a")).await.unwrap());
        assert_eq!(names(&store), ["a"]);
        check_content(&store, "a", Some(b"old")).await;
    }
}

#[tokio::test]
async fn some_names_are_refused() {
    let (_folder, stores) = stores();
    for store in stores {
        put(&store, "file", b"1", PutMode::Overwrite).await.unwrap();
        for name in ["", "a.1-2.part", "b/c.parquet.77-0.part"] {
            let error = put(&store, name, b"1", PutMode::Overwrite).await.unwrap_err();
            assert!(matches!(error, Error::NotSupported { .. }), "{name}: {error}");
            store.get(&at(name)).await.unwrap_err();
            store.delete(&at(name)).await.unwrap_err();
            store.rename(&at("file"), &at(name)).await.unwrap_err();
        }
        for name in ["a.part", "a.1.part", "1-2.part", "a.1-x.part", "a.-2.part", "a.1-2.part.json", "a%2F..", "ä b"] {
            let name = &format!("odd/{name}");
            put(&store, name, b"1", PutMode::Overwrite).await.unwrap();
            check_content(&store, name, Some(b"1")).await;
            check_list(&store, Some("odd"), &[(name, 1)]).await;
            store.delete(&at(name)).await.unwrap();
        }
        assert_eq!(names(&store), ["file"]);
    }
}

#[tokio::test]
async fn a_file_where_a_folder_would_be_is_no_conflict() {
    let (_folder, [store, _]) = stores();
    put(&store, "a", b"1", PutMode::Overwrite).await.unwrap();
    put(&store, "folder/b", b"1", PutMode::Overwrite).await.unwrap();
    for name in ["a/b", "a/b/c"] {
        let error = put(&store, name, b"1", PutMode::Create).await.unwrap_err();
        assert!(matches!(error, Error::Generic { .. }), "{error}");
        check_content(&store, name, None).await;
    }
    put(&store, "folder", b"1", PutMode::Overwrite).await.unwrap_err();
    assert_eq!(names(&store), ["a", "folder/b"]);
}

#[tokio::test]
async fn what_a_crash_left_is_in_nobodys_way_and_goes() {
    let (_folder, stores) = stores();
    for store in stores {
        put(&store, "log/0.json", b"1", PutMode::Create).await.unwrap();
        // As an earlier process with the same id leaves them. Other tests take numbers too, but not so many.
        let part = store.begin(&at("next")).unwrap();
        let name = names(&store).pop().unwrap();
        let number: u64 = name.strip_suffix(".part").unwrap().rsplit_once('-').unwrap().1.parse().unwrap();
        drop(part);
        for taken in number..number + LEFT {
            let name = format!("log/1.json.{}-{taken}.part", std::process::id());
            drop(store.disk.create(&store.root.join(name)).unwrap());
        }
        put(&store, "log/1.json", b"2", PutMode::Create).await.unwrap();
        check_list(&store, None, &[("log/0.json", 1), ("log/1.json", 1)]).await;
        assert_eq!(store.clean().unwrap() as u64, LEFT);
        assert_eq!(names(&store), ["log/0.json", "log/1.json"]);
        assert_eq!(store.clean().unwrap(), 0);
    }
}

const LEFT: u64 = 100;

/// As the library does that reads a table's log: a hundred at once, while somebody else takes what comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_many_objects_and_waits_for_none_holds_up_nobody() {
    let (_folder, [store, _]) = stores();
    put(&store, "a", b"1", PutMode::Overwrite).await.unwrap();
    let location = at("a");
    let mut asked: Vec<_> = (0..FILES_AT_ONCE * 4).map(|_| Box::pin(store.get(&location))).collect();
    for get in &mut asked {
        drop(get.as_mut().now_or_never());
    }
    for _ in 0..FILES_AT_ONCE * 2 {
        let read = tokio::time::timeout(std::time::Duration::from_secs(60), check_content(&store, "a", Some(b"1")));
        read.await.expect("nobody else is held up");
    }
}

#[tokio::test]
async fn new_folders_are_flushed_and_known_ones_are_not_again() {
    let disk = FaultDisk::new();
    disk.create_folder(Path::new("/data")).unwrap();
    let all = ["/data/lake/a", "/data/lake", "/data", "/", "/data/lake/a/b"];
    check_flushed(&disk, "a/b/1", &all).await;
    // Another store cannot know what the first one did; it may have been killed before it was done.
    check_flushed(&disk, "a/b/1", &all).await;
    let store = DiskStore::new(Arc::new(disk.clone()), Path::new(ROOT));
    for (name, expected) in [
        ("a/1", &["/data/lake", "/data", "/", "/data/lake/a"][..]),
        ("a/2", &["/data/lake/a"]),
        ("a/c/3", &["/data/lake/a", "/data/lake/a/c"]),
    ] {
        let flushed = flushes(&disk);
        put(&store, name, b"1", PutMode::Overwrite).await.unwrap();
        assert_eq!(*flushed.lock().unwrap(), expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{name}");
    }
}

async fn check_flushed(disk: &FaultDisk, location: &str, expected: &[&str]) {
    let flushed = flushes(disk);
    let store = DiskStore::new(Arc::new(disk.clone()), Path::new(ROOT));
    put(&store, location, b"1", PutMode::Overwrite).await.unwrap();
    assert_eq!(*flushed.lock().unwrap(), expected.iter().map(PathBuf::from).collect::<Vec<_>>());
}

/// The folders that are flushed from now on.
fn flushes(disk: &FaultDisk) -> Arc<Mutex<Vec<PathBuf>>> {
    let flushed = Arc::new(Mutex::new(Vec::new()));
    let seen = flushed.clone();
    disk.on_operation(move |_, operation| {
        if (operation.action, operation.moment) == (Action::SyncFolder, Moment::After) {
            seen.lock().unwrap().push(operation.path.clone());
        }
    });
    flushed
}
