//! Days of trucks: plausible ones, and the same ones each time.

use super::*;
use std::sync::OnceLock;

const DAY_MS: i64 = 86_400_000;
/// The 10th of June 2026, midnight UTC.
const START_MS: i64 = 1_781_049_600_000;
const TRUCKS: u64 = 30;
const INTERVALS: Intervals = Intervals { driving_s: 60, standing_s: 300 };

/// Reading the roads takes longer than a day of a truck.
fn atlas() -> Arc<Atlas> {
    static ATLAS: OnceLock<Arc<Atlas>> = OnceLock::new();
    ATLAS.get_or_init(|| Arc::new(Atlas::new(1))).clone()
}

fn truck(atlas: &Arc<Atlas>, seed: u64, number: u64) -> Truck {
    Truck::new(atlas, (seed, number), number as usize % 40, true, INTERVALS, START_MS)
}

fn days(atlas: &Arc<Atlas>, seed: u64, number: u64, days: i64) -> Vec<Measured> {
    truck(atlas, seed, number).advance(START_MS + days * DAY_MS, usize::MAX)
}

#[test]
fn the_same_seed_and_number_are_the_same_truck() {
    let atlas = atlas();
    assert_eq!(days(&atlas, 1, 7, 1), days(&Arc::new(Atlas::new(1)), 1, 7, 1));
    assert_ne!(days(&atlas, 1, 7, 1), days(&atlas, 1, 8, 1));
    assert_ne!(days(&atlas, 1, 7, 1), days(&atlas, 2, 7, 1));
    // However it is asked.
    let mut in_pieces = truck(&atlas, 1, 7);
    let mut records = Vec::new();
    while in_pieces.time_ms() + STEP_MS <= START_MS + DAY_MS {
        records.extend(in_pieces.advance(START_MS + DAY_MS, 3));
    }
    assert_eq!(records, days(&atlas, 1, 7, 1));
}

#[test]
fn days_are_plausible() {
    let atlas = atlas();
    let (mut failures, mut defrosts, mut doors, mut shocks, mut gaps, mut wrong_clocks) = (0, 0, 0, 0, 0, 0);
    for number in 0..TRUCKS {
        let all = days(&atlas, 3, number, 3);
        let driven = (all[all.len() - 1].odometer_m - all[0].odometer_m) as f64 / 1000.0;
        assert!((250.0..3600.0).contains(&driven), "truck {number} drove {driven} km in three days");
        for pair in all.windows(2) {
            let [before, after] = [&pair[0], &pair[1]];
            assert!((0.0..=90.0).contains(&after.speed_kph), "{}", after.speed_kph);
            assert!((0.0..360.0).contains(&after.course));
            let moved = before.place.km_to(after.place);
            let counted = (after.odometer_m - before.odometer_m) as f64 / 1000.0;
            assert!(moved <= counted + 0.02, "truck {number}: {moved} km on the map, {counted} driven");
            assert!((5.0..=100.0).contains(&after.fuel_percent), "{}", after.fuel_percent);
        }
        let has = |of: &dyn Fn(&Measured) -> bool| all.iter().filter(|record| of(record)).count();
        failures += usize::from(has(&|record| record.unit.as_ref().is_some_and(Unit::has_failed)) > 0);
        defrosts += usize::from(has(&|record| zone_defrosts(record)) > 0);
        doors += usize::from(has(&Measured::door_open) > 0);
        shocks += usize::from(has(&|record| record.why == Why::Shock) > 0);
        gaps += usize::from(has(&|record| !record.reachable) > 0);
        let known = START_MS - DAY_MS..START_MS + 4 * DAY_MS;
        wrong_clocks += usize::from(has(&|record| !known.contains(&record.time_ms)) > 0);
    }
    assert_eq!(doors, TRUCKS as usize, "every truck is loaded");
    assert!(defrosts > 24, "{defrosts} trucks defrosted");
    assert!((2..25).contains(&failures), "{failures} compressors failed");
    assert!(shocks > 18, "{shocks} trucks had a shock");
    assert!(gaps > 15, "{gaps} trucks lost their network");
    assert!((1..20).contains(&wrong_clocks), "{wrong_clocks} clocks were wrong");
}

fn zone_defrosts(record: &Measured) -> bool {
    let unit = record.unit.as_ref().expect("all have one");
    unit.zones.iter().any(|zone| zone.action == crate::reefer::Action::Defrost)
}

#[test]
fn a_truck_that_is_blocked_stands_until_it_may_go_on() {
    let atlas = atlas();
    let mut truck = truck(&atlas, 1, 2);
    let mut time = START_MS;
    while truck.now().speed_kph < 60.0 {
        time += STEP_MS;
        truck.advance(time, usize::MAX);
        assert!(time < START_MS + 2 * DAY_MS, "it never drives");
    }
    truck.block(true);
    truck.advance(time + 120_000, usize::MAX);
    let stands = truck.now();
    assert_eq!((stands.speed_kph, stands.ignition, stands.blocked), (0.0, false, true));
    truck.advance(time + 1_200_000, usize::MAX);
    assert_eq!(truck.now().odometer_m, stands.odometer_m);
    truck.block(false);
    truck.advance(time + 1_800_000, usize::MAX);
    assert!(truck.now().odometer_m > stands.odometer_m);
}

#[test]
fn intervals_can_be_changed() {
    let atlas = atlas();
    let mut truck = truck(&atlas, 1, 3);
    let count = |truck: &mut Truck| {
        let until = truck.time_ms() + DAY_MS;
        truck.advance(until, usize::MAX).len()
    };
    let before = count(&mut truck);
    truck.set_intervals(Intervals { driving_s: 10, standing_s: 60 });
    assert!(count(&mut truck) > before * 3);
}
