//! What the server takes: looked at when somebody asks, and kept for a while, so that asking often costs nothing. What was before
//! anybody asked is watched here all the time.

mod disk;
mod lately;

use super::App;
use anyhow::Result;
use disk::{Space, Watched};
use lately::Ring;
use odograph_api::{Code, DiskSize, Installation, JournalDay, JournalSize, Lately, Problem, System, TableSize};
use odograph_env::{Clock as _, Disk as _, LocalDisk, SystemClock, UnixMillis};
use odograph_model::Time;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// What was seen last, of everything and of single tenants.
pub(super) struct Looks {
    clock: SystemClock,
    /// When the server began to serve.
    begun: Duration,
    /// By tenant; nothing stands for everything.
    last: Mutex<HashMap<Option<String>, Last>>,
    /// Somebody who looked is done.
    done: Condvar,
    /// What the page of the system draws.
    lately: Mutex<Ring>,
    /// How full the disk gets.
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Last {
    seen: Option<(Duration, System)>,
    /// Somebody is looking: who else asks gets what was seen before, or waits for them.
    is_looking: bool,
}

impl Looks {
    pub(super) fn begun() -> Self {
        let clock = SystemClock::new();
        let (last, lately, watched) = Default::default();
        Self { begun: clock.monotonic(), clock, last, done: Condvar::new(), lately, watched }
    }

    fn uptime_s(&self) -> u64 {
        self.clock.monotonic().saturating_sub(self.begun).as_secs()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Option<String>, Last>> {
        lock(&self.last)
    }

    /// What was seen, at most [`FRESH`] ago unless somebody is looking, or what `look` sees now.
    fn seen(&self, whose: Option<&str>, look: impl FnOnce() -> System) -> Result<System, Problem> {
        let (whose, now) = (whose.map(ToOwned::to_owned), self.clock.monotonic());
        let mut all = self.held();
        loop {
            let last = all.entry(whose.clone()).or_default();
            let known = last.seen.as_ref().filter(|(at, _)| last.is_looking || now.saturating_sub(*at) < FRESH);
            if let Some((_, seen)) = known {
                return Ok(System { uptime_s: self.uptime_s(), ..seen.clone() });
            }
            if !last.is_looking {
                last.is_looking = true;
                break;
            }
            let left = (now + PATIENCE).saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return Err(Problem::new(Code::Unavailable, "it is looked at for the first time").retry_after(AGAIN));
            }
            all = self.done.wait_timeout(all, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(all);
        let looking = Looking { looks: self, whose: &whose };
        let seen = look();
        self.held().entry(whose.clone()).or_default().seen = Some((now, seen.clone()));
        drop(looking);
        Ok(seen)
    }
}

/// Every change of what is kept here is whole, so a panic elsewhere does not spoil it.
fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins to keep what was, whether or not somebody looks at it.
pub(super) fn watch(app: &Arc<App>) {
    tokio::spawn(keep_numbers(app.clone()));
    // By itself: where the disk hangs, the numbers are what shows it.
    tokio::spawn(keep_space(app.clone()));
}

async fn keep_numbers(app: Arc<App>) {
    loop {
        app.keep_numbers();
        tokio::time::sleep(lately::EVERY).await;
    }
}

async fn keep_space(app: Arc<App>) {
    loop {
        let looking = app.clone();
        // A panic there was logged when it happened.
        let _ = tokio::task::spawn_blocking(move || looking.keep_space()).await;
        tokio::time::sleep(disk::EVERY).await;
    }
}

impl App {
    /// The numbers of the last half an hour.
    pub(super) fn looked_lately(&self) -> Lately {
        lock(&self.looks.lately).told()
    }

    fn keep_numbers(&self) {
        let metrics = self.metrics.render();
        lock(&self.looks.lately).take(self.looks.clock.now(), &metrics);
    }

    fn keep_space(&self) {
        if let Some(space) = Space::of(self.home.folder().path()) {
            lock(&self.looks.watched).take(self.looks.clock.monotonic(), space);
        }
    }

    /// Everything.
    pub(super) fn looked(&self) -> Result<System, Problem> {
        let mut seen = self.looks.seen(None, || self.look())?;
        // What is wrong is told as it is now.
        let troubles = self.troubles(Handle::current().block_on(self.catalog_trouble()));
        seen.installation = seen.installation.map(|installation| Installation { troubles, ..installation });
        Ok(seen)
    }

    /// What one tenant takes.
    pub(super) fn looked_of(&self, tenant: &str) -> Result<System, Problem> {
        self.looks.seen(Some(tenant), || self.system(None, largest(self.tables(std::iter::once(tenant)))))
    }

    fn look(&self) -> System {
        let lake = self.history.lake();
        let tenants = lake.as_ref().map(odograph_lake::Lake::tenants).unwrap_or_default();
        let tables = self.tables(tenants.iter().map(compact_str::CompactString::as_str));
        let journal = self.journal_size();
        let disk = Space::of(self.home.folder().path())
            .map(|space| lock(&self.looks.watched).told(self.looks.clock.monotonic(), space))
            .map(|disk| or_by_journal(disk, journal.bytes_per_day));
        let installation = Installation {
            looked: self.looks.clock.now(),
            disk,
            journal,
            catalog_bytes: catalog_bytes(self.home.catalog_url()),
            lake_bytes: tables.iter().map(|table| table.bytes).sum(),
            lake_is_on_disk: lake.is_none_or(|lake| lake.requests().is_none()),
            troubles: Vec::new(),
        };
        self.system(Some(installation), largest(tables))
    }

    fn system(&self, installation: Option<Installation>, (tables, tables_left_out): (Vec<TableSize>, u64)) -> System {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        System { version, uptime_s: self.looks.uptime_s(), installation, tables, tables_left_out }
    }

    fn tables<'t>(&self, tenants: impl Iterator<Item = &'t str>) -> Vec<TableSize> {
        let Some(lake) = self.history.lake() else { return Vec::new() };
        let of = |tenant: &str| {
            let sized = lake.table_bytes(tenant).into_iter();
            sized
                .map(|(table, bytes)| TableSize { tenant: tenant.to_owned(), table: table.to_owned(), bytes })
                .collect::<Vec<_>>()
        };
        tenants.flat_map(of).collect()
    }

    fn journal_size(&self) -> JournalSize {
        let pieces = self.pieces().unwrap_or_else(|error| {
            tracing::warn!("how the journal grows cannot be told: {error:#}");
            Vec::new()
        });
        let now = self.looks.clock.now();
        let bytes_per_day = bytes_per_day(&pieces, now);
        JournalSize { bytes: self.reader.disk_bytes().ok(), bytes_per_day, days: days(&pieces, now) }
    }

    /// What the journal took in, as far as it was sealed, and what came since.
    fn pieces(&self) -> Result<Vec<Piece>> {
        let durable = self.journal.durable();
        let seals: Vec<_> = self.reader.seals()?.into_iter().flatten().collect();
        let rest = seals.last().map(|last| {
            let (from, to) = (last.sealed_at, self.looks.clock.now());
            Piece { from, to, bytes: durable.0.saturating_sub(last.end.0) }
        });
        let sealed = seals.iter().map(|seal| Piece {
            from: seal.created_at,
            to: seal.sealed_at,
            bytes: seal.end.0.saturating_sub(seal.base.0),
        });
        Ok(sealed.chain(rest).collect())
    }
}

/// Somebody who looks, until they are done or panic.
struct Looking<'l> {
    looks: &'l Looks,
    whose: &'l Option<String>,
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        let now = self.looks.clock.monotonic();
        let mut all = self.looks.held();
        if let Some(last) = all.get_mut(self.whose) {
            last.is_looking = false;
        }
        // What is old is of no use to anyone: only those who asked lately take memory.
        all.retain(|_, last| {
            last.is_looking || last.seen.as_ref().is_some_and(|(at, _)| now.saturating_sub(*at) < FRESH)
        });
        drop(all);
        self.looks.done.notify_all();
    }
}

/// The largest tables, as many as are told, and how many there are besides.
fn largest(mut tables: Vec<TableSize>) -> (Vec<TableSize>, u64) {
    tables.sort_by(|a, b| (Reverse(a.bytes), &a.tenant, &a.table).cmp(&(Reverse(b.bytes), &b.tenant, &b.table)));
    let left_out = tables.len().saturating_sub(TABLES_MAX) as u64;
    tables.truncate(TABLES_MAX);
    (tables, left_out)
}

/// The catalog's file, with what SQLite keeps beside it.
fn catalog_bytes(address: &str) -> Option<u64> {
    let path = address.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let bytes = |end: &str| LocalDisk.inspect(&PathBuf::from(format!("{path}{end}"))).ok().map(|found| found.bytes);
    Some(bytes("")? + ["-wal", "-shm"].into_iter().filter_map(bytes).sum::<u64>())
}

/// What the journal took in between two moments.
#[derive(Debug, Clone, Copy)]
struct Piece {
    from: UnixMillis,
    to: UnixMillis,
    bytes: u64,
}

impl Piece {
    /// What part of it came between these moments, if it came evenly. What took no time came at its end.
    fn within(&self, from: UnixMillis, to: UnixMillis) -> u64 {
        let whole = self.to.saturating_sub(self.from);
        if whole <= 0 {
            return if (from..to).contains(&self.to) { self.bytes } else { 0 };
        }
        let part = self.to.min(to).saturating_sub(self.from.max(from)).max(0);
        let share = u128::from(self.bytes) * part.unsigned_abs() as u128 / whole.unsigned_abs() as u128;
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

/// How long the disk goes well by what the journal takes in, as long as it was not watched for long enough.
fn or_by_journal(disk: DiskSize, taken_in: Option<u64>) -> DiskSize {
    match disk.lost_bytes_per_day {
        None => DiskSize { days_left: taken_in.and_then(|bytes| disk.free_bytes.checked_div(bytes)), ..disk },
        Some(_) => disk,
    }
}

/// How much comes in a day, lately; nothing where too little is known.
fn bytes_per_day(pieces: &[Piece], now: UnixMillis) -> Option<u64> {
    let first = pieces.first()?.from;
    let from = first.max(now.saturating_sub(RATE_DAYS * DAY_MS));
    let known = now.saturating_sub(from);
    if known < KNOWN_MS_MIN {
        return None;
    }
    let bytes: u64 = pieces.iter().map(|piece| piece.within(from, now.saturating_add(1))).sum();
    let per_day = u128::from(bytes) * DAY_MS.unsigned_abs() as u128 / known.unsigned_abs() as u128;
    Some(u64::try_from(per_day).unwrap_or(u64::MAX))
}

/// How much came on each of the last days, from the first one on of which something is known.
fn days(pieces: &[Piece], now: UnixMillis) -> Vec<JournalDay> {
    let Some(first) = pieces.iter().map(|piece| piece.from.min(piece.to)).min() else { return Vec::new() };
    let today = now.div_euclid(DAY_MS);
    let first = first.div_euclid(DAY_MS).max(today - (DAYS - 1));
    let mut days: BTreeMap<i64, u64> = (first..=today).map(|day| (day, 0)).collect();
    for (day, bytes) in &mut days {
        *bytes = pieces.iter().map(|piece| piece.within(day * DAY_MS, (day + 1) * DAY_MS)).sum();
    }
    days.into_iter().map(|(day, bytes)| JournalDay { day: date(day), bytes }).collect()
}

fn date(day: i64) -> String {
    Time(day * DAY_MS).to_string().chars().take(10).collect()
}

/// For so long nobody looks again: pages ask every few seconds, and each look asks for the length of the journal's files.
const FRESH: Duration = Duration::from_secs(30);
/// A look takes milliseconds, and longer where the disk is slow: whoever comes in the meantime waits so long for its end.
const PATIENCE: Duration = Duration::from_secs(5);
/// After that, they may come again.
const AGAIN: Duration = Duration::from_secs(1);
/// Tables that are told: nobody reads more, and a server may have 100,000 tenants.
const TABLES_MAX: usize = 1000;
/// The days of the journal that are told.
const DAYS: i64 = 14;
/// Over so many days it is measured how much comes in a day: weekends are among them.
const RATE_DAYS: i64 = 7;
/// From less, nobody should conclude what a day brings.
const KNOWN_MS_MIN: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const HOUR_MS: i64 = 60 * 60 * 1000;
    /// 2026-11-21T00:00:00Z.
    const MIDNIGHT: i64 = 20_778 * DAY_MS;

    fn piece(from: i64, to: i64, bytes: u64) -> Piece {
        Piece { from, to, bytes }
    }

    fn told(pieces: &[Piece], now: i64) -> Vec<(String, u64)> {
        days(pieces, now).into_iter().map(|day| (day.day, day.bytes)).collect()
    }

    #[test]
    fn a_segment_over_midnight_is_shared_among_its_days() {
        let pieces = [piece(MIDNIGHT - HOUR_MS, MIDNIGHT + 3 * HOUR_MS, 400), piece(MIDNIGHT, MIDNIGHT, 7)];
        let expected = vec![("2026-11-20".to_owned(), 100), ("2026-11-21".to_owned(), 307)];
        assert_eq!(told(&pieces, MIDNIGHT + 4 * HOUR_MS), expected);
        assert_eq!(told(&[], MIDNIGHT), vec![]);
    }

    #[test]
    fn only_the_last_days_are_told_and_those_without_anything_too() {
        let pieces = [piece(MIDNIGHT - 400 * DAY_MS, MIDNIGHT - 400 * DAY_MS + 1, 5), piece(MIDNIGHT, MIDNIGHT + 1, 9)];
        let told = told(&pieces, MIDNIGHT + 2);
        assert_eq!(told.len(), usize::try_from(DAYS).unwrap());
        assert_eq!(told.first(), Some(&("2026-11-08".to_owned(), 0)));
        assert_eq!(told.last(), Some(&("2026-11-21".to_owned(), 9)));
    }

    #[test]
    fn before_the_disk_was_watched_for_a_day_the_journal_says_how_long_it_goes_well() {
        let disk = |lost_bytes_per_day, days_left| DiskSize {
            free_bytes: 1000,
            total_bytes: 2000,
            watched_s: 7,
            lost_bytes_per_day,
            days_left,
        };
        assert_eq!(or_by_journal(disk(None, None), Some(100)), disk(None, Some(10)));
        assert_eq!(or_by_journal(disk(None, None), Some(0)), disk(None, None));
        assert_eq!(or_by_journal(disk(None, None), None), disk(None, None));
        assert_eq!(or_by_journal(disk(Some(-5), None), Some(100)), disk(Some(-5), None));
    }

    #[test]
    fn a_day_brings_what_the_last_week_did() {
        let now = MIDNIGHT;
        assert_eq!(bytes_per_day(&[], now), None);
        let hour = piece(now - HOUR_MS, now, 100);
        assert_eq!(bytes_per_day(&[hour], now), Some(2400));
        assert_eq!(bytes_per_day(&[piece(now - HOUR_MS + 1, now, 100)], now), None, "less than an hour");
        let week = piece(now - 7 * DAY_MS, now, 7000);
        assert_eq!(bytes_per_day(&[piece(now - 30 * DAY_MS, now - 7 * DAY_MS, 1_000_000), week], now), Some(1000));
        assert_eq!(bytes_per_day(&[piece(now - 2 * DAY_MS, now - DAY_MS, 0)], now), Some(0), "silence is known too");
    }

    fn system(uptime_s: u64) -> System {
        System { version: String::new(), uptime_s, installation: None, tables: Vec::new(), tables_left_out: uptime_s }
    }

    #[test]
    fn who_comes_while_somebody_looks_for_the_first_time_waits_for_what_they_see() {
        let (looks, (begun, has_begun)) = (Looks::begun(), mpsc::channel());
        let (done, is_done) = mpsc::channel();
        std::thread::scope(|scope| {
            let looks = &looks;
            let first = scope.spawn(move || {
                let look = || {
                    begun.send(()).unwrap();
                    is_done.recv().unwrap();
                    system(7)
                };
                looks.seen(None, look).unwrap()
            });
            has_begun.recv().unwrap();
            let second = scope.spawn(|| looks.seen(None, || panic!("somebody looks already")).unwrap());
            // What is another tenant's is not in anyone's way.
            assert_eq!(looks.seen(Some("north"), || system(1)).unwrap().tables_left_out, 1);
            done.send(()).unwrap();
            assert_eq!(first.join().unwrap(), system(7));
            assert_eq!(second.join().unwrap().tables_left_out, 7);
        });
    }

    #[test]
    fn each_tenants_tables_are_looked_at_now_and_then_however_often_it_asks() {
        let looks = Looks::begun();
        for (tenant, told) in [("north", 1), ("south", 2), ("north", 3), ("south", 4)] {
            let seen = looks.seen(Some(tenant), || system(told)).unwrap();
            assert_eq!(seen.tables_left_out, if tenant == "north" { 1 } else { 2 });
        }
        // A look that failed is none: the next one looks again.
        let panics = || looks.seen(None, || panic!("on purpose")).map(drop);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert_eq!(looks.seen(None, || system(5)).unwrap(), system(5));
    }

    #[test]
    fn the_largest_tables_are_told() {
        let table = |bytes| TableSize { tenant: format!("t{bytes}"), table: "frames".to_owned(), bytes };
        let (told, left_out) = largest((0..TABLES_MAX as u64 + 2).map(table).collect());
        assert_eq!((told.len(), left_out), (TABLES_MAX, 2));
        assert_eq!((told.first(), told.last()), (Some(&table(TABLES_MAX as u64 + 1)), Some(&table(2))));
    }
}
