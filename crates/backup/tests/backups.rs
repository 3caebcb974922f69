//! Backups as a data folder's owner makes them, at a place that is in memory, and their restoration to a disk that can fail.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::path::Path as Location;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use odograph_backup::{
    CHUNK_BYTES, Destination, Error, Item, JournalPart, LakePart, LakeTo, Manifest, Progress, Sent, Settings, Source,
    Target,
};
use odograph_env::Disk as _;
use odograph_model::Time;
use odograph_testkit::disk::PowerCut;
use odograph_testkit::{FaultDisk, SeededRng, TestClock};

const KEY: &str = "11";
const NOW: i64 = 1_750_000_000_000;

struct Bench {
    store: Arc<InMemory>,
    clock: TestClock,
    target: Target,
}

impl Bench {
    fn new() -> Self {
        let (store, clock) = (Arc::new(InMemory::new()), TestClock::new(NOW));
        let target = Target::new(store.clone(), "memory", Arc::new(clock.clone()));
        Self { store, clock, target }
    }

    /// A backup of these files, a minute after the last one.
    async fn backup(&self, files: &[(&str, &[u8])]) -> Result<Manifest, Error> {
        self.backup_with(files, Settings::default(), &mut |_| Ok(())).await
    }

    async fn backup_with(
        &self,
        files: &[(&str, &[u8])],
        settings: Settings,
        look: &mut dyn FnMut(Progress) -> Result<(), String>,
    ) -> Result<Manifest, Error> {
        self.clock.advance(std::time::Duration::from_secs(60));
        let backup = self.target.begin(Some(KEY), settings, &SeededRng::new(1)).await?;
        let items = files.iter().map(|(path, content)| Item::of(*path, content.to_vec())).collect();
        backup.make(Time(odograph_env::Clock::now(&self.clock)), source(KEY), items, look).await
    }

    async fn names(&self) -> Vec<String> {
        let found: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        found.into_iter().map(|object| object.location.to_string()).collect()
    }

    async fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let location = Location::from(name);
        let mut bytes = self.store.get(&location).await.unwrap().bytes().await.unwrap().to_vec();
        change(&mut bytes);
        self.store.put(&location, bytes.into()).await.unwrap();
    }
}

fn source(key: &str) -> Source {
    let journal = Some(JournalPart { key: key.to_owned(), until: Some(5) });
    let lake = LakePart { place: "lake".to_owned(), tables: [].into() };
    Source { node: 0, journal, lake, catalog: "none".to_owned() }
}

/// Bytes that differ from piece to piece.
fn long(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 251) as u8 ^ (at / CHUNK_BYTES) as u8).collect()
}

fn destination(disk: &FaultDisk) -> Destination {
    let (disk, folder) = (Arc::new(disk.clone()), PathBuf::from(FOLDER));
    Destination { disk, folder, mark: MARK.to_owned(), lake: LakeTo::Folder }
}

fn content(disk: &FaultDisk, path: &str) -> Vec<u8> {
    disk.content(&Path::new(FOLDER).join(path)).unwrap_or_else(|| panic!("{path} is there"))
}

const FOLDER: &str = "/data";
const MARK: &str = "incomplete";

#[tokio::test]
async fn what_is_there_is_not_sent_again() {
    let bench = Bench::new();
    let grown = long(2 * CHUNK_BYTES + 7);
    let first = bench.backup(&[("a", &grown[..2 * CHUNK_BYTES]), ("b", b"same"), ("c", b"same")]).await.unwrap();
    let sent = Sent { objects: 3, bytes: 2 * CHUNK_BYTES as u64 + 4 };
    assert_eq!(first.header.sent, sent, "two pieces, and one of two files that are the same");
    let second = bench.backup(&[("a", &grown), ("b", b"same"), ("c", b"same")]).await.unwrap();
    assert_eq!(second.header.sent, Sent { objects: 1, bytes: 7 }, "the end of the file that grew");
    let listed = bench.target.list().await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|listed| listed.manifest.unwrap()).collect();
    assert_eq!(listed, [first.clone(), second.clone()]);
    let find = async |at| bench.target.find(at).await;
    assert_eq!(find(None).await.unwrap(), second);
    assert_eq!(find(Some(first.header.time)).await.unwrap(), first);
    assert_eq!(find(Some(second.header.time.plus_ms(-1))).await.unwrap(), first);
    let before = find(Some(first.header.time.plus_ms(-1))).await.unwrap_err().to_string();
    assert!(before.starts_with("memory has no backup of 2025-06-15T"), "{before}");
}

#[tokio::test]
async fn a_file_that_has_not_changed_is_not_read() {
    let bench = Bench::new();
    let disk = FaultDisk::new();
    disk.create_folder(Path::new("/d")).unwrap();
    let file = disk.create(Path::new("/d/f")).unwrap();
    file.write_at(b"before", 0).unwrap();
    let item = |modified| Item {
        path: "f".to_owned(),
        bytes: 6,
        modified: Some(modified),
        content: odograph_backup::Content::File(Arc::new(disk.clone()), "/d/f".into()),
        absence: odograph_backup::Absence::Error,
    };
    let make = async |modified, read_all| {
        bench.clock.advance(std::time::Duration::from_secs(60));
        let settings = Settings { read_all, ..Settings::default() };
        let backup = bench.target.begin(Some(KEY), settings, &SeededRng::new(1)).await.unwrap();
        let time = Time(odograph_env::Clock::now(&bench.clock));
        backup.make(time, source(KEY), vec![item(modified)], &mut |_| Ok(())).await.unwrap()
    };
    let first = make(1, false).await;
    file.write_at(b"behind", 0).unwrap();
    assert_eq!(make(1, false).await.files, first.files, "the same length and time");
    let read = make(1, true).await;
    assert_ne!(read.files, first.files);
    file.write_at(b"latest", 0).unwrap();
    assert_ne!(make(2, false).await.files[0].chunks, read.files[0].chunks, "another time");
}

#[tokio::test]
async fn a_backup_that_was_given_up_is_none_and_leaves_its_pieces_for_the_next() {
    let bench = Bench::new();
    let files: Vec<(String, Vec<u8>)> = (0..20).map(|number| (number.to_string(), vec![number; 10])).collect();
    let files: Vec<_> = files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    let mut enough = |progress: Progress| if progress.files < 10 { Ok(()) } else { Err("enough".to_owned()) };
    let given_up = bench.backup_with(&files, Settings::default(), &mut enough).await.unwrap_err();
    assert_eq!(given_up.to_string(), "given up: enough");
    assert!(bench.target.list().await.unwrap().is_empty());
    assert!(bench.names().await.iter().all(|name| name.starts_with("objects/")), "nobody has the place any more");
    let made = bench.backup(&files).await.unwrap();
    assert_eq!(made.header.sent.objects, 10, "the others were there");
}

#[tokio::test]
async fn every_damage_is_found_and_named() {
    let bench = Bench::new();
    let (one, two) = (long(CHUNK_BYTES + 5), b"two".to_vec());
    let made = bench.backup(&[("dir/one", &one), ("two", &two)]).await.unwrap();
    let manifests = [made.clone()];
    let verify = async || bench.target.verify(&manifests, &mut |_, _| {}).await.unwrap();
    let sound = verify().await;
    assert_eq!((sound.objects, sound.bytes, sound.damages.len()), (3, CHUNK_BYTES as u64 + 8, 0));
    let objects: Vec<_> = bench.names().await.into_iter().filter(|name| name.starts_with("objects/")).collect();
    assert_eq!(objects.len(), 3);
    for name in &objects {
        let location = Location::from(name.as_str());
        let whole = bench.store.get(&location).await.unwrap().bytes().await.unwrap();
        let is_of_two = whole == two[..];
        let file = if is_of_two { "two" } else { "dir/one" };
        let expected = |what: &str| vec![(name.clone(), what.to_owned(), vec![file.to_owned()])];
        let damages = async || {
            let damages = verify().await.damages.into_iter();
            damages.map(|damage| (damage.object, damage.what, damage.files)).collect::<Vec<_>>()
        };
        bench.change(name, |bytes| *bytes.last_mut().unwrap() ^= 1).await;
        assert_eq!(damages().await, expected("not what was written"));
        // It is not restored either.
        let refused = bench.target.restore(&made, &destination(&FaultDisk::new()), &mut |_| {}).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("{name} at memory is not what was written"));
        bench.change(name, |bytes| bytes.truncate(bytes.len() - 1)).await;
        assert_eq!(damages().await, expected("not what was written"));
        bench.store.delete(&location).await.unwrap();
        assert_eq!(damages().await, expected("not there"));
        // The next backup sends it again.
        let again = bench.backup(&[("dir/one", &one), ("two", &two)]).await.unwrap();
        assert_eq!((again.header.sent.objects, damages().await), (1, vec![]));
    }
    let manifest = bench.names().await.into_iter().find(|name| name.starts_with("manifests/")).unwrap();
    bench.change(&manifest, |bytes| bytes[10] ^= 1).await;
    let listed = &bench.target.list().await.unwrap()[0];
    let error = listed.manifest.as_ref().unwrap_err().to_string();
    assert_eq!(error, format!("{manifest} at memory is not what was written"));
}

#[tokio::test]
async fn old_backups_go_and_only_what_nobody_else_needs() {
    let bench = Bench::new();
    for number in 0..4_u8 {
        bench.backup(&[("same", b"same"), ("own", &[number; 9])]).await.unwrap();
    }
    // Of an attempt that was not completed.
    let mut no = |_| Err("no".to_owned());
    bench.backup_with(&[("left", b"left over")], Settings::default(), &mut no).await.unwrap_err();
    let pruned = bench.target.prune(2, &SeededRng::new(2)).await.unwrap();
    assert_eq!((pruned.kept, pruned.backups, pruned.objects, pruned.bytes), (2, 2, 3, 27));
    let left: Vec<_> = bench.target.list().await.unwrap().into_iter().map(|listed| listed.manifest.unwrap()).collect();
    assert_eq!(left.len(), 2);
    assert!(bench.target.verify(&left, &mut |_, _| {}).await.unwrap().damages.is_empty());
    assert!(bench.target.missing(&left).await.unwrap().is_empty());
    // One that cannot be read may need anything.
    let manifest = bench.names().await.into_iter().rfind(|name| name.starts_with("manifests/")).unwrap();
    bench.change(&manifest, |bytes| bytes.truncate(20)).await;
    let before = bench.names().await;
    let refused = bench.target.prune(1, &SeededRng::new(2)).await.unwrap_err().to_string();
    assert_eq!((refused, bench.names().await), (format!("{manifest} at memory is cut short"), before));
}

#[tokio::test]
async fn one_works_there_at_a_time() {
    let bench = Bench::new();
    bench.backup(&[("a", b"a")]).await.unwrap();
    let first = bench.target.begin(Some(KEY), Settings::default(), &SeededRng::new(3)).await.unwrap();
    let busy = bench.target.prune(1, &SeededRng::new(4)).await.unwrap_err().to_string();
    assert!(busy.starts_with("memory is being written by somebody else (backup, begun "), "{busy}");
    // Whoever has the data folder knows that the other one is dead.
    let second = bench.target.begin(Some(KEY), Settings::default(), &SeededRng::new(5)).await.unwrap();
    let made = first.make(Time(NOW), source(KEY), vec![Item::of("b", b"b".to_vec())], &mut |_| Ok(())).await;
    assert_eq!(
        made.unwrap_err().to_string(),
        "somebody else took memory over meanwhile: nothing was completed, try again"
    );
    second.make(Time(NOW), source(KEY), vec![Item::of("c", b"c".to_vec())], &mut |_| Ok(())).await.unwrap();
    // Another data folder's backups do not mix with these.
    let other =
        bench.target.begin(Some("22"), Settings::default(), &SeededRng::new(6)).await.err().unwrap().to_string();
    assert_eq!(
        other,
        "memory has backups of another data folder (its journal's key is 11, not 22): name another place"
    );
    assert_eq!(bench.names().await.iter().filter(|name| name.starts_with("lease")).count(), 0);
}

#[tokio::test]
async fn what_takes_long_before_anything_is_sent_keeps_the_place_and_notices_when_it_is_lost() {
    let bench = Bench::new();
    let mut first = bench.target.begin(Some(KEY), Settings::default(), &SeededRng::new(4)).await.unwrap();
    let lease = Location::from("lease.json");
    let modified = async || bench.store.head(&lease).await.unwrap().last_modified;
    let begun = modified().await;
    first.renew().await.unwrap();
    assert_eq!(modified().await, begun, "once in a while is enough");
    bench.clock.advance(std::time::Duration::from_secs(20));
    first.renew().await.unwrap();
    assert!(modified().await > begun);
    bench.target.begin(Some(KEY), Settings::default(), &SeededRng::new(5)).await.unwrap();
    bench.clock.advance(std::time::Duration::from_secs(20));
    assert_eq!(
        first.renew().await.unwrap_err().to_string(),
        "somebody else took memory over meanwhile: nothing was completed, try again"
    );
}

#[tokio::test]
async fn a_restore_is_whole_or_says_that_it_is_not_whenever_the_power_goes() {
    let bench = Bench::new();
    let files: [(&str, &[u8]); 4] =
        [("a", &long(CHUNK_BYTES + 5)), ("deep/er/b", b"b"), ("deep/c", b""), ("lake/t/records/d", b"rows")];
    let made = bench.backup(&files).await.unwrap();
    let disk = FaultDisk::new();
    let images = Arc::new(Mutex::new(Vec::new()));
    disk.on_operation({
        let images = images.clone();
        move |disk, _| images.lock().unwrap().extend([1, 2, 3].map(|seed| disk.crash_image(PowerCut::Random(seed))))
    });
    let to = destination(&disk);
    let restored = bench.target.restore(&made, &to, &mut |_| {}).await.unwrap();
    to.complete().unwrap();
    assert_eq!((restored.files, restored.bytes), (4, CHUNK_BYTES as u64 + 10));
    let images = std::mem::take(&mut *images.lock().unwrap());
    assert!(images.len() > 30, "{}", images.len());
    let (mut whole, mut begun) = (0, 0);
    for image in images {
        let is_there = |path: &str| image.inspect(&Path::new(FOLDER).join(path)).is_ok();
        if is_there(MARK) {
            begun += 1;
            let to = destination(&image);
            bench.target.restore(&made, &to, &mut |_| {}).await.unwrap();
            to.complete().unwrap();
        } else if files.iter().any(|(path, _)| is_there(path)) {
            whole += 1;
        } else {
            continue;
        }
        files.iter().for_each(|(path, expected)| assert!(content(&image, path) == *expected, "{path}"));
    }
    assert!(begun > 10 && whole > 0, "{begun} were under way, {whole} whole");
    let again = bench.target.restore(&made, &destination(&disk), &mut |_| {}).await.unwrap_err();
    assert_eq!(again.to_string(), "/data is not empty: restore into a place where nothing is");
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_restore_goes_on_when_there_is_space() {
    let bench = Bench::new();
    let made = bench.backup(&[("a", &[1; 100]), ("b", &long(CHUNK_BYTES))]).await.unwrap();
    let disk = FaultDisk::new();
    disk.set_capacity(Some(CHUNK_BYTES as u64 / 2));
    let full = bench.target.restore(&made, &destination(&disk), &mut |_| {}).await.unwrap_err();
    let Error::Disk { doing: "write", path, source } = full else { panic!("{full}") };
    assert_eq!((path, odograph_env::is_full(&source)), (PathBuf::from("/data/b"), true));
    disk.set_capacity(None);
    let to = destination(&disk);
    bench.target.restore(&made, &to, &mut |_| {}).await.unwrap();
    to.complete().unwrap();
    assert_eq!((content(&disk, "a"), content(&disk, "b")), (vec![1; 100], long(CHUNK_BYTES)));
}
