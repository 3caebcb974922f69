//! One device's data can be proven to somebody who has nothing but the public key.

use odograph_journal::{Proof, ProofError, SealRecord, check_proof};
use odograph_model::Lsn;
use odograph_testkit::FaultDisk;

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
