//! What is erased is gone from every file, and everybody else's proofs hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use odograph_journal::{
    Error, Identity, Kind, NewEntry, NoObserver, Part, Proof, ProofError, Reader, SEAL_RECORD_BYTES, Stream, Whose,
    check_proof, retention,
};
use odograph_model::Lsn;
use odograph_testkit::FaultDisk;
use odograph_testkit::disk::PowerCut;

use crate::bench::*;

const GONE: &str = "867000000000017";
const OTHER: &str = "867000000000025";
const SHARED: &str = "867000000000033";
/// Names that sort before and behind.
const DEVICES: [&str; 4] = ["861000000000019", GONE, OTHER, "869000000000018"];
/// Removes segments meanwhile.
static NOBODY: Mutex<()> = Mutex::new(());
const MARK: &[u8] = b"the secret of the device";

fn of<'a>(device: &'a str, tenant: &'a str) -> Identity<'a> {
    Identity { device, decision: tenant.as_bytes() }
}

/// A frame of a stream that is bound to a tenant's device.
fn frame(bench: &Bench, stream: &mut Stream, identity: Identity<'_>, payload: &[u8]) {
    let entries = [Kind::FRAME, Kind::SENT].map(|kind| NewEntry { kind, at: NOW + 1, identity: None, payload });
    bench.journal.append(stream, identity.device.as_bytes(), Some(identity), &entries).unwrap();
}

/// Several devices over several segments, one of them twice on a line that it shares with another, and one name that two tenants have.
fn busy() -> FaultDisk {
    let mut bench = Bench::new();
    let mut lines: Vec<(Stream, Identity<'_>)> = Vec::new();
    for (number, device) in DEVICES.into_iter().enumerate() {
        let opened = bench.journal.open_stream(NOW, b"opened", None).unwrap().0;
        lines.push((opened, of(device, if number % 2 == 0 { "north" } else { "south" })));
    }
    for tenant in ["north", "south"] {
        let identity = of(SHARED, tenant);
        lines.push((bench.journal.open_stream(NOW, b"opened", Some(identity)).unwrap().0, identity));
    }
    for round in 0..14_u8 {
        for (number, (stream, identity)) in lines.iter_mut().enumerate() {
            let payload = [MARK, identity.device.as_bytes(), identity.decision, &[round, number as u8]].concat();
            if round == 0 {
                let entry = NewEntry { kind: Kind::FRAME, at: NOW, identity: Some(*identity), payload: &payload };
                bench.journal.append(stream, b"opened", None, &[entry]).unwrap();
            } else if round % 5 != number as u8 {
                frame(&bench, stream, *identity, &payload);
            }
        }
        if round == 6 {
            // A line that carries one device, then another one, and the first again.
            for device in [GONE, OTHER] {
                let identity = of(device, "north");
                let entry = NewEntry { kind: Kind::FRAME, at: NOW, identity: Some(identity), payload: MARK };
                let (stream, own) = &mut lines[2];
                bench.journal.append(stream, b"both", Some(*own), &[entry]).unwrap();
            }
        }
        bench.journal.note(NOW, b"note").unwrap();
        bench.commit();
    }
    bench.finish()
}

fn device(device: &'static str, tenant: &'static str) -> impl Fn(Identity<'_>) -> bool {
    move |identity| identity.device == device && identity.decision == tenant.as_bytes()
}

/// Orders, if it is not ordered, and carries out.
fn erase(disk: &FaultDisk, name: Option<&str>, belongs: &dyn Fn(Identity<'_>) -> bool) -> odograph_journal::Erasure {
    let reader = reader(disk);
    let open = reader.erasures().unwrap().into_iter().find(|order| order.done.is_none());
    let order = match open {
        Some(order) => order.order,
        None => {
            let end = reader.seals().unwrap().into_iter().flatten().last().unwrap().end;
            reader.order_erasure(NOW, end, b"whose", 1).unwrap()
        }
    };
    let done = reader
        .erase(order, &Whose { device: name, belongs, removed: &|_, _| Part::All, goes_on: &|| true }, &NOBODY)
        .unwrap();
    reader.finish_erasure(order, NOW + 9).unwrap();
    done
}

fn has(disk: &FaultDisk, text: &[u8]) -> Vec<String> {
    let has = |path: &std::path::PathBuf| disk.content(path).unwrap().windows(text.len()).any(|bytes| bytes == text);
    disk.files().into_iter().filter(has).map(|path| path.display().to_string()).collect()
}

/// Everything that can be read, by device and place.
fn all(disk: &FaultDisk) -> BTreeMap<Lsn, Owned> {
    read_all(disk).into_iter().map(|entry| (entry.lsn, entry)).collect()
}

/// All proofs of a device, each with its entries.
fn proofs(reader: &Reader, disk: &FaultDisk, device: &str) -> Vec<(Proof, Vec<Vec<u8>>)> {
    let mut proofs = Vec::new();
    for seal in reader.seals().unwrap().into_iter().flatten() {
        if let Some(proof) = reader.prove(device, seal.base).unwrap() {
            let entries = device_entries(disk, device, seal.base, Some(seal.end));
            proofs.push((proof, entries.into_iter().map(|entry| entry.bytes).collect()));
        }
    }
    proofs
}

/// The disk is as after the erasure of [`GONE`], and everything else as before.
fn check_erased(disk: &FaultDisk, before: &FaultDisk, what: &str) {
    let reader = reader(disk);
    let key = reader.public_key().unwrap();
    let mut expected = all(before);
    let gone: Vec<Lsn> = device_entries(before, GONE, Lsn(0), None).iter().map(|entry| entry.lsn).collect();
    gone.iter().for_each(|lsn| drop(expected.remove(lsn)));
    assert_eq!(all(disk), expected, "{what}: what others sent is as it was");
    assert_eq!(device_entries(disk, GONE, Lsn(0), None), [], "{what}");
    assert_eq!(proofs(&reader, disk, GONE), [], "{what}");
    for other in ["", "861000000000019", OTHER, "869000000000018", SHARED] {
        let (now, then) = (proofs(&reader, disk, other), proofs(&crate::bench::reader(before), before, other));
        assert_eq!(now, then, "{what}: {other}");
        assert!(!now.is_empty());
        for (proof, entries) in now {
            assert_eq!(check_proof(&proof, &key, &entries), Ok(()), "{what}: {other}");
            assert_eq!(check_proof(&proof, &key, &entries[1..]), Err(ProofError::Entries));
        }
    }
    let report = reader.verify(&[], None, &mut |_| {}).unwrap();
    assert_eq!(report.problems, [], "{what}");
    assert_eq!(report.erased, gone.len() as u64, "{what}");
    assert_eq!(report.erasures.len(), 1, "{what}");
    assert_eq!(report.erasures[0].entries, gone.len() as u64, "{what}");
}

#[test]
fn one_device_goes_and_every_proof_of_others_holds() {
    let before = busy();
    let disk = before.kill_image();
    assert!(has(&disk, GONE.as_bytes()).len() > 3);
    let belongs = device(GONE, "south");
    let north = device(GONE, "north");
    let both = move |identity: Identity<'_>| belongs(identity) || north(identity);
    let whose = Whose { device: Some(GONE), belongs: &both, removed: &|_, _| Part::All, goes_on: &|| true };
    let would = reader(&disk).would_erase(&whose).unwrap();
    let done = erase(&disk, Some(GONE), &both);
    assert_eq!((done.entries, done.bytes, done.segments), (would.entries, would.bytes, would.segments));
    assert!(done.entries > 20 && done.segments > 3);
    check_erased(&disk, &before, "erased");
    // What a line that it shared with another one says of itself is the other one's.
    assert_eq!(has(&disk, GONE.as_bytes()), Vec::<String>::new());
    assert!(!has(&disk, OTHER.as_bytes()).is_empty() && !has(&disk, MARK).is_empty());
    // Again is the same, and there is nothing to do any more.
    assert_eq!(reader(&disk).would_erase(&whose).unwrap().entries, 0);
    // The journal goes on, and the device may come again.
    let mut bench = Bench::on(disk);
    assert_eq!(bench.recovery.segments, []);
    let mut stream = bench.open_stream(GONE);
    bench.frame(&mut stream, GONE, b"anew");
    bench.commit();
    let disk = bench.finish();
    assert_eq!(device_entries(&disk, GONE, Lsn(0), None).len(), 2);
    assert_eq!(problems(&disk), []);
}

#[test]
fn a_flip_in_what_was_erased_is_found_like_any_other() {
    let disk = busy();
    erase(&disk, Some(GONE), &|_| true);
    for path in files(&disk, "segment").into_iter().take(2).chain(files(&disk, "index").into_iter().take(2)) {
        for at in 0..disk.content(&path).unwrap().len() as u64 {
            let other = disk.kill_image();
            other.flip_bit(&path, at, 3);
            assert!(!problems(&other).is_empty(), "{} at {at}", path.display());
        }
    }
}

#[test]
fn an_entry_that_is_erased_without_an_order_is_told() {
    let disk = busy();
    erase(&disk, Some(GONE), &|_| true);
    let path = std::path::Path::new(FOLDER).join("erasures");
    let orders = disk.content(&path).unwrap();
    disk.put(&path, b"");
    assert!(!problems(&disk).is_empty());
    disk.put(&path, &orders);
    assert_eq!(problems(&disk), []);
}

#[test]
fn a_tenant_goes_and_one_of_the_same_name_stays_without_its_proof() {
    let before = busy();
    let disk = before.kill_image();
    let is_north = |identity: Identity<'_>| identity.decision == b"north";
    let done = erase(&disk, None, &is_north);
    assert_eq!(problems(&disk), []);
    assert_eq!(has(&disk, b"north"), Vec::<String>::new());
    let left = |disk: &FaultDisk, name: &str| {
        let south = [name.as_bytes(), b"south"].concat();
        let is_south = |entry: &Owned| entry.payload.windows(south.len()).any(|bytes| bytes == south);
        device_entries(disk, name, Lsn(0), None).into_iter().filter(is_south).collect::<Vec<_>>()
    };
    for name in [SHARED, GONE, "869000000000018"] {
        assert_eq!(left(&disk, name), left(&before, name), "{name}");
        assert!(!left(&disk, name).is_empty());
    }
    // Those that had a leaf for themselves can be proven, and what shared one cannot any more.
    let reader = reader(&disk);
    assert!(!proofs(&reader, &disk, "869000000000018").is_empty());
    let (now, then) = (proofs(&reader, &disk, SHARED), proofs(&crate::bench::reader(&before), &before, SHARED));
    assert!(now.len() < then.len() && now.iter().all(|proof| then.contains(proof)), "what was in one leaf with it");
    assert!(reader.leaves(Lsn(0)).unwrap().unwrap().is_rest(SHARED));
    assert_eq!(reader.leaves(Lsn(0)).unwrap().unwrap().erased(), 3);
    // Then the other one as well.
    let again = erase(&disk, None, &|identity| identity.decision == b"south");
    assert!(again.order == 2 && again.entries > 0 && done.entries > 0);
    assert_eq!(problems(&disk), []);
    for name in DEVICES.into_iter().chain([SHARED]) {
        assert_eq!(has(&disk, name.as_bytes()), Vec::<String>::new());
    }
    assert_eq!(has(&disk, MARK), Vec::<String>::new());
    assert!(!proofs(&reader, &disk, "").is_empty(), "what is nobody's");
}

#[test]
fn of_segments_that_were_removed_the_name_goes() {
    let before = busy();
    let disk = before.kill_image();
    let held = retention::held(&reader(&disk)).unwrap();
    let removals = retention::decide(&held[..3], Some(held[2].end), None);
    retention::remove(&reader(&disk), &removals, &NoObserver).unwrap();
    let kept = disk.kill_image();
    erase(&disk, Some(GONE), &|_| true);
    assert_eq!(has(&disk, GONE.as_bytes()), Vec::<String>::new());
    assert_eq!(problems(&disk), []);
    let key = reader(&disk).public_key().unwrap();
    for seal in reader(&disk).seals().unwrap().into_iter().flatten() {
        assert_eq!(reader(&disk).prove(GONE, seal.base).unwrap(), None);
        let Some(proof) = reader(&disk).prove(OTHER, seal.base).unwrap() else { continue };
        let entries = device_entries(&before, OTHER, seal.base, Some(seal.end));
        assert_eq!(check_proof(&proof, &key, entries.iter().map(|entry| &entry.bytes)), Ok(()));
    }
    // What another tenant's device of this name had in the leaf is not proven any more, and named. Then that goes, too.
    let reader = reader(&kept);
    let end = reader.seals().unwrap().into_iter().flatten().last().unwrap().end;
    for (part, is_named) in [(Part::Nothing, true), (Part::Some, true), (Part::All, false)] {
        let order = reader.order_erasure(NOW, end, b"whose", 1).unwrap();
        let whose = Whose { device: Some(GONE), belongs: &|_| true, removed: &|_, _| part, goes_on: &|| true };
        reader.erase(order, &whose, &NOBODY).unwrap();
        reader.finish_erasure(order, NOW).unwrap();
        assert_eq!(problems(&kept), []);
        let having = has(&kept, GONE.as_bytes());
        assert!(
            having.iter().all(|path| path.ends_with(".leaves")) && having.is_empty() != is_named,
            "{part:?}: {having:?}"
        );
        let leaves = reader.leaves(Lsn(0)).unwrap().unwrap();
        assert_eq!((leaves.is_rest(GONE), leaves.proof(GONE).is_some()), (part == Part::Some, part == Part::Nothing));
    }
}

#[test]
fn an_index_that_is_lost_afterwards_is_made_again() {
    let before = busy();
    let disk = before.kill_image();
    erase(&disk, Some(GONE), &|_| true);
    let index = files(&disk, "index")[1].clone();
    let was = disk.content(&index).unwrap();
    odograph_env::Disk::remove(&disk, &index).unwrap();
    let bench = Bench::on(disk.clone());
    assert_eq!(bench.recovery.indexes_missing, 1);
    let disk = bench.finish();
    assert_eq!(disk.content(&index).unwrap(), was);
    check_erased(&disk, &before, "made again");
}

#[test]
fn without_a_seal_nothing_is_ordered_and_what_is_ordered_is_not_done() {
    let whole = busy();
    let chain = std::path::Path::new(FOLDER).join("chain");
    let end = reader(&whole).seals().unwrap().into_iter().flatten().last().unwrap().end;
    let ordered = whole.kill_image();
    let order = reader(&ordered).order_erasure(NOW, end, b"whose", 1).unwrap();
    let bytes = whole.content(&chain).unwrap();
    let mut places = Vec::new();
    for (number, record) in bytes.chunks(SEAL_RECORD_BYTES).enumerate() {
        places.extend(record.iter().any(|byte| *byte != 0).then_some(number * SEAL_RECORD_BYTES));
    }
    assert!(places.len() > 3);
    let whose = Whose { device: Some(GONE), belongs: &|_| true, removed: &|_, _| Part::All, goes_on: &|| true };
    let is_refused = |done: Result<(), Error>| assert!(matches!(done, Err(Error::Damaged { .. })), "{done:?}");
    for place in places {
        let disk = whole.kill_image();
        disk.flip_bit(&chain, place as u64 + 50, 0);
        is_refused(reader(&disk).order_erasure(NOW, end, b"whose", 1).map(drop));
        assert_eq!(reader(&disk).erasures().unwrap(), []);
        let disk = ordered.kill_image();
        disk.flip_bit(&chain, place as u64 + 50, 0);
        is_refused(reader(&disk).erase(order, &whose, &NOBODY).map(drop));
        assert!(reader(&disk).erasures().unwrap()[0].done.is_none());
        assert_eq!(all(&disk), all(&whole), "nothing was overwritten");
        // Mended, it goes on.
        disk.put(&chain, &bytes);
        erase(&disk, Some(GONE), &|_| true);
        check_erased(&disk, &whole, "mended");
    }
    // A segment that the chain does not tell of.
    let disk = ordered.kill_image();
    let stray = files(&whole, "segment").first().unwrap().with_file_name(format!("{:020}.segment", end.0 - 1));
    disk.put(&stray, &whole.content(&files(&whole, "segment")[0]).unwrap());
    is_refused(reader(&disk).erase(order, &whose, &NOBODY).map(drop));
    is_refused(reader(&disk).order_erasure(NOW, end, b"whose", 1).map(drop));
}

#[test]
fn whoever_removes_segments_waits_for_one_of_them_and_not_for_all() {
    let disk = busy();
    let reader = reader(&disk);
    let end = reader.seals().unwrap().into_iter().flatten().last().unwrap().end;
    let order = reader.order_erasure(NOW, end, b"whose", 1).unwrap();
    let (removing, asked) = (Mutex::new(()), std::cell::Cell::new(0));
    let belongs = |_: Identity<'_>| {
        assert!(removing.try_lock().is_err(), "no segment goes while it is looked at");
        true
    };
    let goes_on = || {
        assert!(removing.try_lock().is_ok(), "between two of them there is room");
        asked.set(asked.get() + 1);
        true
    };
    let whose = Whose { device: Some(GONE), belongs: &belongs, removed: &|_, _| Part::All, goes_on: &goes_on };
    let done = reader.erase(order, &whose, &removing).unwrap();
    assert!(done.segments > 3 && asked.get() > 2 * done.segments, "{} of {}", asked.get(), done.segments);
}

#[test]
fn a_segment_that_is_removed_between_two_steps_loses_the_name_all_the_same() {
    let before = busy();
    let disk = before.kill_image();
    let end = reader(&disk).seals().unwrap().into_iter().flatten().last().unwrap().end;
    let order = reader(&disk).order_erasure(NOW, end, b"whose", 1).unwrap();
    let segments = reader(&disk).seals().unwrap().into_iter().flatten().count();
    let asked = std::cell::Cell::new(0);
    let goes_on = || {
        asked.set(asked.get() + 1);
        // All leaves were noted, and nothing was overwritten.
        if asked.get() == segments + 1 {
            let held = retention::held(&reader(&disk)).unwrap();
            let removals = retention::decide(&held[..3], Some(held[2].end), None);
            retention::remove(&reader(&disk), &removals, &NoObserver).unwrap();
        }
        true
    };
    let whose = Whose { device: Some(GONE), belongs: &|_| true, removed: &|_, _| Part::Nothing, goes_on: &goes_on };
    reader(&disk).erase(order, &whose, &NOBODY).unwrap();
    reader(&disk).finish_erasure(order, NOW).unwrap();
    assert!(asked.get() > segments);
    assert_eq!(has(&disk, GONE.as_bytes()), Vec::<String>::new());
    assert_eq!(problems(&disk), []);
}

#[test]
fn what_a_kill_left_half_overwritten_is_finished_and_nothing_else() {
    let before = busy();
    let gone: Vec<Lsn> = device_entries(&before, GONE, Lsn(0), None).iter().map(|entry| entry.lsn).collect();
    let others = |disk: &FaultDisk| {
        let mut all = all(disk);
        gone.iter().for_each(|lsn| drop(all.remove(lsn)));
        all
    };
    let expected = others(&before);
    let segments = |disk: &FaultDisk| -> Vec<Vec<u8>> {
        files(disk, "segment").iter().map(|path| disk.content(path).unwrap()).collect()
    };
    let (mut changed, mut half) = (BTreeMap::<usize, u32>::new(), 0);
    for (image, what) in images_of_an_erasure(&before.kill_image()) {
        let open = reader(&image).erasures().unwrap().into_iter().find(|order| order.done.is_none());
        let Some(order) = open else { continue };
        let is_half = !can_be_read(&image);
        half += u32::from(is_half);
        let was = segments(&image);
        let whose = Whose { device: Some(GONE), belongs: &|_| true, removed: &|_, _| Part::All, goes_on: &|| true };
        reader(&image).finish_begun(order.order, &whose, &NOBODY).unwrap();
        let different = was.iter().zip(&segments(&image)).filter(|(was, is)| was != is).count();
        *changed.entry(different).or_default() += 1;
        assert_eq!(others(&image), expected, "{what}");
        if is_half {
            // Then the rest.
            erase(&image, Some(GONE), &|_| true);
            check_erased(&image, &before, &what);
        }
    }
    assert!(half > 0 && changed.keys().all(|count| *count <= 1) && changed.len() == 2, "{half} {changed:?}");
}

fn can_be_read(disk: &FaultDisk) -> bool {
    let mut entries = reader(disk).entries(Lsn(0), None).unwrap();
    loop {
        match entries.next() {
            Ok(Some(_)) => {}
            read => return read.is_ok(),
        }
    }
}

/// What the disk has at each step, as a power cut would leave it.
fn images_of_an_erasure(disk: &FaultDisk) -> Vec<(FaultDisk, String)> {
    let images = Arc::new(Mutex::new(Vec::new()));
    disk.on_operation({
        let images = Arc::clone(&images);
        move |disk, operation| {
            let seed = operation.ordinal * 10;
            for cut in [PowerCut::Random(seed), if seed % 20 == 0 { PowerCut::Lost } else { PowerCut::Kept }] {
                images.lock().unwrap().push((disk.crash_image(cut), format!("{cut:?} at {operation:?}")));
            }
        }
    });
    erase(disk, Some(GONE), &|_| true);
    let images = std::mem::take(&mut *images.lock().unwrap());
    assert!(images.len() > 300, "{}", images.len());
    images
}

#[test]
fn the_power_may_go_at_any_moment() {
    let before = busy();
    let images = images_of_an_erasure(&before.kill_image());
    let (mut not_begun, mut finished) = (0, 0);
    for (image, what) in images {
        let orders = reader(&image).erasures().unwrap();
        // Whoever starts next opens the journal first.
        let image = Bench::on(image).finish();
        match orders.first() {
            None => {
                not_begun += 1;
                assert_eq!((all(&image), problems(&image)), (all(&before), Vec::new()), "{what}");
            }
            Some(order) => {
                finished += u64::from(order.done.is_some());
                if order.done.is_none() {
                    erase(&image, Some(GONE), &|_| true);
                }
                check_erased(&image, &before, &what);
                assert_eq!(has(&image, GONE.as_bytes()), Vec::<String>::new(), "{what}");
            }
        }
    }
    assert!(not_begun > 0 && finished > 0);
}

#[test]
fn a_segment_ends_when_somebody_wants_it_sealed() {
    let mut bench = Bench::new();
    let mut stream = bench.open_stream(GONE);
    let end = bench.journal.end_segment();
    bench.commit();
    let sealed = |bench: &Bench| bench.reader().seals().unwrap().into_iter().flatten().last().map(|seal| seal.end);
    assert_eq!(sealed(&bench), Some(end));
    // With nothing in it, nothing is sealed.
    assert_eq!(bench.journal.end_segment(), end);
    bench.committer.commit_step().unwrap();
    bench.frame(&mut stream, GONE, b"more");
    bench.commit();
    assert_eq!(sealed(&bench), Some(end));
    let end = bench.journal.end_segment();
    bench.committer.commit_step().unwrap();
    assert_eq!(sealed(&bench), Some(end));
    let context = device_entries(&bench.disk, GONE, end, None);
    assert_eq!(context, []);
}
