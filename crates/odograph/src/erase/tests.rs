//! Nothing is overwritten before everyone who reads the journal is behind it.

use super::*;
use odograph_env::SystemClock;
use odograph_journal::{Journal, Kind, NewEntry, Options};
use odograph_protocols::{Decision, Settings};

const TEXT: &[u8] = b"what is to be erased";

/// A journal with one sealed segment that a device has sent to.
fn sent(folder: &Path) -> Reader {
    let (disk, clock): (Arc<dyn odograph_env::Disk>, Arc<dyn Clock>) =
        (Arc::new(LocalDisk), Arc::new(SystemClock::new()));
    let options = Options { reserve_bytes: 4096, segment_bytes: 1 << 20, ..Options::default() };
    let (journal, committer, _) =
        Journal::open(folder, options, disk.clone(), clock, &odograph_env::SystemRng).expect("a new folder");
    let (device, tenant) = ("7".into(), "default".into());
    let mut decision = Vec::new();
    Binding { device, tenant, decision: Decision::Accepted, settings: Settings::default() }.write(&mut decision);
    let (mut stream, _) = journal.open_stream(1, b"", None).expect("an open journal");
    let identity = Some(Identity { device: "7", decision: &decision });
    let entry = NewEntry { kind: Kind::FRAME, at: 1, identity, payload: TEXT };
    journal.append(&mut stream, b"", None, &[entry]).expect("an open journal");
    journal.close();
    committer.run().expect("the disk is well");
    Reader::open(disk, folder).expect("the folder is there")
}

fn has_text(folder: &Path) -> bool {
    let path = std::fs::read_dir(folder).expect("the folder is there").map(|file| file.expect("a file").path());
    let mut segments = path.filter(|path| path.extension().is_some_and(|it| it == "segment"));
    let bytes = std::fs::read(segments.next().expect("one")).expect("it can be read");
    bytes.windows(TEXT.len()).any(|bytes| bytes == TEXT)
}

#[test]
fn nothing_is_overwritten_that_somebody_has_still_to_read() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("journal");
    let reader = sent(&folder);
    let until = sealed_end(&reader).expect("it can be read");
    let lake_folder = place.path().join("lake");
    let erasing = Erasing {
        reader,
        lake: odograph_lake::Place::folder(Arc::new(LocalDisk), &lake_folder),
        journal: folder.clone(),
        node: 0,
        clock: Arc::new(SystemClock::new()),
        removing: Arc::default(),
    };
    let of = Of { tenant: "default".into(), device: Some("7".into()) };
    let subject = Subject { of, ids: vec!["7".into()], received_to: None };
    erasing.order(&subject, until).expect("the disk is well");
    let pending = erasing.pending().expect("it can be read");
    assert_eq!((pending.len(), pending[0].until, &pending[0].subject), (1, until, &subject));

    let mut cursors = CursorStore::open(Arc::new(LocalDisk), &folder).expect("the folder is there");
    let short = Lsn(until.0 - 1);
    for behind in [&[][..], &[("a", Some(until)), ("b", Some(short))]] {
        cursors.set(behind.iter().copied()).expect("the disk is well");
        let error = erasing.journal(&pending[0], &|| true).expect_err("somebody has not read it");
        assert!(error.to_string().contains("nothing is overwritten before"), "{error}");
        assert!(has_text(&folder));
    }
    cursors.set([("b", Some(until))]).expect("the disk is well");
    // Nor where it is not to go on.
    assert!(erasing.journal(&pending[0], &|| false).is_err() && has_text(&folder));
    let done = erasing.journal(&pending[0], &|| true).expect("everyone has read it");
    assert_eq!((done.entries, has_text(&folder)), (1, false));
    erasing.finish(pending[0].order).expect("the disk is well");
    assert!(erasing.pending().expect("it can be read").is_empty());
}
