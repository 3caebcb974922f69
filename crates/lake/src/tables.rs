//! All tenants' tables of one kind: found by the tenant's name, each with at most one piece of work under way.

use crate::Error;
use crate::broken::Broken;
use crate::buffer::Waits;
use crate::maintenance::Grace;
use crate::place::Place;
use crate::source::Footers;
use crate::table::Table;
use crate::tenant::{Shelf, application};
use crate::work::{self, Done, Work};
use compact_str::CompactString;
use hashbrown::HashMap;
use odograph_model::{Lsn, Time};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// What everything that is done to tables needs.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) runtime: Handle,
    pub(crate) place: Place,
    pub(crate) node: u16,
    pub(crate) checkpoint_commits: u64,
    /// How many pieces of work may be under way: each takes memory and a core.
    pub(crate) at_once: Arc<Semaphore>,
    /// What was read of files' ends, of all tables.
    pub(crate) footers: Arc<Footers>,
    /// What has to be done before rows are on their way into files.
    pub(crate) before: Option<BeforeCommit>,
}

/// Makes durable whatever must not be behind the tables. Everything in the journal before the place was read.
pub type BeforeCommit = Arc<dyn Fn(Lsn) -> std::io::Result<()> + Send + Sync>;

impl Common {
    /// Waits for something that runs on the lake's threads, may ask an object store, and fail of it.
    pub(crate) fn ask<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let since = self.place.failures();
        self.runtime.block_on(work).map_err(|error| self.place.explained(since, error))
    }
}

/// Tables of one kind.
pub(crate) struct Tables<B: Waits> {
    list: Vec<Open<B>>,
    numbers: HashMap<CompactString, usize>,
    /// The one that was asked for last: most often it is the next one, too.
    last: usize,
    /// Those that cannot be opened.
    pub(crate) broken: Broken,
}

/// A tenant's table, open for writing.
pub(crate) struct Open<B: Waits> {
    pub(crate) tenant: CompactString,
    /// The table's own, which a table that is made anew in its place does not have.
    pub(crate) id: Box<str>,
    pub(crate) shelf: Arc<Shelf<B>>,
    /// What is in the table, by stream.
    pub(crate) cursors: Vec<Lsn>,
    slot: Slot,
    /// When maintenance is due, by the monotonic clock.
    care_at: Duration,
}

/// Where the table is.
enum Slot {
    Here(Box<Table>),
    /// Something is done to it.
    Away(JoinHandle<(Box<Table>, Done)>, Purpose),
    /// What was done to it ended in a panic.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Flush,
    Care,
}

/// When rows go to files.
pub(crate) struct Due<'a> {
    pub(crate) now: Duration,
    pub(crate) today: Time,
    /// Everything before it was read in the journal.
    pub(crate) read: Lsn,
    pub(crate) all: bool,
    pub(crate) rows_max: usize,
    pub(crate) bytes_max: usize,
    /// How long a row of a stream may wait.
    pub(crate) longest: &'a [Duration],
}

impl<B: Waits> Default for Tables<B> {
    fn default() -> Self {
        Self { list: Vec::new(), numbers: HashMap::new(), last: 0, broken: Broken::default() }
    }
}

impl<B: Waits> Tables<B> {
    /// A tenant's table, if it is open.
    pub(crate) fn find(&mut self, tenant: &str) -> Option<&mut Open<B>> {
        if self.list.get(self.last).is_none_or(|open| open.tenant != tenant) {
            self.last = *self.numbers.get(tenant)?;
        }
        self.list.get_mut(self.last)
    }

    /// Opens a tenant's table, or makes it.
    pub(crate) fn open(&mut self, common: &Common, tenant: &str) -> Result<&mut Open<B>, Error> {
        let at = common.place.table(tenant, B::SHAPE)?;
        let table = at.name.clone();
        if let Some(why) = self.broken.why(tenant) {
            return Err(Error::Broken { table, why: why.to_owned() });
        }
        let opened = common.ask(async {
            let table = Table::open(at, common.node, B::SHAPE).await?.sharing(&common.footers);
            let mut cursors = Vec::new();
            for stream in B::STREAMS {
                cursors.push(table.cursor(&application(common.node, stream)).await?.unwrap_or_default());
            }
            let (tenant, id, shelf) = (tenant.into(), table.id().into(), Arc::new(Shelf::new(&table).await?));
            let slot = Slot::Here(Box::new(table));
            Ok::<_, Error>(Open { tenant, id, shelf, cursors, slot, care_at: Duration::ZERO })
        });
        let opened = match common.place.stuck.why(&table) {
            Some(why) => Err(Error::Stuck { table: table.clone(), why }),
            None => opened,
        };
        let opened = match opened {
            Err(error) if error.is_damage() => {
                let why = error.line();
                tracing::error!(tenant, table, "{TOLD}: {why}");
                self.broken.add(tenant, why.clone());
                return Err(Error::Broken { table, why });
            }
            opened => opened?,
        };
        self.last = self.list.len();
        self.numbers.insert(tenant.into(), self.last);
        self.list.push(opened);
        Ok(&mut self.list[self.last])
    }

    /// Saves what is known of the rows in files, of all tables where that changed.
    pub(crate) fn save(&mut self, common: &Common, now: Time) -> Result<(), Error> {
        for open in &mut self.list {
            let shelf = open.shelf.clone();
            common.runtime.block_on(shelf.save(open.table(common)?, now, true));
        }
        Ok(())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Open<B>> {
        self.list.iter()
    }

    /// The place in the journal of the first row that is not in files yet.
    pub(crate) fn first_place(&self) -> Option<Lsn> {
        self.list.iter().filter_map(|open| open.shelf.first_place()).min()
    }

    /// Since when the row waits that waits longest.
    pub(crate) fn waiting_since(&self) -> Option<Duration> {
        self.list.iter().filter_map(|open| open.shelf.waiting_since()).min()
    }

    /// The days of which there are rows in files.
    pub(crate) fn days(&self) -> impl Iterator<Item = i32> {
        self.list.iter().flat_map(|open| open.shelf.files().files.days())
    }

    /// How much memory everything takes that is not in files yet.
    pub(crate) fn bytes(&self) -> usize {
        self.list.iter().map(|open| open.shelf.bytes()).sum()
    }

    /// Begins to make files of what is due, and takes in what was done meanwhile. Returns how many commits that was.
    pub(crate) fn flush(&mut self, common: &Common, due: &Due<'_>) -> Result<usize, Error> {
        let mut commits = 0;
        for open in &mut self.list {
            commits += open.flush(common, due)?;
        }
        Ok(commits)
    }

    /// Waits for everything that is under way.
    pub(crate) fn wait(&mut self, common: &Common) -> Result<usize, Error> {
        let mut commits = 0;
        let mut failed = None;
        for open in &mut self.list {
            match open.wait(common) {
                Ok(made) => commits += made,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(commits), Err)
    }

    /// Makes files of what waits in the table that takes the most memory, and waits for that.
    pub(crate) fn relieve(&mut self, common: &Common, due: &Due<'_>) -> Result<usize, Error> {
        let Some(open) = self.list.iter_mut().max_by_key(|open| open.shelf.bytes()) else { return Ok(0) };
        let before = open.wait(common)?;
        let begun = open.flush(common, due)?;
        Ok(before + begun + open.wait(common)?)
    }

    /// Whether a step of maintenance is under way.
    pub(crate) fn is_cared_for(&self) -> bool {
        self.list.iter().any(|open| matches!(open.slot, Slot::Away(_, Purpose::Care)))
    }

    /// Begins a step of maintenance, if one is due and none is under way. Returns whether it began.
    pub(crate) fn care(
        &mut self,
        common: &Common,
        now: Duration,
        every: Duration,
        today: Time,
        keep: impl Fn(&str) -> (Option<i32>, Grace),
    ) -> bool {
        let due = |open: &&mut Open<B>| open.care_at <= now && matches!(open.slot, Slot::Here(_));
        let Some(open) = self.list.iter_mut().filter(due).min_by_key(|open| open.care_at) else { return false };
        let (first, grace) = keep(&open.tenant);
        // Sooner, if there turns out to be more to do.
        open.care_at = now + every;
        open.begin(common, Work::Care(first, grace), Purpose::Care, today);
        true
    }
}

impl<B: Waits> Open<B> {
    fn flush(&mut self, common: &Common, due: &Due<'_>) -> Result<usize, Error> {
        let mut commits = self.take_in()?;
        let streams = self.due(due);
        if streams.is_empty() {
            return Ok(commits);
        }
        if let Slot::Away(..) = self.slot {
            let full = |stream: &usize| {
                let (rows, bytes, _) = self.shelf.waiting(*stream);
                rows >= 2 * due.rows_max || bytes >= 2 * due.bytes_max
            };
            // What comes in the meantime waits in memory, but not without end.
            if !due.all && !streams.iter().any(full) {
                return Ok(commits);
            }
            commits += self.wait(common)?;
        }
        if let Some(before) = &common.before {
            before(due.read).map_err(|source| Error::Before { source })?;
        }
        let leaves = |stream: &usize| self.shelf.leave(*stream, due.read);
        let streams: Vec<usize> = streams.into_iter().filter(leaves).collect();
        self.begin(common, Work::Flush(streams), Purpose::Flush, due.today);
        Ok(commits)
    }

    /// The streams whose rows are due.
    fn due(&self, due: &Due<'_>) -> Vec<usize> {
        let is_due = |stream: &usize| {
            let (rows, bytes, first) = self.shelf.waiting(*stream);
            // What an earlier attempt could not write is due at once.
            let stuck = matches!(self.slot, Slot::Here(_)) && self.shelf.is_leaving(*stream);
            let waited = first.map(|first| due.now.saturating_sub(first.since));
            stuck
                || waited.is_some_and(|waited| {
                    due.all || rows >= due.rows_max || bytes >= due.bytes_max || waited >= due.longest[*stream]
                })
        };
        (0..B::STREAMS.len()).filter(is_due).collect()
    }

    fn begin(&mut self, common: &Common, work: Work, purpose: Purpose, today: Time) {
        let Slot::Here(mut table) = std::mem::replace(&mut self.slot, Slot::Lost) else { return };
        let (shelf, common, runtime) = (self.shelf.clone(), common.clone(), common.runtime.clone());
        let job = async move {
            let _permit = common.at_once.acquire().await;
            let since = common.place.failures();
            let done = work::run(&shelf, &mut table, work, &common, today).await;
            let error = done.error.map(|error| common.place.explained(since, error));
            (table, Done { error, ..done })
        };
        self.slot = Slot::Away(runtime.spawn(job), purpose);
    }

    /// Takes in what was done, if it is done.
    fn take_in(&mut self) -> Result<usize, Error> {
        match &self.slot {
            Slot::Away(job, _) if !job.is_finished() => Ok(0),
            Slot::Here(_) => Ok(0),
            // It is finished, so nothing is waited for.
            Slot::Away(..) | Slot::Lost => self.finish(futures::executor::block_on),
        }
    }

    /// Waits for what is under way.
    pub(crate) fn wait(&mut self, common: &Common) -> Result<usize, Error> {
        match self.slot {
            Slot::Here(_) => Ok(0),
            Slot::Away(..) | Slot::Lost => self.finish(|job| common.runtime.block_on(job)),
        }
    }

    fn finish(
        &mut self,
        wait: impl FnOnce(JoinHandle<(Box<Table>, Done)>) -> Result<(Box<Table>, Done), tokio::task::JoinError>,
    ) -> Result<usize, Error> {
        let lost = |why: String| Error::Refused(format!("a table of {} was lost: {why}", self.tenant));
        let Slot::Away(job, purpose) = std::mem::replace(&mut self.slot, Slot::Lost) else {
            return Err(lost("it failed before".to_owned()));
        };
        let (table, done) = wait(job).map_err(|error| lost(error.to_string()))?;
        if purpose == Purpose::Flush {
            let stuck = &table.place().stuck;
            match &done.error {
                Some(error) if error.is_damage() => stuck.failed(table.name(), table.version(), error.line()),
                Some(_) => {}
                None => stuck.wrote(table.name()),
            }
        }
        self.slot = Slot::Here(table);
        for (stream, until) in done.flushed {
            self.cursors[stream] = until;
        }
        if purpose == Purpose::Care && done.more {
            self.care_at = Duration::ZERO;
        }
        done.error.map_or(Ok(done.commits), Err)
    }

    /// The table, when nothing is done to it.
    pub(crate) fn table(&mut self, common: &Common) -> Result<&mut Table, Error> {
        self.wait(common)?;
        match &mut self.slot {
            Slot::Here(table) => Ok(table),
            Slot::Away(..) | Slot::Lost => Err(Error::Refused(format!("a table of {} was lost", self.tenant))),
        }
    }
}

/// Of a table that cannot be opened.
const TOLD: &str = "a table of history cannot be opened. Other tenants' history goes on; what comes for this table waits in the \
                    journal, which can give up nothing from here on. Do what is said here, or put the table back from a backup: within a minute, history goes on there";
