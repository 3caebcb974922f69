//! The commands that wait, for the server that sends them: who has some, which is next, and what became of it.
//!
//! Several servers may share a catalog. Whoever sends a command claims it first, durably, and is its holder: nobody else sends it
//! then, and the holder itself finds it again when it starts anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::bounds::{COMMAND_ANSWER_CHARS_MAX, COMMANDS_KEPT_MS, COMMANDS_WAITING_OF_DEVICE_MAX};
use crate::commands::{Happened, OWN_TEXT_ATTRIBUTE};
use crate::follow::Reached;
use crate::scoped::{Change, Scoped};
use crate::sql::{Columns as _, Sql};
use crate::within::{audit_outcome, open_command_of, read_command, spoil_command, write_command};
use crate::{Access, Catalog, CommandState, DeviceCommand, Error, UnixMillis};

/// How often the database is asked for commands of other processes, where others share it.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How often all that waits is read again there: another server may have given one back.
const ALL_EVERY: Duration = Duration::from_secs(30);
/// How long a device may take to answer: some wake their modem up for it.
pub const ANSWER_PATIENCE_MS: UnixMillis = 2 * 60 * 1000;
/// Commands that one step looks after.
const ROWS: i64 = 500;

/// The commands of all tenants that wait to be sent.
pub struct CommandQueue {
    catalog: Catalog,
    holder: String,
    here: watch::Receiver<u64>,
    /// Up to which number each tenant's commands were told.
    seen: BTreeMap<String, Reached>,
    read_all: Option<Instant>,
    spoilt: AtomicU64,
}

/// A device with commands that wait.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient {
    /// Its tenant.
    pub tenant: String,
    /// Its id.
    pub device: String,
}

/// A command that is ours to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedCommand {
    /// Which.
    pub claim: Claim,
    /// Whom it is for.
    pub recipient: Recipient,
    /// Its name.
    pub kind: String,
    /// Its attributes, the maker's text among them.
    pub attributes: BTreeMap<String, String>,
    /// From then on it must not be sent.
    pub expires: UnixMillis,
}

/// Which command, and which time it is that somebody sets out to send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its tenant.
    pub tenant: String,
    /// Its number.
    pub number: i64,
    /// What came of an earlier attempt does not count for this one.
    pub attempt: i64,
}

/// What came of a command that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// All of it has left.
    Sent,
    /// Not a byte of it has left, and none will.
    Unsent,
    /// It was its turn, and too late.
    Expired,
    /// It cannot be put into bytes; says why.
    Refused(String),
    /// The device answered this; and whether it did it, where it says so.
    Answered(String, Option<bool>),
    /// The link was lost; says how.
    Lost(String),
}

impl Catalog {
    /// The commands that wait, for the server of this name.
    pub fn command_queue(&self, holder: &str) -> CommandQueue {
        let here = self.inner().watch_commands();
        let (seen, read_all, spoilt) = (BTreeMap::new(), None, AtomicU64::new(0));
        CommandQueue { catalog: self.clone(), holder: holder.to_owned(), here, seen, read_all, spoilt }
    }
}

impl CommandQueue {
    /// For the start: what this holder had set out to send when it ended. Nobody knows whether it was sent.
    pub async fn recover(&self) -> Result<usize, Error> {
        let held = Sql::new("SELECT tenant, number FROM commands WHERE state = 'sent' AND holder = $1");
        let rows = held.bind(self.holder.clone()).rows(self.catalog.inner().database.reader()).await?;
        let mut recovered = 0;
        for row in &rows {
            let (tenant, number) = (row.text("tenant")?, row.number("number")?);
            let lost = "the server stopped while it was on its way";
            recovered += usize::from(self.ended(&tenant, number, Happened::Lost(lost)).await?);
        }
        Ok(recovered)
    }

    /// Waits until there are new commands, and says for whom. At first, that is whoever has any. After an error nothing is
    /// lost: ask again.
    pub async fn next(&mut self) -> Result<BTreeSet<Recipient>, Error> {
        loop {
            // Before it is read: what is queued while we read wakes us again.
            self.here.borrow_and_update();
            let is_shared = self.catalog.inner().database.is_shared();
            if is_shared && self.read_all.is_none_or(|last| last.elapsed() >= ALL_EVERY) {
                self.seen.clear();
                self.read_all = Some(Instant::now());
            }
            let found = self.newer().await?;
            if !found.is_empty() {
                return Ok(found);
            }
            let changed = self.here.changed();
            if is_shared {
                let _ = tokio::time::timeout(ASK_EVERY, changed).await;
            } else {
                changed.await.expect("the catalog that we hold sends");
            }
        }
    }

    async fn newer(&mut self) -> Result<BTreeSet<Recipient>, Error> {
        let reader = self.catalog.inner().database.reader();
        let some =
            "SELECT tenant, commands, created FROM revisions JOIN tenants ON tenants.id = tenant WHERE commands > 0";
        let rows = Sql::new(some).rows(reader).await?;
        let (mut found, mut seen) = (BTreeSet::new(), BTreeMap::new());
        for row in &rows {
            let (tenant, last) = (row.text("tenant")?, Reached::from_row(row, "commands")?);
            let before = self.seen.get(&tenant).and_then(|seen| seen.of(last)).unwrap_or_default();
            if last.number > before {
                let new = Sql::new(
                    "SELECT DISTINCT device FROM commands WHERE tenant = $1 AND state = 'queued' AND number > $2",
                );
                for row in new.bind(tenant.clone()).bind(before).rows(reader).await? {
                    found.insert(Recipient { tenant: tenant.clone(), device: row.text("device")? });
                }
            }
            seen.insert(tenant, last);
        }
        self.seen = seen;
        Ok(found)
    }

    /// Whether commands wait for a device.
    pub async fn waits_for(&self, recipient: &Recipient) -> Result<bool, Error> {
        let any =
            Sql::new("SELECT number FROM commands WHERE tenant = $1 AND device = $2 AND state = 'queued' LIMIT 1");
        let any = any.bind(recipient.tenant.clone()).bind(recipient.device.clone());
        Ok(any.row(self.catalog.inner().database.reader()).await?.is_some())
    }

    /// Claims the next command of a device, durably, unless one is on its way to it. From then on whoever has claimed it has to
    /// say what became of it ([`CommandQueue::report`]).
    pub async fn claim(&self, recipient: &Recipient) -> Result<Option<ClaimedCommand>, Error> {
        let access = Access::server(&recipient.tenant);
        let Some(mut change) = self.change(&access).await? else { return Ok(None) };
        let now = change.now();
        // All that may wait, and the one that is on its way.
        let open = open_command_of(&mut change, &recipient.device, COMMANDS_WAITING_OF_DEVICE_MAX + 1).await?;
        if open.iter().any(|command| command.state == CommandState::Sent) {
            return Ok(None);
        }
        let mut claimed = None;
        for mut command in open {
            let Some(next) = command.after(Happened::Claimed, now) else { continue };
            let is_claimed = next.state == CommandState::Sent;
            if is_claimed {
                command.attempts += 1;
                (command.sent, command.answered, command.answer) = (None, None, None);
            }
            write_command(&mut change, &mut command, next).await?;
            if is_claimed {
                let held =
                    change.sql("UPDATE commands SET holder = $2, claimed = $3 WHERE tenant = $1 AND number = $4");
                change.execute(held.bind(self.holder.clone()).bind(now).bind(command.number)).await?;
                claimed = Some(command);
                break;
            }
            audit_outcome(&mut change, &command).await?;
        }
        change.commit_of_machine().await?;
        Ok(claimed.map(|command| {
            let DeviceCommand { number, attempts, kind, mut attributes, text, expires, .. } = command;
            if let Some(text) = text {
                attributes.insert(OWN_TEXT_ATTRIBUTE.to_owned(), text);
            }
            let claim = Claim { tenant: recipient.tenant.clone(), number, attempt: attempts };
            ClaimedCommand { claim, recipient: recipient.clone(), kind, attributes, expires }
        }))
    }

    /// Keeps what became of a command. Says how it is with it then; nothing, where it had come to an end before, or is no more.
    pub async fn report(&self, claim: &Claim, report: &Report) -> Result<Option<CommandState>, Error> {
        let happened = match report {
            Report::Sent => Happened::Left,
            Report::Unsent => Happened::Unsent,
            Report::Expired => Happened::TimeRanOut,
            Report::Refused(why) => Happened::Refused(why),
            Report::Answered(_, done) => Happened::Answered(*done),
            Report::Lost(how) => Happened::Lost(how),
        };
        self.happened(&claim.tenant, claim.number, happened, |command, now| {
            if command.attempts != claim.attempt {
                return false;
            }
            if let Report::Answered(text, _) = report {
                // A zero is no text in PostgreSQL.
                let text = text.replace('\0', "").chars().take(COMMAND_ANSWER_CHARS_MAX).collect();
                (command.answered, command.answer) = (Some(now), Some(text));
            }
            true
        })
        .await
    }

    /// Ends commands whose time ran out, and those that were not answered in time. Says whose they were.
    pub async fn sweep(&self) -> Result<BTreeSet<Recipient>, Error> {
        let now = self.catalog.inner().clock.now();
        let late = Sql::new(
            "SELECT tenant, number, device FROM commands WHERE state = 'queued' AND expires <= $1 ORDER BY expires LIMIT $2",
        );
        let silent =
            Sql::new("SELECT tenant, number, device FROM commands WHERE state = 'sent' AND claimed <= $1 LIMIT $2");
        let mut swept = BTreeSet::new();
        for (question, before, happened) in
            [(late, now, Happened::TimeRanOut), (silent, now.saturating_sub(ANSWER_PATIENCE_MS), Happened::Silence)]
        {
            let rows = question.bind(before).bind(ROWS).rows(self.catalog.inner().database.reader()).await?;
            for row in &rows {
                let (tenant, device) = (row.text("tenant")?, row.text("device")?);
                if self.ended(&tenant, row.number("number")?, happened).await? {
                    swept.insert(Recipient { tenant, device });
                }
            }
        }
        Ok(swept)
    }

    /// Deletes what came to an end long ago: the audit log has it still. Says how many commands that were.
    pub async fn clean(&self) -> Result<i64, Error> {
        let old = self.catalog.inner().clock.now().saturating_sub(COMMANDS_KEPT_MS);
        let delete = Sql::new(
            "DELETE FROM commands WHERE (tenant, number) IN \
             (SELECT tenant, number FROM commands WHERE ended < $1 ORDER BY ended LIMIT $2)",
        );
        let mut transaction = self.catalog.inner().database.begin().await?;
        let deleted = delete.bind(old).bind(ROWS).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(deleted)
    }

    /// How many commands were ended because nothing could be done with them.
    pub fn spoilt(&self) -> u64 {
        self.spoilt.load(Relaxed)
    }

    /// Something happened to a command that others wait behind. One that cannot be read or written is ended whatever is kept of it, and
    /// where that fails as well, left as it is: it is in nobody else's way. Whether anything came of it.
    async fn ended(&self, tenant: &str, number: i64, happened: Happened<'_>) -> Result<bool, Error> {
        match self.happened(tenant, number, happened, |_, _| true).await {
            Ok(state) => return Ok(state.is_some()),
            Err(error) if error.is_of_one() => {
                tracing::error!(tenant, number, "a command is ended, because nothing can be done with it: {error}");
            }
            Err(error) => return Err(error),
        }
        match self.spoil(tenant, number).await {
            Ok(()) => self.spoilt.fetch_add(1, Relaxed),
            Err(error) if error.is_of_one() => {
                tracing::error!(tenant, number, "a command cannot be ended: {error}");
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        Ok(true)
    }

    async fn spoil(&self, tenant: &str, number: i64) -> Result<(), Error> {
        let access = Access::server(tenant);
        let Some(mut change) = self.change(&access).await? else { return Ok(()) };
        spoil_command(&mut change, number).await?;
        change.commit_of_machine().await
    }

    /// Something happened to a command, which `also` may change as well, or say that it is not meant.
    async fn happened(
        &self,
        tenant: &str,
        number: i64,
        happened: Happened<'_>,
        also: impl FnOnce(&mut DeviceCommand, UnixMillis) -> bool,
    ) -> Result<Option<CommandState>, Error> {
        let access = Access::server(tenant);
        let Some(mut change) = self.change(&access).await? else { return Ok(None) };
        let now = change.now();
        let Some(mut command) = read_command(&mut change, number).await? else { return Ok(None) };
        if !also(&mut command, now) {
            return Ok(None);
        }
        if happened == Happened::Left {
            // Also where the answer was faster, or nobody believed in it any more.
            let left = change.sql("UPDATE commands SET sent = $2 WHERE tenant = $1 AND number = $3");
            change.execute(left.bind(now).bind(number)).await?;
            let outcome = Some(command.outcome());
            change.audit("command.sent", ("device", &command.device), None, outcome).await?;
            change.commit().await?;
            return Ok(Some(command.state));
        }
        let Some(next) = command.after(happened, now) else { return Ok(None) };
        let state = next.state;
        write_command(&mut change, &mut command, next).await?;
        if happened == Happened::Unsent && state == CommandState::Queued {
            // As if nothing had been.
            change.commit_of_machine().await?;
        } else {
            audit_outcome(&mut change, &command).await?;
            change.commit().await?;
        }
        Ok(Some(state))
    }

    /// Begins a change; nothing where the tenant is no more.
    async fn change<'c>(&'c self, access: &'c Access) -> Result<Option<Change<'c>>, Error> {
        match Scoped::new(self.catalog.inner(), access).change_of_own().await {
            Ok(change) => Ok(Some(change)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
