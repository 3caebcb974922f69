//! Damage is found, named, and does not hide the rest.

use odograph_journal::{Error, Flaw, Kind, NewEntry, Options, retention};
use odograph_model::Lsn;
use odograph_testkit::FaultDisk;

use crate::bench::*;
use crate::round_trip::busy;

/// Two sealed segments with several devices.
fn sealed() -> FaultDisk {
    let mut bench = Bench::with(FaultDisk::new(), Options { segment_bytes: 1024, ..options() });
    busy(&mut bench, 4);
    let disk = bench.finish();
    assert_eq!(files(&disk, "segment").len(), 2);
    assert_eq!(problems(&disk), []);
    disk
}

#[test]
fn every_flipped_byte_of_a_segment_is_found_and_named() {
    let disk = sealed();
    let all = read_all(&disk);
    let bases: Vec<u64> = reader(&disk).stat().unwrap().segments.iter().map(|segment| segment.base.0).collect();
    for (path, base) in files(&disk, "segment").into_iter().zip(bases) {
        for offset in 0..disk.content(&path).unwrap().len() as u64 {
            disk.flip_bit(&path, offset, (offset % 8) as u8);
            let found = problems(&disk);
            assert_eq!(found.len(), 1, "offset {offset}: {found:?}");
            let problem = &found[0];
            assert_eq!(problem.path, path);
            match all.iter().find(|entry| (entry.lsn.0..entry.end().0).contains(&(base + offset))) {
                None => assert_eq!((&problem.flaw, problem.offset), (&Flaw::Header, Some(0)), "offset {offset}"),
                Some(entry) => {
                    assert!(matches!(problem.flaw, Flaw::Entry(_)), "offset {offset}: {problem}");
                    assert_eq!(problem.lsn, Some(entry.lsn));
                    assert_eq!(problem.offset, Some(entry.lsn.0 - base));
                    assert!(problem.kind == Some(entry.kind) || base + offset == entry.lsn.0 + 30);
                    let device = problem.device.as_deref().expect("the index knows the device");
                    assert!(entry.device.as_deref().is_none_or(|named| named == device));
                    let mine = device_entries_by_index(&all, device);
                    assert!(mine.contains(&entry.lsn), "offset {offset}: {device:?}");
                }
            }
            disk.flip_bit(&path, offset, (offset % 8) as u8);
        }
    }
    assert_eq!(problems(&disk), []);
}

/// Where a device's entries are, by a scan of all.
fn device_entries_by_index(all: &[Owned], device: &str) -> Vec<Lsn> {
    let mut bound = std::collections::BTreeMap::new();
    let mine = all.iter().filter(|entry| {
        if let Some(named) = &entry.device {
            bound.insert(entry.stream, named.clone());
        }
        bound.get(&entry.stream).map_or("", String::as_str) == device
    });
    mine.map(|entry| entry.lsn).collect()
}

#[test]
fn every_flipped_byte_of_an_index_and_of_the_chain_is_found_and_named() {
    let disk = sealed();
    let chain = disk.files().into_iter().filter(|path| path.ends_with("chain"));
    for path in files(&disk, "index").into_iter().chain(chain) {
        for offset in 0..disk.content(&path).unwrap().len() as u64 {
            disk.flip_bit(&path, offset, (offset % 8) as u8);
            let found = problems(&disk);
            let mine = found.iter().filter(|problem| problem.path == path);
            let flaws: Vec<_> = mine.map(|problem| (&problem.flaw, problem.offset)).collect();
            match flaws[..] {
                [(Flaw::Index(_), at)] => assert_eq!(at, Some(offset)),
                [(Flaw::Record(number), Some(at))] => assert_eq!((offset / 256, offset / 256 * 256), (*number, at)),
                _ => panic!("offset {offset} of {}: {found:?}", path.display()),
            }
            disk.flip_bit(&path, offset, (offset % 8) as u8);
        }
    }
}

#[test]
fn a_flipped_byte_of_the_key_is_found() {
    let disk = sealed();
    let path = disk.files().into_iter().find(|path| path.ends_with("signing.key")).unwrap();
    for offset in 0..disk.content(&path).unwrap().len() as u64 {
        disk.flip_bit(&path, offset, 0);
        assert!(problems(&disk).iter().any(|problem| problem.flaw == Flaw::Key));
        assert!(Bench::try_with(disk.clone(), options()).is_err(), "a new key must not replace it silently");
        disk.flip_bit(&path, offset, 0);
    }
}

#[test]
fn a_seal_of_another_key_and_an_exchanged_segment_are_found() {
    let disk = sealed();
    let found = reader(&disk).verify(&[[7; 32]], None, &mut |_| {}).unwrap().problems;
    let flaws: Vec<_> = found.into_iter().map(|problem| problem.flaw).collect();
    assert_eq!(flaws, [0, 1, 2].map(Flaw::Signature));
    // A segment that is whole in itself, in the place of the one that was sealed.
    let mut other = Bench::with(FaultDisk::new(), Options { segment_bytes: 1024, ..options() });
    busy(&mut other, 4);
    let other = other.finish();
    let path = &files(&disk, "segment")[0];
    let mut forged = other.content(path).unwrap();
    let at = forged.windows(6).position(|window| window == b"opened").unwrap();
    forged[at] = b'O';
    let entry_begin = 64;
    let length = u32::from_le_bytes(forged[entry_begin + 4..entry_begin + 8].try_into().unwrap()) as usize;
    let crc = crc32c(&forged[entry_begin + 4..entry_begin + length]);
    forged[entry_begin..entry_begin + 4].copy_from_slice(&crc.to_le_bytes());
    disk.put(path, &forged);
    let flaws: Vec<_> = problems(&disk).into_iter().map(|problem| problem.flaw).collect();
    assert!(flaws.contains(&Flaw::Root), "{flaws:?}");
    assert!(flaws.iter().any(|flaw| matches!(flaw, Flaw::Index(_))), "{flaws:?}");
}

/// CRC-32C, bit by bit, apart from the code under test.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn one_broken_entry_does_not_hide_the_rest() {
    let disk = sealed();
    let all = read_all(&disk);
    for (number, broken) in all.iter().enumerate() {
        let reader = reader(&disk);
        let base = reader.segment_begin(broken.lsn).unwrap().unwrap();
        let path = files(&disk, "segment").into_iter().find(|path| path.ends_with(format!("{:020}.segment", base.0)));
        let path = path.unwrap();
        disk.flip_bit(&path, broken.lsn.0 - base.0 + 20, 1);
        let mut entries = reader.entries(Lsn(0), None).unwrap();
        let mut seen = Vec::new();
        let mut errors = 0;
        loop {
            match entries.next() {
                Ok(Some(entry)) => seen.push(entry.lsn),
                Ok(None) => break,
                Err(Error::Broken(error)) => {
                    assert_eq!((error.lsn, &error.path, error.offset), (broken.lsn, &path, broken.lsn.0 - base.0));
                    errors += 1;
                    entries.resynchronise().unwrap();
                    assert!(errors == 1, "told once");
                }
                Err(other) => panic!("{other}"),
            }
        }
        let mut expected: Vec<_> = all.iter().map(|entry| entry.lsn).collect();
        expected.remove(number);
        assert_eq!((seen, errors), (expected, 1), "entry {number}");
        disk.flip_bit(&path, broken.lsn.0 - base.0 + 20, 1);
    }
}

#[test]
fn missing_files_are_problems_and_removed_segments_are_not() {
    let disk = sealed();
    let path = &files(&disk, "segment")[1];
    let content = disk.content(path).unwrap();
    odograph_env::Disk::remove(&disk, path).unwrap();
    let first = files(&disk, "segment");
    assert_eq!(first.len(), 1);
    assert!(problems(&disk).iter().any(|problem| problem.flaw == Flaw::Missing && problem.path == *path));
    disk.put(path, &content);
    let reader = reader(&disk);
    let held = retention::held(&reader).unwrap();
    assert_eq!(held.len(), 1, "the newest stays");
    let removals = retention::decide(&held, Some(held[0].end), None);
    retention::remove(&reader, &removals, &odograph_journal::NoObserver).unwrap();
    let report = reader.verify(&[], None, &mut |_| {}).unwrap();
    assert_eq!((report.problems, report.removed, report.sealed), (vec![], 1, 1));
    assert_eq!((reader.stat().unwrap().removed, retention::held(&reader).unwrap().len()), (1, 0));
    let left = held[0].end;
    assert_eq!(reader.oldest().unwrap(), Some(left));
    assert_eq!(read_all(&disk)[0].lsn.0, left.0 + 64);
    // The chain goes on over the gap.
    let mut bench = Bench::on(disk);
    let mut stream = bench.open_stream("one");
    bench.frame(&mut stream, "one", b"more");
    bench.commit();
    assert_eq!(problems(&bench.finish()), []);
}

#[test]
fn a_reader_goes_on_where_retention_has_left_off() {
    let mut bench = Bench::new();
    let mut stream = bench.open_stream("one");
    while reader(&bench.disk).seals().unwrap().len() < 4 {
        bench.frame(&mut stream, "one", &[7; 100]);
        bench.commit();
    }
    let reader = reader(&bench.disk);
    let all: Vec<_> = read_all(&bench.disk).iter().map(|entry| entry.lsn).collect();
    let (mut entries, mut of_device) =
        (reader.entries(Lsn(0), None).unwrap(), reader.device_entries("one", Lsn(0), None).unwrap());
    let mut telling = reader.device_entries("one", Lsn(0), None).unwrap();
    telling.stop_at_removed();
    assert_eq!(telling.begin(), Some(Lsn(0)));
    let first = (entries.next().unwrap().unwrap().lsn, of_device.next().unwrap().unwrap().lsn);
    assert_eq!(first, (all[0], all[0]));
    assert_eq!(telling.next_in_segment().unwrap().map(|(entry, segment)| (entry.lsn, segment)), Some((all[0], Lsn(0))));
    // The segment that is being read stays readable; those behind it go.
    let held = retention::held(&reader).unwrap();
    let removals = retention::decide(&held, Some(held[2].end), None);
    assert_eq!(removals.len(), 3);
    retention::remove(&reader, &removals, &odograph_journal::NoObserver).unwrap();
    let expected: Vec<_> =
        all.iter().copied().filter(|lsn| *lsn > all[0] && (lsn.0 < held[0].end.0 || *lsn >= held[2].end)).collect();
    let mut found = Vec::new();
    while let Some(entry) = entries.next().unwrap() {
        found.push(entry.lsn);
    }
    assert_eq!(found, expected);
    found.clear();
    while let Some(entry) = of_device.next().unwrap() {
        found.push(entry.lsn);
    }
    assert_eq!(found, expected);
    let (mut found, mut removed) = (Vec::new(), Vec::new());
    loop {
        match telling.next().unwrap() {
            Some(entry) => found.push(entry.lsn),
            None => match telling.take_removed() {
                Some(places) => removed.push((found.last().copied(), places)),
                None => break,
            },
        }
    }
    assert_eq!(found, expected);
    let before = expected.iter().copied().take_while(|lsn| *lsn < held[0].end).last();
    let told = [held[0].end..held[1].end, held[1].end..held[2].end].map(|places| (before, places));
    assert_eq!(removed, told, "each where it would have come");
    assert_eq!(reader.removed().unwrap(), held[2].end);
    assert_eq!(reader.device_entries("one", Lsn(0), None).unwrap().begin(), Some(held[2].end));
}

#[test]
fn an_unknown_kind_is_verified_like_any_other() {
    let mut bench = Bench::new();
    let mut stream = bench.open_stream("one");
    let entry = NewEntry { kind: Kind(250), at: NOW, identity: None, payload: b"later" };
    bench.journal.append(&mut stream, b"", None, &[entry]).unwrap();
    bench.commit();
    let disk = bench.finish();
    assert_eq!(problems(&disk), []);
    assert_eq!(device_entries(&disk, "one", Lsn(0), None).len(), 2);
}
