//! What the disk does when it is asked to fail.

use std::path::Path;
use std::sync::{Arc, Mutex};

use odograph_env::{Disk as _, DiskFile, is_full};

use super::*;

const FOLDER: &str = "/folder";

fn path() -> &'static Path {
    Path::new("/folder/file")
}

/// A disk with one durable file that holds `content`.
fn disk_with(content: &[u8]) -> (FaultDisk, Box<dyn DiskFile>) {
    let disk = FaultDisk::new();
    disk.create_folder(Path::new(FOLDER)).unwrap();
    disk.put(path(), content);
    let file = disk.open(path()).unwrap();
    (disk, file)
}

fn after(disk: &FaultDisk, cut: PowerCut) -> Option<Vec<u8>> {
    disk.crash_image(cut).content(path())
}

#[test]
fn what_is_flushed_survives_and_what_is_not_may_not() {
    let (disk, file) = disk_with(b"old");
    file.write_at(b"new", 0).unwrap();
    assert_eq!(after(&disk, PowerCut::Lost).unwrap(), b"old");
    assert_eq!(after(&disk, PowerCut::Kept).unwrap(), b"new");
    file.sync().unwrap();
    file.write_at(b"3", 2).unwrap();
    assert_eq!(after(&disk, PowerCut::Lost).unwrap(), b"new");
    for seed in 0..50 {
        let image = after(&disk, PowerCut::Random(seed)).unwrap();
        assert_eq!(after(&disk, PowerCut::Random(seed)).unwrap(), image);
        assert!(image == b"new" || image == b"ne3", "{image:?}");
    }
}

#[test]
fn a_killed_process_leaves_what_it_wrote_still_at_risk() {
    let (disk, file) = disk_with(b"old");
    file.write_at(b"new", 0).unwrap();
    let killed = disk.kill_image();
    assert_eq!(killed.content(path()).unwrap(), b"new");
    assert_eq!(after(&killed, PowerCut::Lost).unwrap(), b"old");
    killed.open(path()).unwrap().sync().unwrap();
    assert_eq!(after(&killed, PowerCut::Lost).unwrap(), b"new");
    assert_eq!(after(&disk, PowerCut::Lost).unwrap(), b"old");
}

#[test]
fn random_cuts_tear_and_reorder() {
    let (disk, file) = disk_with(&[0; 2048]);
    file.write_at(&[1; 1024], 0).unwrap();
    file.write_at(&[2; 1024], 1024).unwrap();
    let images: Vec<_> = (0..200).map(|seed| after(&disk, PowerCut::Random(seed)).unwrap()).collect();
    let any = |test: &dyn Fn(&[u8]) -> bool| images.iter().any(|image| test(image));
    assert!(any(&|image| image[0] == 0 && image[1024..].iter().all(|&byte| byte == 2)), "later without earlier");
    assert!(any(&|image| image[0] == 1 && image[1023] == 0), "a prefix");
    assert!(any(&|image| image[0] == 0 && image[512] == 1), "the second sector without the first");
}

#[test]
fn names_are_durable_only_after_the_folder_is_flushed() {
    let (disk, _) = disk_with(b"x");
    let other = Path::new("/folder/other");
    disk.rename(path(), other).unwrap();
    assert!(disk.content(path()).is_none());
    assert_eq!(after(&disk, PowerCut::Lost).unwrap(), b"x");
    assert_eq!(disk.crash_image(PowerCut::Kept).files(), [other]);
    disk.sync_folder(Path::new(FOLDER)).unwrap();
    assert_eq!(disk.crash_image(PowerCut::Lost).files(), [other]);
    disk.create(path()).unwrap();
    disk.remove(other).unwrap();
    let seen: std::collections::BTreeSet<_> =
        (0..100).map(|seed| disk.crash_image(PowerCut::Random(seed)).files().len()).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_new_name_replaces_nothing_and_is_durable_after_the_folder_is_flushed() {
    let (disk, _) = disk_with(b"x");
    let (taken, other) = (Path::new("/folder/taken"), Path::new("/folder/other"));
    disk.put(taken, b"taken");
    for to in [taken, Path::new(FOLDER)] {
        assert_eq!(disk.rename_new(path(), to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
    assert_eq!(disk.rename_new(other, taken).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(disk.content(taken).unwrap(), b"taken");
    disk.rename_new(path(), other).unwrap();
    assert_eq!(disk.files(), [other, taken]);
    assert_eq!(disk.crash_image(PowerCut::Lost).files(), [path(), taken]);
    assert_eq!(disk.crash_image(PowerCut::Kept).files(), [other, taken]);
    disk.sync_folder(Path::new(FOLDER)).unwrap();
    assert_eq!(disk.crash_image(PowerCut::Lost).files(), [other, taken]);
}

#[test]
fn a_path_is_inspected() {
    let (disk, file) = disk_with(b"123");
    assert_eq!(disk.inspect(path()).unwrap(), Inspected { is_folder: false, bytes: 3, modified: 0 });
    file.write_at(b"45", 3).unwrap();
    assert_eq!(disk.inspect(path()).unwrap().bytes, 5);
    let folder = Inspected { is_folder: true, bytes: 0, modified: 0 };
    assert_eq!(disk.inspect(Path::new(FOLDER)).unwrap(), folder);
    assert_eq!(disk.inspect(Path::new("/folder/absent")).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(disk.operations(), 1);
}

#[test]
fn after_a_failed_flush_a_later_one_promises_nothing_for_what_was_written_before() {
    let (disk, file) = disk_with(b"00");
    file.write_at(b"1", 0).unwrap();
    disk.fail_sync_after(0);
    file.sync().unwrap_err();
    file.write_at(b"2", 1).unwrap();
    file.sync().unwrap();
    assert_eq!(after(&disk, PowerCut::Lost).unwrap(), b"02");
    assert_eq!(disk.content(path()).unwrap(), b"12");
}

#[test]
fn faults_hit_the_operation_that_was_named() {
    let (disk, file) = disk_with(b"");
    disk.fail_write_after(1);
    file.write_at(b"1", 0).unwrap();
    assert!(!is_full(&file.write_at(b"22", 1).unwrap_err()));
    file.write_at(b"3", 0).unwrap();
    assert_eq!(disk.content(path()).unwrap(), b"32");
    disk.flip_bit(path(), 1, 0);
    assert_eq!(disk.content(path()).unwrap(), b"33");
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_space() {
    let (disk, file) = disk_with(b"");
    disk.set_capacity(Some(10));
    file.allocate(0, 8).unwrap();
    assert!(is_full(&file.allocate(8, 8).unwrap_err()));
    file.write_at(&[1; 8], 0).unwrap();
    assert!(is_full(&file.write_at(&[1; 8], 8).unwrap_err()));
    disk.set_capacity(Some(8));
    assert!(is_full(&disk.create(Path::new("/folder/other")).err().unwrap()));
    disk.set_capacity(Some(16));
    file.allocate(8, 8).unwrap();
    file.set_length(1).unwrap();
    assert_eq!(disk.used(), 1);
}

#[test]
fn flushes_wait_at_the_gate() {
    let (disk, file) = disk_with(b"");
    disk.stall_syncs(true);
    let thread = std::thread::spawn(move || file.sync());
    while disk.stalled_syncs() == 0 {
        std::thread::yield_now();
    }
    assert!(!thread.is_finished());
    disk.stall_syncs(false);
    thread.join().unwrap().unwrap();
}

#[test]
fn the_hook_sees_each_operation_before_and_after() {
    let (disk, file) = disk_with(b"");
    let seen = Arc::new(Mutex::new(Vec::new()));
    disk.on_operation({
        let seen = Arc::clone(&seen);
        move |disk, operation| {
            let length = disk.content(path()).map_or(0, |content| content.len());
            seen.lock().unwrap().push((operation.ordinal, operation.action, operation.moment, length));
        }
    });
    file.write_at(b"12", 0).unwrap();
    file.sync().unwrap();
    let (before, after) = (Moment::Before, Moment::After);
    let expected = [
        (0, Action::Write, before, 0),
        (0, Action::Write, after, 2),
        (1, Action::Sync, before, 2),
        (1, Action::Sync, after, 2),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
    assert_eq!(disk.operations(), 2);
}
