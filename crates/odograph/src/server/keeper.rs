//! What has to be done every now and then: keep the devices that registered, and give back the journal's disk space.

use super::logging::Log;
use crate::config::Config;
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use odograph_api::TroubleCode;
use odograph_env::Clock;
use odograph_ingest::{Bell, Roster};
use odograph_journal::{CursorStore, Error, Journal, Reader, retention};
use odograph_lake::Hold;
use odograph_meter::Standing;
use odograph_model::{Lsn, Time};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing_appender::non_blocking::ErrorCounter;

/// The thread that does it.
pub(crate) struct Keeper {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// What it works with.
pub(crate) struct Parts {
    pub(crate) roster: Arc<Roster>,
    /// Up to where the devices' file was complete when it was opened.
    pub(crate) mark: Lsn,
    pub(crate) journal: Journal,
    pub(crate) reader: Reader,
    pub(crate) folder: PathBuf,
    pub(crate) budget: Option<u64>,
    /// So long a segment gets.
    pub(crate) segment_bytes: u64,
    pub(crate) bell: Arc<Bell>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) dropped_lines: ErrorCounter,
    pub(crate) clock: Arc<dyn Clock>,
    /// How many days somebody keeps the journal's entries as they are; `None`: for ever.
    pub(crate) frames_kept: Option<u32>,
    /// Whether anything of history goes for being old.
    pub(crate) retires: bool,
    pub(crate) alarms: Arc<Alarms>,
    /// While this holds, nothing goes that the disk budget does not force out.
    pub(crate) hold: Hold,
    /// Whether history was opened: until then nobody knows whether its tables have what they had.
    pub(crate) opened: Arc<AtomicBool>,
    /// Taken while segments are removed, so that whoever holds them knows when that has ended which began before.
    pub(crate) removing: Arc<Mutex<()>>,
}

/// What a person has to look at, for whoever asks how the server is.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    /// A [`Budget`].
    budget: AtomicU8,
    /// How the tenant stands to a quota that stands worst: a [`Standing`].
    quotas: AtomicU8,
    /// What was ordered to be erased cannot be read, so that nobody is kept out for it.
    erasures: AtomicBool,
    /// The clock is too far ahead to delete anything for being old.
    clock: AtomicBool,
}

/// How the journal's disk budget is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Budget {
    Enough = 0,
    /// What is still needed comes near it.
    Near = 1,
    /// It forced something out that was still needed.
    Forced = 2,
}

/// What is needed of the disk budget, in bytes.
#[derive(Debug, Clone, Copy)]
struct Need {
    /// Sealed segments that somebody still has to read.
    sealed: u64,
    /// What comes behind those and counts against the budget once it is sealed, too; nothing, where everyone has read it all.
    unsealed: u64,
    /// So long a segment gets.
    segment: u64,
}

impl Budget {
    /// By how much is needed of it, and whether that was too much. A segment counts all at once, when it is sealed: where the one
    /// that is written and another one do not fit any more, the budget is near however small its part is that is taken.
    fn of(budget: Option<u64>, need: Need, forced: bool) -> Self {
        let Need { sealed, unsealed, segment } = need;
        let soon = sealed.saturating_add(unsealed).saturating_add(segment);
        match budget {
            _ if forced => Self::Forced,
            Some(budget) if sealed > budget / 100 * NEAR_PERCENT || sealed > 0 && soon > budget => Self::Near,
            _ => Self::Enough,
        }
    }
}

impl Alarms {
    /// All that there are: the codes that programs go by, and the words for people, which may become others.
    pub(crate) fn told(&self) -> Vec<(TroubleCode, &'static str)> {
        let budget = match self.budget.load(Ordering::Acquire) {
            NEAR => Some((TroubleCode::BudgetNear, BUDGET_NEAR)),
            FORCED => Some((TroubleCode::BudgetForced, BUDGET_FORCED)),
            _ => None,
        };
        // Which tenant is not for everyone's eyes: the log says it, and the API to those who may know.
        let quotas = match self.quotas.load(Ordering::Acquire) {
            QUOTA_NEAR => Some((TroubleCode::QuotaNear, "a tenant comes near a quota")),
            QUOTA_REACHED => {
                Some((TroubleCode::QuotaReached, "a tenant has reached a quota: devices of it are refused"))
            }
            _ => None,
        };
        let erasures = self.erasures.load(Ordering::Acquire);
        let erasures = erasures.then_some((TroubleCode::ErasuresUnread, ERASURES_UNREAD));
        let clock = self.clock.load(Ordering::Acquire).then_some((TroubleCode::ClockAhead, CLOCK_DOUBTED));
        budget.into_iter().chain(quotas).chain(erasures).chain(clock).collect()
    }

    /// At the start, it could not be read what was ordered to be erased.
    pub(super) fn set_erasures_unread(&self) {
        self.erasures.store(true, Ordering::Release);
    }

    /// How the tenant stands to a quota that stands worst.
    pub(super) fn set_quotas(&self, worst: Standing) {
        self.quotas.store(worst as u8, Ordering::Release);
    }

    /// Returns whether it was otherwise before.
    fn set(&self, budget: Budget) -> bool {
        self.budget.swap(budget as u8, Ordering::AcqRel) != budget as u8
    }
}

const BUDGET_NEAR: &str = "history is so far behind that the journal's disk budget will soon force out what it needs";
const BUDGET_FORCED: &str = "the journal's disk budget forced out what history had not read";
const ERASURES_UNREAD: &str =
    "it cannot be read what was ordered to be erased: nobody is kept out for it, and nothing is erased";
const CLOCK_DOUBTED: &str = "the clock is months ahead of all that was received before: nothing goes for being old until it is put \
                             right, or something was received on seven days";
const QUOTA_NEAR: u8 = Standing::Near as u8;
const QUOTA_REACHED: u8 = Standing::Reached as u8;
const NEAR: u8 = Budget::Near as u8;
const FORCED: u8 = Budget::Forced as u8;

impl Parts {
    pub(crate) fn budget(config: &Config) -> Option<u64> {
        config.journal.disk_budget.map(|size| size.0)
    }
}

impl Keeper {
    pub(crate) fn start(parts: Parts) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("keeper".to_owned()).spawn(move || run(parts, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Does it one last time, and ends.
    pub(crate) fn stop(self) {
        drop(self.stop);
        // A panic there was logged when it happened.
        let _ = self.thread.join();
    }
}

fn run(mut parts: Parts, stopped: &Receiver<()>) {
    let (mut turn, mut sealed): (u32, u64) = (0, 0);
    parts.measure();
    loop {
        let last = stopped.recv_timeout(TURN) != Err(RecvTimeoutError::Timeout);
        parts.save(last);
        parts.metrics.run_upkeep();
        parts.measure();
        if last {
            return;
        }
        let now_sealed = parts.journal.stats().sealed;
        // What counts against the disk budget grows with a seal, and with nothing else.
        if turn.is_multiple_of(RETENTION_TURNS) || now_sealed != sealed {
            sealed = now_sealed;
            if let Err(error) = parts.retain() {
                tracing::error!(%error, "cannot look for journal segments that may go");
            }
        }
        turn = turn.wrapping_add(1);
    }
}

impl Parts {
    fn save(&mut self, last: bool) {
        // Taken first: whoever registered before this place is among what is saved now.
        let durable = self.journal.durable();
        let far = durable.0.saturating_sub(self.mark.0) > MARK_BYTES;
        let saved = if last || far { self.roster.save_mark(durable).map(|()| true) } else { self.roster.save(durable) };
        match saved {
            Ok(true) => self.mark = durable,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "cannot keep the devices that registered: tried again"),
        }
    }

    fn measure(&self) {
        let stats = self.journal.stats();
        Log::measure(&self.dropped_lines);
        // There from the beginning, so that an alarm can stand on it.
        gauge!("odograph_journal_full").set(f64::from(u8::from(stats.full)));
        gauge!("odograph_journal_pending_bytes").set(stats.pending_bytes as f64);
        gauge!("odograph_journal_segments_unsealed").set(stats.unsealed as f64);
        gauge!("odograph_backup_holds").set(f64::from(u8::from(self.is_held())));
    }

    fn is_held(&self) -> bool {
        self.hold.is_on(self.clock.monotonic())
    }

    fn retain(&self) -> Result<(), Error> {
        let _removing = self.removing.lock().unwrap_or_else(PoisonError::into_inner);
        let held = retention::held(&self.reader)?;
        let bytes: u64 = held.iter().map(|segment| segment.bytes).sum();
        gauge!("odograph_journal_sealed_bytes").set(bytes as f64);
        let cursors = CursorStore::open(Arc::new(odograph_env::LocalDisk), &self.folder)?;
        let needed = retention::needed(&held, cursors.least());
        gauge!("odograph_journal_needed_bytes").set(needed as f64);
        let mut removals = retention::decide(&held, cursors.least(), self.budget);
        let is_held = self.is_held() || !self.opened.load(Ordering::Acquire);
        if is_held {
            // Just as many as the budget would take if all of it was still needed.
            removals.truncate(retention::decide(&held, Some(Lsn(0)), self.budget).len());
        }
        let durable = self.journal.durable();
        let is_read = cursors.least().is_some_and(|least| least >= durable);
        let unsealed = if is_read { 0 } else { retention::unsealed(&self.reader, &held, durable)? };
        let need = Need { sealed: needed, unsealed, segment: self.segment_bytes };
        self.alarm(need, removals.iter().any(|removal| removal.forced));
        retention::remove(&self.reader, &removals, &*self.bell)?;
        let now = self.believed()?;
        if let Some(days) = self.frames_kept.filter(|_| !is_held) {
            // A day more: what was sealed on one day may have been received on the day before.
            let kept_ms = (i64::from(days) + 1).saturating_mul(DAY_MS);
            self.reader.remove_leaves(now.plus_ms(-kept_ms).0)?;
        }
        Ok(())
    }

    /// What time it is, where something goes for being old: a clock that leapt ahead is not believed at once, and told. By the
    /// days on which segments were sealed; history goes by those of its records and entries itself.
    fn believed(&self) -> Result<Time, Error> {
        let now = Time(self.clock.now());
        if !self.retires {
            return Ok(now);
        }
        let day = |ms: i64| i32::try_from(ms.div_euclid(DAY_MS)).unwrap_or(i32::MAX);
        let seen = self.reader.seals()?.into_iter().flatten().map(|seal| day(seal.sealed_at)).collect();
        let believed = odograph_env::believed_day(day(now.0), &seen);
        let is_doubted = believed < day(now.0);
        if self.alarms.clock.swap(is_doubted, Ordering::AcqRel) != is_doubted {
            match is_doubted {
                true => tracing::error!(now = %now, "{CLOCK_DOUBTED}"),
                false => tracing::info!(now = %now, "the clock is believed again"),
            }
        }
        Ok(if is_doubted { Time((i64::from(believed) + 1).saturating_mul(DAY_MS)) } else { now })
    }

    /// Says when the disk budget is about to cost data, and when it does.
    fn alarm(&self, need: Need, forced: bool) {
        let budget = Budget::of(self.budget, need, forced);
        gauge!("odograph_journal_budget_alarm").set(f64::from(budget as u8));
        if !self.alarms.set(budget) {
            return;
        }
        match budget {
            Budget::Enough => tracing::info!("the journal's disk budget is enough again"),
            Budget::Near | Budget::Forced => {
                let told: Vec<_> = self.alarms.told().into_iter().map(|(_, what)| what).collect();
                tracing::error!(needed = need.sealed, budget = self.budget, "{}", told.join(", "));
            }
        }
    }
}

/// The help texts of the metrics here.
pub(crate) fn describe() {
    use metrics::{Unit, describe_gauge};
    describe_gauge!("odograph_journal_pending_bytes", Unit::Bytes, "Bytes that were appended and are not durable yet.");
    describe_gauge!(
        "odograph_journal_segments_unsealed",
        "Journal segments that are complete and wait for their seal."
    );
    describe_gauge!(
        "odograph_journal_needed_bytes",
        Unit::Bytes,
        "Disk space of sealed journal segments that somebody still has to read."
    );
    describe_gauge!(
        "odograph_journal_budget_alarm",
        "1: what is needed comes near the journal's disk budget; 2: the budget forced something out that was needed."
    );
    describe_gauge!(
        "odograph_backup_holds",
        "1 while a backup keeps segments and files of history from being deleted by themselves."
    );
    describe_gauge!("odograph_journal_sealed_bytes", Unit::Bytes, "Disk space that sealed journal segments take.");
}

const TURN: Duration = Duration::from_secs(1);

/// Twice a minute, besides whenever a segment was sealed: whoever reads gets on meanwhile.
const RETENTION_TURNS: u32 = 30;

/// So near the budget, there is time to do something about it.
const NEAR_PERCENT: u64 = 80;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// So much of the journal is read again at the next start, at most, and the beginning of the segment before it.
const MARK_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_alarms_before_it_costs_data_and_when_it_does() {
        let told = |budget, sealed, forced| {
            let alarms = Alarms::default();
            alarms.set(Budget::of(budget, Need { sealed, unsealed: 0, segment: 1 }, forced));
            alarms.told()
        };
        assert_eq!((told(None, u64::MAX, false), told(Some(1000), 800, false)), (vec![], vec![]));
        let near = "history is so far behind that the journal's disk budget will soon force out what it needs";
        assert_eq!(told(Some(1000), 801, false), [(TroubleCode::BudgetNear, near)]);
        let forced = "the journal's disk budget forced out what history had not read";
        assert_eq!(told(Some(1000), 1001, true), [(TroubleCode::BudgetForced, forced)]);
        let alarms = Alarms::default();
        assert_eq!([Budget::Near, Budget::Near, Budget::Enough].map(|budget| alarms.set(budget)), [true, false, true]);
    }

    #[test]
    fn each_alarm_has_a_code_beside_its_words() {
        let alarms = Alarms::default();
        alarms.set_erasures_unread();
        alarms.clock.store(true, Ordering::Release);
        for (quotas, (code, words)) in [
            (Standing::Near, (TroubleCode::QuotaNear, "a tenant comes near a quota")),
            (Standing::Reached, (TroubleCode::QuotaReached, "a tenant has reached a quota: devices of it are refused")),
        ] {
            alarms.set_quotas(quotas);
            let (erasures, clock) = (TroubleCode::ErasuresUnread, TroubleCode::ClockAhead);
            assert_eq!(alarms.told(), [(code, words), (erasures, ERASURES_UNREAD), (clock, CLOCK_DOUBTED)]);
        }
    }

    #[test]
    fn a_budget_of_few_segments_alarms_a_segment_before_it_costs_data() {
        const MIB: u64 = 1 << 20;
        /// What a segment's index takes.
        const INDEX: u64 = MIB;
        let of = |budget: u64, segments: u64, unsealed: u64| {
            let need = Need { sealed: segments * (256 * MIB + INDEX), unsealed, segment: 256 * MIB };
            let forced = need.sealed > budget * MIB;
            Budget::of(Some(budget * MIB), need, forced)
        };
        let at_seals = |budget| (0..5).map(|segments| of(budget, segments, 0)).collect::<Vec<_>>();
        let (enough, near, forced) = (Budget::Enough, Budget::Near, Budget::Forced);
        assert_eq!(at_seals(1024), [enough, enough, enough, near, forced]);
        assert_eq!(at_seals(768), [enough, enough, near, forced, forced]);
        assert_eq!(at_seals(512), [enough, near, forced, forced, forced]);
        // What waits for its seal counts as well, and what is all read does not come near anything.
        assert_eq!((of(1024, 2, 253 * MIB), of(1024, 2, 255 * MIB)), (enough, near));
        assert_eq!(of(512, 0, 256 * MIB), enough, "nothing that counts is needed");
    }
}
