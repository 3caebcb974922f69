//! What comes out of a ring: the right items or none, and never more than fits.

use super::*;
use odograph_model::{Key, Time};

fn item(lsn: u64) -> Item {
    let mut record = Record::at(Time(7));
    record.set(Key::PositionSpeed, lsn as f64);
    Item { lsn: Lsn(lsn), records: vec![record], malformed: None, state: None, begun: None }
}

fn taken(outlet: &mut Outlet, places: &[u64]) -> Vec<Option<u64>> {
    let take = |place: &u64| outlet.take(Lsn(*place)).inspect(|found| assert_eq!(*found, item(*place)));
    places.iter().map(take).map(|found| found.map(|item| item.lsn.0)).collect()
}

#[test]
fn items_come_out_by_place_in_whatever_order_they_went_in() {
    let (inlet, mut outlet) = ring(1 << 20);
    for place in [20, 10, 30, 5, 25] {
        inlet.put(item(place));
    }
    assert_eq!(taken(&mut outlet, &[5, 10]), [Some(5), Some(10)]);
    // One that comes late is found if it is still asked for, and forgotten if not.
    inlet.put(item(15));
    inlet.put(item(8));
    assert_eq!(taken(&mut outlet, &[15, 20, 22, 30]), [Some(15), Some(20), None, Some(30)]);
    assert_eq!((outlet.bytes(), outlet.dropped()), (0, 0), "what was passed over is forgotten");
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    let one = item(1).bytes();
    assert!(one > size_of::<Record>() as u64, "a record's values count");
    let (inlet, mut outlet) = ring(2 * one);
    inlet.put(item(1));
    assert!(inlet.has_room());
    inlet.put(item(2));
    assert!(!inlet.has_room());
    inlet.put(item(3));
    assert_eq!((outlet.bytes(), outlet.dropped()), (2 * one, 1));
    assert_eq!(taken(&mut outlet, &[1]), [Some(1)]);
    inlet.put(item(4));
    assert_eq!(taken(&mut outlet, &[2, 3, 4]), [Some(2), None, Some(4)]);
    assert_eq!((outlet.bytes(), outlet.dropped()), (0, 1));
    // One byte less, and the second does not fit.
    let (inlet, outlet) = ring(2 * one - 1);
    inlet.put(item(1));
    inlet.put(item(2));
    assert_eq!((outlet.bytes(), outlet.dropped()), (one, 1));
}

#[test]
fn without_an_outlet_nothing_is_kept() {
    let (inlet, outlet) = ring(1 << 20);
    drop(outlet);
    inlet.put(item(1));
    assert_eq!(inlet.level.bytes.load(Relaxed), 0);
    assert_eq!(inlet.level.dropped.load(Relaxed), 1);
}

#[test]
fn threads_that_put_in_while_one_takes_out_give_the_right_items_within_the_bound() {
    const PLACES: u64 = 40_000;
    const THREADS: u64 = 4;
    let bytes_max = 50 * item(1).bytes();
    let (inlet, mut outlet) = ring(bytes_max);
    let next = AtomicU64::new(0);
    let (mut found, mut most) = (0, 0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (inlet, next) = (inlet.clone(), &next);
            scope.spawn(move || {
                loop {
                    // Places are given one by one, as the journal does; the items follow when each thread gets to it.
                    let place = next.fetch_add(1, Relaxed);
                    if place >= PLACES {
                        return;
                    }
                    inlet.put(item(place));
                }
            });
        }
        for place in 0..PLACES {
            while next.load(Relaxed) <= place {
                std::thread::yield_now();
            }
            most = most.max(outlet.bytes());
            found += u64::from(outlet.take(Lsn(place)).inspect(|found| assert_eq!(*found, item(place))).is_some());
        }
    });
    // Whoever finds no room has reckoned with its item for a moment.
    assert!(most <= bytes_max + THREADS * item(1).bytes(), "{most} of {bytes_max} bytes");
    assert!(found > 0 && found + outlet.dropped() <= PLACES, "{found} found, {} dropped", outlet.dropped());
    outlet.take(Lsn(PLACES));
    assert_eq!(outlet.bytes(), 0, "everything is accounted for");
}
