//! One device's data can be proven to somebody who has nothing but the public key.

use std::sync::{Arc, Mutex};

use odograph_journal::{Flaw, NoObserver, Proof, ProofError, SealRecord, check_proof, retention};
use odograph_model::Lsn;
use odograph_testkit::{FaultDisk, PowerCut};

use crate::bench::*;
use crate::round_trip::busy;

fn sealed() -> FaultDisk {
    let mut bench = Bench::new();
    busy(&mut bench, 12);
    bench.finish()
}

fn entries_of(disk: &FaultDisk, device: &str, seal: &SealRecord) -> Vec<Vec<u8>> {
    let entries = device_entries(disk, device, seal.base, Some(seal.end));
    entries.into_iter().map(|entry| entry.bytes).collect()
}

#[test]
fn every_device_of_every_segment_can_be_proven() {
    let disk = sealed();
    let reader = reader(&disk);
    let key = reader.public_key().unwrap();
    let mut proven = 0;
    for seal in reader.seals().unwrap().into_iter().flatten() {
        for device in ["", "one", "two", "three"] {
            let Some(proof) = reader.prove(device, seal.base).unwrap() else { continue };
            let proof = Proof::parse(&proof.to_bytes()).unwrap();
            assert_eq!(check_proof(&proof, &key, entries_of(&disk, device, &seal)), Ok(()));
            proven += 1;
        }
        assert_eq!(reader.prove("nobody", seal.base).unwrap(), None);
    }
    assert!(proven > 10);
    assert_eq!(reader.prove("one", Lsn(1)).unwrap(), None);
}

#[test]
fn nothing_else_can_be_proven() {
    let disk = sealed();
    let reader = reader(&disk);
    let key = reader.public_key().unwrap();
    let seal = reader.seals().unwrap()[0].unwrap();
    let proof = reader.prove("one", seal.base).unwrap().unwrap();
    let entries = entries_of(&disk, "one", &seal);
    assert!(entries.len() > 2 && !proof.path.is_empty());
    let check = |entries: &[Vec<u8>]| check_proof(&proof, &key, entries);
    assert_eq!(check(&entries), Ok(()));
    assert_eq!(check(&entries[1..]), Err(ProofError::Entries), "one left out");
    let mut swapped = entries.clone();
    swapped.swap(0, 1);
    assert_eq!(check(&swapped), Err(ProofError::Entries));
    let mut twice = entries.clone();
    twice.push(entries[0].clone());
    assert_eq!(check(&twice), Err(ProofError::Entries));
    for (number, entry) in entries.iter().enumerate() {
        for at in 0..entry.len() {
            let mut changed = entries.clone();
            changed[number][at] ^= 1;
            assert_eq!(check(&changed), Err(ProofError::Entries));
        }
    }
    let other = Proof { device: "two".to_owned(), ..proof.clone() };
    assert_eq!(check_proof(&other, &key, &entries), Err(ProofError::Entries));
    assert_eq!(check_proof(&proof, &[3; 32], &entries), Err(ProofError::Signature));
    let bytes = proof.to_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let holds = Proof::parse(&changed).is_some_and(|proof| check_proof(&proof, &key, &entries).is_ok());
        assert!(!holds, "byte {at}");
    }
    for change in [0, 1, 2, 3] {
        let mut record = proof.record;
        match change {
            0 => record.end.0 += 1,
            1 => record.created_at += 1,
            2 => record.previous[0] ^= 1,
            _ => record.node += 1,
        }
        let forged = Proof { record, ..proof.clone() };
        assert_eq!(check_proof(&forged, &key, &entries), Err(ProofError::Signature));
    }
}

/// What each device has in each sealed segment.
fn all_entries(disk: &FaultDisk) -> Vec<(SealRecord, &'static str, Vec<Vec<u8>>)> {
    let seals: Vec<SealRecord> = reader(disk).seals().unwrap().into_iter().flatten().collect();
    let of = |seal: SealRecord| DEVICES.map(|device| (seal, device, entries_of(disk, device, &seal)));
    seals.into_iter().flat_map(of).filter(|(_, _, entries)| !entries.is_empty()).collect()
}

fn prove_all(disk: &FaultDisk, all: &[(SealRecord, &str, Vec<Vec<u8>>)]) {
    let (reader, key) = (reader(disk), reader(disk).public_key().unwrap());
    for (seal, device, entries) in all {
        let proof = reader.prove(device, seal.base).unwrap();
        let proof = proof.unwrap_or_else(|| panic!("no proof of {device:?} in {}", seal.base));
        assert_eq!(check_proof(&proof, &key, entries), Ok(()), "{device:?} in {}", seal.base);
    }
}

fn remove_all(disk: &FaultDisk) -> usize {
    let held = retention::held(&reader(disk)).unwrap();
    let removals = retention::decide(&held, Some(Lsn(u64::MAX)), None);
    retention::remove(&reader(disk), &removals, &NoObserver).unwrap();
    removals.len()
}

const DEVICES: [&str; 4] = ["", "one", "two", "three"];

#[test]
fn a_removed_segment_is_proven_by_what_is_kept_of_it() {
    let disk = sealed();
    let all = all_entries(&disk);
    let removed = remove_all(&disk);
    assert!(removed > 3);
    prove_all(&disk, &all);
    assert_eq!((files(&disk, "leaves").len(), files(&disk, "index").len()), (removed, 1));
    let report = reader(&disk).verify(&[], None, &mut |_| {}).unwrap();
    assert_eq!((report.removed, report.provable, report.problems), (removed as u64, removed as u64, vec![]));
    let path = files(&disk, "leaves").remove(0);
    for offset in 0..disk.content(&path).unwrap().len() as u64 {
        disk.flip_bit(&path, offset, 2);
        let found: Vec<_> = problems(&disk).into_iter().map(|problem| (problem.path, problem.flaw)).collect();
        assert_eq!(found, [(path.clone(), Flaw::Leaves)], "offset {offset}");
        disk.flip_bit(&path, offset, 2);
    }
    assert_eq!(reader(&disk).remove_leaves(NOW).unwrap(), 0, "nothing was sealed before that");
    assert_eq!(reader(&disk).remove_leaves(i64::MAX).unwrap(), removed);
    assert_eq!(problems(&disk), []);
    let (seal, device, _) = &all[0];
    assert_eq!(reader(&disk).prove(device, seal.base).unwrap(), None);
}

#[test]
fn an_index_that_is_damaged_is_made_again_before_its_segment_goes() {
    let disk = sealed();
    let all = all_entries(&disk);
    let indexes = files(&disk, "index");
    disk.flip_bit(&indexes[0], 70, 1);
    remove_all(&disk);
    prove_all(&disk, &all);
}

#[test]
fn after_a_power_cut_during_removal_everything_is_proven_all_the_same() {
    let disk = sealed();
    let all = all_entries(&disk);
    let images = Arc::new(Mutex::new(Vec::new()));
    let taken = images.clone();
    disk.on_operation(move |disk, operation| {
        for cut in [PowerCut::Lost, PowerCut::Kept, PowerCut::Random(operation.ordinal)] {
            taken.lock().unwrap().push(disk.crash_image(cut));
        }
    });
    let removed = remove_all(&disk);
    disk.on_operation(|_, _| {});
    let images = std::mem::take(&mut *images.lock().unwrap());
    assert!(images.len() > removed * 9, "{}", images.len());
    for image in images {
        prove_all(&image, &all);
        remove_all(&image);
        prove_all(&image, &all);
        assert_eq!(problems(&image), []);
        assert_eq!(files(&image, "index").len(), 1, "no index is left without its segment");
    }
}
