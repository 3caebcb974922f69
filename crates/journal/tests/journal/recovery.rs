//! What a process that died leaves behind, and what is made of it.

use std::path::Path;
use std::sync::Arc;

use odograph_journal::{CursorStore, Error, Header, Stop};
use odograph_model::Lsn;
use odograph_testkit::disk::PowerCut;

use crate::bench::*;

/// A journal with three frames in one segment that nobody ended; returns where the last begins and ends.
fn three_frames() -> (Bench, Lsn, Lsn) {
    let mut bench = Bench::new();
    let mut stream = bench.open_stream("one");
    bench.frame(&mut stream, "one", b"first");
    bench.frame(&mut stream, "one", b"second");
    let last = bench.frame(&mut stream, "one", b"third and last");
    bench.commit();
    (bench, last.first, last.end)
}

#[test]
fn a_tail_torn_at_any_byte_is_left_out_and_left_alone() {
    let (bench, begin, end) = three_frames();
    let path = files(&bench.disk, "segment").remove(0);
    let whole = bench.disk.content(&path).unwrap();
    for length in begin.0 as usize..end.0 as usize {
        for zeros in [0, 300] {
            let disk = bench.disk.crash_image(PowerCut::Lost);
            let mut torn = whole[..length].to_vec();
            torn.resize(length + zeros, 0);
            disk.put(&path, &torn);
            let found = Bench::on(disk.clone()).recovery.segments.remove(0);
            assert_eq!((found.end, found.entries, found.header), (begin, 3, Header::Whole), "length {length}");
            let used = torn.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1) as u64;
            assert_eq!(found.bytes_after, used.saturating_sub(begin.0));
            let in_tail = length - begin.0 as usize;
            let expected = match in_tail {
                0 if zeros == 0 => Stop::CleanEnd,
                0 => Stop::ZeroLength,
                _ if zeros == 0 => Stop::Truncated,
                // The length itself is torn off, or it is there and what it covers is not.
                1..5 => Stop::ZeroLength,
                _ => Stop::CrcMismatch,
            };
            assert_eq!(found.stop, expected, "length {length} and {zeros} zeros");
            let kept = disk.content(&path).unwrap();
            assert_eq!(kept, torn[..(used as usize).max(begin.0 as usize)]);
            assert_eq!(read_all(&disk).len(), 3);
            assert_eq!(problems(&disk), []);
        }
    }
}

#[test]
fn a_new_life_begins_a_new_segment_where_the_old_one_ended() {
    let (bench, _, end) = three_frames();
    let mut bench = Bench::on(bench.disk.crash_image(PowerCut::Random(3)));
    assert_eq!((bench.recovery.next, bench.journal.durable()), (end, end));
    assert_eq!(bench.reader().seals().unwrap().len(), 1);
    let (stream, opened) = bench.journal.open_stream(NOW, b"", None).unwrap();
    assert_eq!((opened.first.0, stream.id()), (end.0 + 64, end.0 + 64));
    bench.commit();
    assert_eq!(read_all(&bench.disk).len(), 5);
}

/// Before anything new is written, there is no segment behind what the crash left: whoever reads up to the durable mark gets there.
#[test]
fn a_reader_reaches_the_durable_mark_behind_what_a_crash_left() {
    let (bench, begin, end) = three_frames();
    let path = files(&bench.disk, "segment").remove(0);
    let whole = bench.disk.content(&path).unwrap();
    let next = Path::new(FOLDER).join(format!("{:020}.segment", end.0));
    let (begin, end) = (begin.0 as usize, end.0 as usize);
    let half = whole[..end - 5].to_vec();
    let mut broken = whole[..end].to_vec();
    broken[end - 3] ^= 1;
    let mut far = whole[..begin].to_vec();
    far.resize(end + 700, 0);
    far.extend_from_slice(b"junk");
    let lefts = [(&path, half, 3), (&path, broken, 3), (&path, far, 3), (&next, b"half a head".to_vec(), 4)];
    for (file, content, entries) in lefts {
        let disk = bench.disk.crash_image(PowerCut::Lost);
        disk.put(file, &content);
        let mut bench = Bench::on(disk);
        let durable = bench.journal.durable();
        assert!(durable.0 as usize > begin && durable == bench.recovery.next);
        let mut reading = bench.reader().entries(Lsn(0), Some(durable)).unwrap();
        let mut count = 0;
        while reading.next().unwrap().is_some() {
            count += 1;
        }
        assert_eq!((count, reading.place()), (entries, durable));
        // A life later, in which nothing was written, nobody misses anything.
        let mut cursors = CursorStore::open(Arc::new(bench.disk.clone()), Path::new(FOLDER)).unwrap();
        cursors.set([("reader", Some(durable))]).unwrap();
        bench = Bench::on(bench.disk.kill_image());
        assert_eq!((bench.recovery.next, bench.recovery.holes.as_slice()), (durable, &[][..]));
        reading = bench.reader().entries(durable, Some(durable)).unwrap();
        assert!(reading.next().unwrap().is_none());
        // And from there on, as ever.
        bench.open_stream("two");
        bench.commit();
        reading.set_until(Some(bench.journal.durable()));
        assert!(reading.next().unwrap().is_some());
        while reading.next().unwrap().is_some() {}
        assert_eq!(reading.place(), bench.journal.durable());
        assert_eq!(problems(&bench.disk), []);
    }
}

/// A segment that was torn has its seal later than the next one is begun, where the disk was full. Who reads on and on waits for it; who
/// reads once is told of what cannot be read; and where a later segment has a seal, this one's is lost.
#[test]
fn a_seal_that_may_come_is_waited_for_and_one_that_is_lost_is_not() {
    let (bench, begin, end) = three_frames();
    let path = files(&bench.disk, "segment").remove(0);
    let mut torn = bench.disk.content(&path).unwrap();
    torn[end.0 as usize - 3] ^= 1;
    torn.truncate(end.0 as usize);
    let disk = bench.disk.crash_image(PowerCut::Lost);
    disk.put(&path, &torn);
    let mut bench = Bench::on(disk);
    let durable = bench.journal.durable();
    bench.open_stream("two");
    bench.commit();
    let mark = bench.journal.durable();
    let read = |disk: &odograph_testkit::FaultDisk, waits: bool| {
        let mut reading = reader(disk).entries(Lsn(0), Some(mark)).unwrap();
        if waits {
            reading.wait_for_seals();
        }
        let mut broken = 0;
        loop {
            match reading.next() {
                Ok(Some(_)) => {}
                Ok(None) => return (broken, reading.place()),
                Err(_) => {
                    broken += 1;
                    reading.resynchronise().unwrap();
                }
            }
        }
    };
    assert_eq!(read(&bench.disk, true), (0, mark), "it has its seal");
    let chain = bench.disk.content(&Path::new(FOLDER).join("chain")).unwrap();
    let begun = chain.len() - 256;
    bench.disk.put(&Path::new(FOLDER).join("chain"), &chain[..begun]);
    assert_eq!(read(&bench.disk, true), (0, begin), "not yet");
    assert_eq!(read(&bench.disk, false), (1, mark));
    bench.disk.put(&Path::new(FOLDER).join("chain"), &chain);
    // The next life seals the other one.
    let bench = Bench::on(bench.disk.kill_image());
    bench.disk.flip_bit(&Path::new(FOLDER).join("chain"), begun as u64 + 20, 0);
    assert_eq!(read(&bench.disk, true), (1, mark));
    assert!(durable > begin);
}

/// Where all that there was is put aside, the durable mark is behind no segment at all.
#[test]
fn a_reader_reaches_the_durable_mark_where_nothing_else_is_left() {
    let disk = odograph_testkit::FaultDisk::new();
    disk.put(&Path::new(FOLDER).join(format!("{:020}.segment", 0)), b"half a head");
    let bench = Bench::on(disk);
    let durable = bench.journal.durable();
    assert_eq!(durable, Lsn(11));
    let mut reading = bench.reader().entries(Lsn(0), Some(durable)).unwrap();
    assert!(reading.next().unwrap().is_none());
    assert_eq!(reading.place(), durable);
}

#[test]
fn damage_in_the_middle_tells_that_whole_entries_follow() {
    let (bench, begin, end) = three_frames();
    let disk = bench.disk.crash_image(PowerCut::Kept);
    let path = files(&disk, "segment").remove(0);
    disk.flip_bit(&path, begin.0 - 3, 0);
    let mut bench = Bench::on(disk.clone());
    let found = bench.recovery.segments.remove(0);
    assert_eq!((found.entries, found.stop, found.entries_after), (2, Stop::CrcMismatch, 1));
    assert_eq!(found.end.0 + found.bytes_after, end.0);
    assert_eq!(disk.content(&path).unwrap().len() as u64, end.0, "nothing is destroyed");
    assert_eq!(bench.recovery.next, end, "a place that was used is not used again");
    bench.open_stream("two");
    bench.commit();
    assert_eq!(read_all(&disk).len(), 3, "reading goes on behind what cannot be read");
    assert_eq!(device_entries(&disk, "two", Lsn(0), None).len(), 1);
    assert_eq!(problems(&disk), []);
}

#[test]
fn damage_before_an_entry_that_ends_where_the_next_segment_begins() {
    let (bench, begin, end) = three_frames();
    let disk = bench.disk.crash_image(PowerCut::Kept);
    disk.flip_bit(&files(&disk, "segment")[0], begin.0 - 3, 0);
    disk.put(&Path::new(FOLDER).join(format!("{:020}.segment", end.0)), b"half a head");
    let found = Bench::on(disk).recovery.segments.remove(0);
    assert_eq!((found.entries, found.stop, found.entries_after), (2, Stop::CrcMismatch, 1));
}

#[test]
fn a_damaged_header_costs_no_entries() {
    let (bench, _, end) = three_frames();
    let disk = bench.disk.crash_image(PowerCut::Kept);
    disk.flip_bit(&files(&disk, "segment")[0], 20, 0);
    let found = Bench::on(disk.clone()).recovery.segments.remove(0);
    assert_eq!((found.header, found.entries, found.end), (Header::Rewritten, 4, end));
    assert_eq!(problems(&disk), []);
}

#[test]
fn what_never_became_a_segment_is_removed_or_put_aside() {
    let (bench, _, end) = three_frames();
    for (content, aside) in [(vec![], false), (vec![0; 512], false), (b"half a head".to_vec(), true)] {
        let disk = bench.disk.crash_image(PowerCut::Lost);
        let path = Path::new(FOLDER).join(format!("{:020}.segment", end.0));
        disk.put(&path, &content);
        let recovered = Bench::on(disk.clone());
        assert_eq!(recovered.recovery.segments[1].header, Header::Unreadable);
        let kept = if aside { content.len() as u64 } else { 0 };
        assert_eq!(recovered.recovery.next, Lsn(end.0 + kept));
        assert_eq!(disk.content(&path), None);
        assert_eq!(disk.content(&recovered.recovery.segments[1].path), aside.then_some(content));
    }
}

#[test]
fn a_segment_without_entries_is_no_obstacle() {
    let (bench, _, end) = three_frames();
    let mut disk = bench.disk;
    for _ in 0..3 {
        // The power goes between the creation of a segment and its first entries.
        let mut next = Bench::on(disk.clone());
        disk.fail_write_after(1);
        next.open_stream("one");
        next.committer.commit_step().unwrap_err();
        disk = disk.crash_image(PowerCut::Lost);
    }
    let mut last = Bench::on(disk.clone());
    assert!(last.recovery.next >= end);
    last.open_stream("two");
    last.commit();
    assert_eq!(read_all(&last.disk).len(), 5);
    assert_eq!(problems(&last.disk), []);
}

#[test]
fn another_nodes_folder_is_refused() {
    let (bench, ..) = three_frames();
    let disk = bench.disk.crash_image(PowerCut::Lost);
    let other = odograph_journal::Options { node: 8, ..options() };
    assert!(matches!(Bench::try_with(disk, other), Err(Error::WrongNode { found: 7, expected: 8, .. })));
}

#[test]
fn the_last_seal_is_written_again_if_it_was_torn() {
    let (bench, ..) = three_frames();
    let disk = bench.finish();
    let chain = disk.files().into_iter().find(|path| path.ends_with("chain")).unwrap();
    let whole = disk.content(&chain).unwrap();
    // Before it is the record with which the chain begins.
    for length in 256..whole.len() {
        let image = disk.crash_image(PowerCut::Lost);
        image.put(&chain, &whole[..length]);
        let recovered = Bench::on(image.clone());
        assert_eq!(recovered.recovery.segments.len(), 1);
        assert_eq!(recovered.recovery.segments[0].index_agrees, Some(true));
        assert_eq!((recovered.recovery.chain_cut, recovered.recovery.seals_lost), (length > 256, false));
        assert_eq!(problems(&image), [], "length {length}");
    }
}
