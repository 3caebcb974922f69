//! The power goes, flushes fail, the disk is full.

use super::*;
use odograph_testkit::PowerCut;
use std::collections::BTreeMap;

/// A disk with a store and an object in it, `old`.
async fn disk_with_object() -> (FaultDisk, DiskStore) {
    let disk = FaultDisk::new();
    let store = DiskStore::new(Arc::new(disk.clone()), Path::new(ROOT));
    put(&store, OBJECT, OLD, PutMode::Overwrite).await.unwrap();
    (disk, store)
}

const OBJECT: &str = "log/a";
const OLD: &[u8] = b"old";

#[tokio::test]
async fn a_failed_write_leaves_what_was_there() {
    let (disk, store) = disk_with_object().await;
    for name in [OBJECT, "log/b"] {
        for mode in [PutMode::Overwrite, PutMode::Create] {
            disk.fail_write_after(0);
            let error = put(&store, name, b"new", mode).await.unwrap_err();
            assert!(!disk_is_full(&error) && !matches!(error, Error::AlreadyExists { .. }), "{error}");
            assert_eq!(names(&store), [OBJECT]);
            check_content(&store, OBJECT, Some(OLD)).await;
        }
    }
}

#[tokio::test]
async fn a_failed_flush_is_an_error_and_never_half_an_object() {
    // The flush of the file, and then that of its folder, when the new object has the name already.
    for (others, live) in [(0, OLD), (1, &b"new"[..])] {
        let (disk, store) = disk_with_object().await;
        disk.fail_sync_after(others);
        let error = put(&store, OBJECT, b"new", PutMode::Overwrite).await.unwrap_err();
        assert!(!disk_is_full(&error), "{error}");
        assert_eq!(names(&store), [OBJECT]);
        check_content(&store, OBJECT, Some(live)).await;
        for cut in cuts() {
            let content = disk.crash_image(cut).content(&store.path(&at(OBJECT))).unwrap();
            assert!(content == OLD || content == live, "{cut:?}: {content:?}");
        }
    }
}

#[tokio::test]
async fn folders_that_could_not_be_flushed_are_flushed_by_the_next_put() {
    let disk = FaultDisk::new();
    let store = DiskStore::new(Arc::new(disk.clone()), Path::new(ROOT));
    // The last of the folders above, when those below were flushed.
    disk.fail_sync_after(2);
    put(&store, OBJECT, OLD, PutMode::Overwrite).await.unwrap_err();
    assert_eq!(names(&store), [""; 0]);
    let flushed = flushes(&disk);
    put(&store, OBJECT, OLD, PutMode::Overwrite).await.unwrap();
    assert_eq!(*flushed.lock().unwrap(), ["/data/lake", "/data", "/", "/data/lake/log"].map(PathBuf::from));
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_what_was_there() {
    let (disk, store) = disk_with_object().await;
    // No room for a file, and room for a part of it.
    for room in [0, 2] {
        disk.set_capacity(Some(disk.used() + room));
        for name in [OBJECT, "log/b"] {
            check_full(&put(&store, name, b"new", PutMode::Overwrite).await.unwrap_err());
            check_full(&store.copy(&at(OBJECT), &at("log/b")).await.unwrap_err());
        }
        assert_eq!(names(&store), [OBJECT]);
        check_content(&store, OBJECT, Some(OLD)).await;
        disk.set_capacity(None);
    }
    let mut upload = store.put_multipart(&at(OBJECT)).await.unwrap();
    disk.set_capacity(Some(disk.used() + 3));
    upload.put_part("123".into()).await.unwrap();
    check_full(&upload.put_part("456".into()).await.unwrap_err());
    assert!(!disk_is_full(&upload.complete().await.unwrap_err()), "that a part is missing is another error");
    assert_eq!(names(&store), [OBJECT]);
    disk.set_capacity(Some(disk.used() + 3));
    put(&store, OBJECT, b"new", PutMode::Overwrite).await.unwrap();
    check_content(&store, OBJECT, Some(b"new")).await;
}

fn check_full(error: &Error) {
    assert!(disk_is_full(error), "{error:?}");
}

#[tokio::test]
async fn a_file_that_was_cut_is_an_error() {
    let (disk, store) = disk_with_object().await;
    let got = store.get(&at(OBJECT)).await.unwrap();
    disk.open(&store.path(&at(OBJECT))).unwrap().set_length(2).unwrap();
    got.bytes().await.unwrap_err();
}

#[tokio::test]
async fn whenever_the_power_goes_each_object_is_whole_and_what_was_promised_is_there() {
    let disk = FaultDisk::new();
    let store = DiskStore::new(Arc::new(disk.clone()), Path::new(ROOT));
    let audit = Arc::new(Mutex::new(Audit::default()));
    disk.on_operation({
        let audit = audit.clone();
        move |disk, _| audit.lock().unwrap().examine(disk)
    });
    let large: Vec<u8> = (0..3000_u32).map(|at| at as u8).collect();
    let step = |changes: &[(&str, Option<&[u8]>)]| audit.lock().unwrap().begin(changes);
    let done = || audit.lock().unwrap().done();
    let (overwrite, create) = (PutMode::Overwrite, PutMode::Create);
    let puts: [(&str, &[u8], &PutMode); 6] = [
        ("day=1/a", b"first", &overwrite),
        ("log/0.json", b"zero", &create),
        ("day=1/a", &large, &overwrite),
        ("log/1.json", &large, &create),
        ("day=1/a", b"", &overwrite),
        ("day=2/deep/b", &large[..700], &overwrite),
    ];
    for (name, content, mode) in puts {
        step(&[(name, Some(content))]);
        put(&store, name, content, mode.clone()).await.unwrap();
        done();
    }
    put(&store, "log/1.json", b"conflict", create).await.unwrap_err();
    step(&[("day=1/a", Some(b"in two parts"))]);
    let mut upload = store.put_multipart(&at("day=1/a")).await.unwrap();
    upload.put_part("in two ".into()).await.unwrap();
    upload.put_part("parts".into()).await.unwrap();
    upload.complete().await.unwrap();
    done();
    step(&[("copy", Some(&large))]);
    store.copy(&at("log/1.json"), &at("copy")).await.unwrap();
    done();
    step(&[("copy", None), ("day=1/a", Some(&large))]);
    store.rename(&at("copy"), &at("day=1/a")).await.unwrap();
    done();
    step(&[("log/0.json", None)]);
    store.delete(&at("log/0.json")).await.unwrap();
    done();
    let audit = audit.lock().unwrap();
    assert!(audit.faults.is_empty(), "{:#?}", audit.faults);
    assert!(audit.images > 1000, "only {} images: the scenario has become too small to mean anything", audit.images);
    let held: Vec<&str> = audit.promised.keys().map(String::as_str).collect();
    assert_eq!(held, ["day=1/a", "day=2/deep/b", "log/1.json"]);
}

/// What a power cut may leave at this moment, compared with what it would leave.
#[derive(Default)]
struct Audit {
    /// What whoever put it was told is there.
    promised: BTreeMap<String, Vec<u8>>,
    /// What is being changed, and into what.
    changing: BTreeMap<String, Option<Vec<u8>>>,
    faults: Vec<String>,
    images: usize,
}

impl Audit {
    fn begin(&mut self, changes: &[(&str, Option<&[u8]>)]) {
        let owned = |(name, content): &(&str, Option<&[u8]>)| ((*name).to_owned(), content.map(<[u8]>::to_vec));
        self.changing = changes.iter().map(owned).collect();
    }

    fn done(&mut self) {
        for (name, content) in std::mem::take(&mut self.changing) {
            match content {
                Some(content) => drop(self.promised.insert(name, content)),
                None => drop(self.promised.remove(&name)),
            }
        }
    }

    fn examine(&mut self, disk: &FaultDisk) {
        for cut in cuts() {
            self.images += 1;
            if let Err(fault) = self.check(&disk.crash_image(cut)) {
                self.faults.push(format!("{cut:?} at operation {}: {fault}", disk.operations()));
            }
        }
    }

    /// Looks as a process does that starts after the cut.
    fn check(&self, image: &FaultDisk) -> std::result::Result<(), String> {
        let store = DiskStore::new(Arc::new(image.clone()), Path::new(ROOT));
        let told = |error: &dyn std::fmt::Display| error.to_string();
        store.clean().map_err(|error| told(&error))?;
        let listed = store.walk(None).map_err(|error| told(&error))?;
        if listed.len() != image.files().len() {
            return Err(format!("{listed:?} of {:?}", image.files()));
        }
        let names = listed.iter().map(|meta| meta.location.to_string());
        for name in names.chain(self.promised.keys().cloned()) {
            let found = image.content(&store.path(&at(&name)));
            let is_before = found.as_ref() == self.promised.get(&name);
            let is_after = self.changing.get(&name).is_some_and(|after| *after == found);
            if !is_before && !is_after {
                return Err(format!("{name} is {found:?}"));
            }
        }
        store.put_object(&at("log/next.json"), &b"next".to_vec().into(), Existing::Kept).map_err(|error| told(&error))
    }
}

fn cuts() -> impl Iterator<Item = PowerCut> {
    [PowerCut::Lost, PowerCut::Kept].into_iter().chain((0..10).map(PowerCut::Random))
}
