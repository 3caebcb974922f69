//! Between what tenants use, as it is counted, and the catalog, where bills and quotas are: tells the one what the other
//! counted, and has devices refused whose tenant has used up what it may.
//!
//! Nothing waits for the catalog. While it cannot be reached, counts stay in the meter's file, and the quotas that were read
//! last hold.

use super::keeper::Alarms;
use crate::history::History;
use anyhow::Result;
use compact_str::CompactString;
use metrics::{counter, gauge};
use odograph_catalog::{Catalog, Quotas, UsageOfNode};
use odograph_env::{Clock as _, SystemClock};
use odograph_ingest::{Paused, Quota, Roster};
use odograph_journal::{Reader, retention};
use odograph_meter::{Counts, Row, Standing, day_of};
use odograph_model::Time;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Keeps the accounts.
pub(crate) struct Accountant {
    roster: Arc<Roster>,
    history: Arc<History>,
    reader: Reader,
    alarms: Arc<Alarms>,
    quotas: BTreeMap<String, Quotas>,
    /// What other nodes counted of today: messages, and bytes stored.
    elsewhere: BTreeMap<String, (i64, i64)>,
    /// Bytes that each tenant's history takes, with its share of the journal.
    stored: BTreeMap<CompactString, i64>,
    /// What of that was told: of which day.
    told: HashMap<CompactString, (i32, i64)>,
    standings: BTreeMap<(String, &'static str), Standing>,
    clock: SystemClock,
    /// Whether the catalog could be reached the last time.
    is_reached: bool,
}

impl Accountant {
    pub(crate) fn new(roster: Arc<Roster>, history: Arc<History>, reader: Reader, alarms: Arc<Alarms>) -> Self {
        Self {
            roster,
            history,
            reader,
            alarms,
            quotas: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            stored: BTreeMap::new(),
            told: HashMap::new(),
            standings: BTreeMap::new(),
            clock: SystemClock::new(),
            is_reached: true,
        }
    }

    /// Keeps them until the runtime ends.
    pub(crate) async fn keep(mut self, catalog: Catalog) {
        let mut turn = tokio::time::interval(TURN);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for count in 0_u64.. {
            turn.tick().await;
            // History is opened while the server starts.
            let is_new = self.stored.is_empty() && count.is_multiple_of(CATALOG_TURNS);
            if is_new || count.is_multiple_of(STORED_TURNS) {
                self = self.look().await;
            }
            if count.is_multiple_of(CATALOG_TURNS) {
                let done = self.exchange(&catalog).await;
                self.hear(&done);
            }
            self.judge();
        }
    }

    /// What the catalog has to say, and what it has to be told.
    async fn exchange(&mut self, catalog: &Catalog) -> Result<()> {
        self.quotas = catalog.quotas().await?;
        self.elsewhere = catalog.usage_elsewhere(self.history.node(), i64::from(self.today())).await?;
        let rows = self.history.metering().untold();
        let strange = catalog.keep_usage(&rows.iter().map(|row| self.of_node(row)).collect::<Vec<_>>()).await?;
        let kept = rows.into_iter().filter(|row| {
            !strange.iter().any(|strange| strange.tenant == row.of.tenant && strange.day == i64::from(row.of.day))
        });
        self.history.metering().told(&kept.collect::<Vec<_>>());
        self.tell_stored(catalog).await
    }

    /// What is stored changes without a message as well, and is there on days without any.
    async fn tell_stored(&mut self, catalog: &Catalog) -> Result<()> {
        let today = self.today();
        let new = self.stored.iter().filter(|(tenant, bytes)| self.told.get(*tenant) != Some(&(today, **bytes)));
        let new: Vec<_> = new.map(|(tenant, bytes)| (tenant.clone(), *bytes)).collect();
        let rows: Vec<_> =
            new.iter().map(|(tenant, bytes)| self.row(today, tenant, self.of(tenant), Some(*bytes))).collect();
        catalog.keep_usage(&rows).await?;
        self.told.extend(new.into_iter().map(|(tenant, bytes)| (tenant, (today, bytes))));
        Ok(())
    }

    fn hear(&mut self, done: &Result<()>) {
        match done {
            Ok(()) if !self.is_reached => tracing::info!("the catalog is told again what tenants use"),
            Err(error) if self.is_reached => {
                tracing::warn!("the catalog cannot be told what tenants use: it is kept, and told later: {error:#}");
            }
            _ => {}
        }
        self.is_reached = done.is_ok();
        counter!("odograph_usage_days_dropped_total").absolute(self.history.metering().forgotten());
    }

    /// Looks how much is stored, on a thread that may wait for the disk.
    async fn look(mut self) -> Self {
        let (history, reader) = (self.history.clone(), self.reader.clone());
        let looked = tokio::task::spawn_blocking(move || stored(&history, &reader)).await;
        // A panic there was logged when it happened; what was seen before holds.
        if let Ok(stored) = looked {
            self.stored = stored;
        }
        self
    }

    /// Says whose devices are to be refused, and tells people what has changed.
    fn judge(&mut self) {
        let mut rules = HashMap::new();
        let mut standings = BTreeMap::new();
        for (tenant, quotas) in &self.quotas {
            let (messages, stored) = self.elsewhere.get(tenant).copied().unwrap_or_default();
            let messages = messages.saturating_add(signed(self.of(tenant).messages));
            let stored = stored.max(self.stored.get(tenant.as_str()).copied().unwrap_or_default());
            let devices = i64::try_from(self.roster.devices_of(tenant)).unwrap_or(i64::MAX);
            let messages = Standing::of(messages, quotas.messages_per_day_max);
            let stored = Standing::of(stored, quotas.storage_bytes_max);
            let paused = match (messages, stored) {
                (_, Standing::Reached) => Some(Paused::Storage),
                (Standing::Reached, _) => Some(Paused::Messages),
                _ => None,
            };
            let devices_max = quotas.devices_max.map(|max| usize::try_from(max).unwrap_or_default());
            if devices_max.is_some() || paused.is_some() {
                rules.insert(CompactString::from(tenant.as_str()), Quota { devices_max, paused });
            }
            let devices = Standing::of(devices, quotas.devices_max);
            for (name, standing) in [(DEVICES, devices), (MESSAGES, messages), (STORAGE, stored)] {
                if standing > Standing::Within {
                    standings.insert((tenant.clone(), name), standing);
                }
            }
        }
        self.roster.set_quotas(rules);
        self.tell(standings);
    }

    fn tell(&mut self, now: BTreeMap<(String, &'static str), Standing>) {
        for name in [DEVICES, MESSAGES, STORAGE] {
            for (standing, gauge) in
                [(Standing::Near, "odograph_tenants_near_quota"), (Standing::Reached, "odograph_tenants_at_quota")]
            {
                let count = now.iter().filter(|((_, of), is)| *of == name && **is == standing).count();
                gauge!(gauge, "quota" => name).set(count as f64);
            }
        }
        self.alarms.set_quotas(now.values().copied().max().unwrap_or_default());
        for ((tenant, quota), standing) in &now {
            if self.standings.get(&(tenant.clone(), *quota)) != Some(standing) {
                told(tenant, quota, *standing);
            }
        }
        for (tenant, quota) in self.standings.keys().filter(|key| !now.contains_key(*key)) {
            tracing::info!(%tenant, quota, "the tenant is within its quota again");
        }
        self.standings = now;
    }

    fn today(&self) -> i32 {
        day_of(Time(self.clock.now()))
    }

    /// What this node counted of a tenant today.
    fn of(&self, tenant: &str) -> Counts {
        self.history.metering().of(self.today(), tenant)
    }

    fn of_node(&self, row: &Row) -> UsageOfNode {
        self.row(row.of.day, &row.of.tenant, row.counts, None)
    }

    fn row(&self, day: i32, tenant: &str, counts: Counts, storage_bytes: Option<i64>) -> UsageOfNode {
        UsageOfNode {
            tenant: tenant.to_owned(),
            day: i64::from(day),
            node: self.history.node(),
            messages: signed(counts.messages),
            records: signed(counts.records),
            bytes_in: signed(counts.bytes_in),
            bytes_out: signed(counts.bytes_out),
            devices: signed(counts.devices),
            storage_bytes,
        }
    }
}

fn told(tenant: &str, quota: &str, standing: Standing) {
    match (standing, quota) {
        (Standing::Near, _) => tracing::warn!(%tenant, quota, "the tenant comes near its quota"),
        (_, DEVICES) => {
            tracing::error!(%tenant, quota, "the tenant has reached its quota: further devices are refused");
        }
        (_, MESSAGES) => tracing::error!(
            %tenant, quota,
            "the tenant has reached its quota: its devices are refused until midnight UTC, and keep what they have"
        ),
        _ => tracing::error!(
            %tenant, quota,
            "the tenant has reached its quota: its devices are refused until there is room, and keep what they have"
        ),
    }
}

/// Each tenant's files, and of the journal's segments what part it had of the bytes lately.
fn stored(history: &History, reader: &Reader) -> BTreeMap<CompactString, i64> {
    let Some(lake) = history.lake() else { return BTreeMap::new() };
    let held = retention::held(reader).unwrap_or_default();
    let journal: u64 = held.iter().map(|segment| segment.bytes).sum();
    let lately = history.metering().bytes();
    let all: u64 = lately.values().sum();
    let mut stored: BTreeMap<CompactString, i64> =
        lake.tenants().into_iter().map(|tenant| (tenant.clone(), signed(lake.stored_bytes(&tenant)))).collect();
    for (tenant, bytes) in lately {
        let share = u128::from(journal) * u128::from(bytes) / u128::from(all.max(1));
        let bytes = stored.entry(tenant).or_default();
        *bytes = bytes.saturating_add(i64::try_from(share).unwrap_or(i64::MAX));
    }
    stored
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The help texts of the metrics here.
pub(crate) fn describe() {
    use metrics::{describe_counter, describe_gauge};
    describe_gauge!("odograph_tenants_near_quota", "Tenants that have used four fifths of a quota, by quota.");
    describe_gauge!("odograph_tenants_at_quota", "Tenants that have used up a quota, by quota.");
    describe_counter!(
        "odograph_usage_days_dropped_total",
        "Days of tenants whose usage could not be told to the catalog for so long that it was dropped."
    );
}

const DEVICES: &str = "devices";
const MESSAGES: &str = "messages_per_day";
const STORAGE: &str = "storage_bytes";

/// How late a quota holds that is reached: what comes meanwhile is taken in.
const TURN: Duration = Duration::from_millis(250);
/// A quota that somebody changes holds after two seconds, and usage can be seen after as long.
const CATALOG_TURNS: u64 = 8;
/// Once a minute: the last look of a day is at most that old at its end.
const STORED_TURNS: u64 = 240;
