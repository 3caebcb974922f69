//! Commands for devices, as people want them and see what became of them.

use serde_json::{Value, json};

use super::Within;
use super::devices::visible_device;
use crate::bounds::{
    COMMAND_PAGE_MAX, COMMANDS_KEPT_OF_DEVICE_MAX, COMMANDS_WAITING_MAX, COMMANDS_WAITING_OF_DEVICE_MAX,
};
use crate::commands::{Happened, Next};
use crate::scoped::{Change, Statement};
use crate::sql::{Columns as _, json as written};
use crate::{Actor, CommandState, DeviceCommand, DeviceState, Error, NewCommand, Role};

const COLUMNS: &str = "number, device, name, attributes, content, repeatable, state, created, expires, sent, answered, \
    answer, reason, created_by, attempts";

impl Within<'_> {
    /// A device's commands, the latest first: those of a smaller number than `before`, in this state.
    pub async fn commands(
        &self,
        device: &str,
        state: Option<CommandState>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeviceCommand>, Error> {
        let device = self.device(device).await?.id;
        let some = self.scoped.sql("SELECT ").push(COLUMNS).push(" FROM commands WHERE tenant = $1 AND device = ");
        let mut some = some.push_bind(device);
        if let Some(state) = state {
            some = some.push(" AND state = ").push_bind(state.name().to_owned());
        }
        if let Some(before) = before {
            some = some.push(" AND number < ").push_bind(before);
        }
        let limit = i64::from(limit.clamp(1, COMMAND_PAGE_MAX));
        let rows = self.scoped.rows(some.push(" ORDER BY number DESC LIMIT ").push_bind(limit)).await?;
        let now = self.scoped.catalog().clock.now();
        rows.iter().map(|row| Ok(DeviceCommand::from_row(row)?.seen_at(now))).collect()
    }

    /// One of a device's commands.
    pub async fn command(&self, device: &str, number: i64) -> Result<DeviceCommand, Error> {
        let device = self.device(device).await?.id;
        let row = self.scoped.row(one_of(self.scoped.sql("SELECT "), device, number)).await?;
        let command = DeviceCommand::from_row(&row.ok_or_else(|| no_such(number))?)?;
        Ok(command.seen_at(self.scoped.catalog().clock.now()))
    }

    /// Queues a command for a device: it is sent when the device is there, one after the other. Whether its protocol has such
    /// a command, whoever calls has asked. For managers.
    pub async fn create_command(&self, device: &str, new: NewCommand) -> Result<DeviceCommand, Error> {
        self.scoped.access().needs(Role::Manager)?;
        let (kind, mut attributes) = new.spelled_out()?;
        if new.text.is_some() {
            attributes.remove(crate::commands::OWN_TEXT_ATTRIBUTE);
        }
        let mut change = self.scoped.change(Role::Manager).await?;
        let device = visible_device(&mut change, device).await?;
        if matches!(device.state, DeviceState::Quarantined | DeviceState::Rejected) {
            let state = device.state.name();
            return Err(Error::conflict(format!("the device {} is {state}: accept it first", device.id)));
        }
        may_wait(&mut change, &device.id).await?;
        let numbered = change.sql("UPDATE revisions SET commands = commands + 1 WHERE tenant = $1 RETURNING commands");
        let number = change.row(numbered).await?.map_or(Ok(0), |row| row.number("commands"))?;
        let by = match &self.scoped.access().actor {
            Actor::User { login, .. } => login.clone(),
            Actor::Token { name, .. } => name.clone(),
            Actor::Owner | Actor::Server => "owner".to_owned(),
        };
        let command = DeviceCommand {
            number,
            device: device.id,
            kind,
            attributes,
            text: new.text.clone(),
            repeatable: new.repeatable,
            state: CommandState::Queued,
            created: change.now(),
            expires: new.expires(change.now())?,
            sent: None,
            answered: None,
            answer: None,
            reason: None,
            by,
            attempts: 0,
        };
        insert(&mut change, &command).await?;
        forget_old(&mut change, &command.device).await?;
        change.audit("command.create", ("device", &command.device), None, Some(command.wanted())).await?;
        change.commit().await?;
        self.scoped.catalog().commands_changed();
        Ok(command)
    }

    /// Calls off a command that nobody has set out to send. For managers.
    pub async fn cancel_command(&self, device: &str, number: i64) -> Result<DeviceCommand, Error> {
        let mut change = self.scoped.change(Role::Manager).await?;
        let device = visible_device(&mut change, device).await?.id;
        let row = change.row(one_of(change.sql("SELECT "), device, number)).await?;
        let now = change.now();
        let mut command = DeviceCommand::from_row(&row.ok_or_else(|| no_such(number))?)?.seen_at(now);
        let Some(next) = command.after(Happened::Cancelled, now) else {
            let state = command.state.name();
            return Err(Error::conflict(format!(
                "the command {number} is {state}: only one that is queued can be called off"
            )));
        };
        write(&mut change, &mut command, next).await?;
        change.audit("command.cancel", ("device", &command.device), None, Some(command.outcome())).await?;
        change.commit().await?;
        Ok(command)
    }
}

fn no_such(number: i64) -> Error {
    Error::not_found("command", &number.to_string())
}

fn one_of(select: Statement, device: String, number: i64) -> Statement {
    let of = select.push(COLUMNS).push(" FROM commands WHERE tenant = $1 AND device = ").push_bind(device);
    of.push(" AND number = ").push_bind(number)
}

/// Fails where as many commands wait as may.
async fn may_wait(change: &mut Change<'_>, device: &str) -> Result<(), Error> {
    let count = "SELECT count(*) AS count FROM commands WHERE tenant = $1 AND state = 'queued' AND expires > $2";
    let all = change.sql(count).bind(change.now());
    let own = change.sql(count).bind(change.now()).push(" AND device = ").push_bind(device.to_owned());
    for (question, whose, limit) in [
        (own, format!("the device {device}"), COMMANDS_WAITING_OF_DEVICE_MAX),
        (all, "devices of the tenant".to_owned(), COMMANDS_WAITING_MAX),
    ] {
        let waiting = change.row(question).await?.map_or(Ok(0), |row| row.number("count"))?;
        if waiting >= limit {
            return Err(Error::conflict(format!("{waiting} commands wait for {whose}: call some off first")));
        }
    }
    Ok(())
}

async fn insert(change: &mut Change<'_>, command: &DeviceCommand) -> Result<(), Error> {
    let insert = change.sql(
        "INSERT INTO commands (tenant, number, device, name, attributes, content, repeatable, state, created, created_by, \
         expires, attempts, holder, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, '', '')",
    );
    let insert = insert.bind(command.number).bind(command.device.clone()).bind(command.kind.clone());
    let insert =
        insert.bind(written(&command.attributes)).bind(command.text.clone()).bind(i64::from(command.repeatable));
    let insert = insert.bind(command.state.name().to_owned()).bind(command.created).bind(command.by.clone());
    change.execute(insert.bind(command.expires)).await.map(drop)
}

/// Deletes what came of a device's commands long ago: the audit log has it still.
async fn forget_old(change: &mut Change<'_>, device: &str) -> Result<(), Error> {
    let old = change.sql(
        "DELETE FROM commands WHERE tenant = $1 AND device = $2 AND ended IS NOT NULL AND number <= \
         (SELECT number FROM commands WHERE tenant = $1 AND device = $2 ORDER BY number DESC LIMIT 1 OFFSET $3)",
    );
    change.execute(old.bind(device.to_owned()).bind(COMMANDS_KEPT_OF_DEVICE_MAX)).await.map(drop)
}

/// Reads a command, of whatever device.
pub(crate) async fn read(change: &mut Change<'_>, number: i64) -> Result<Option<DeviceCommand>, Error> {
    let one = change.sql("SELECT ").push(COLUMNS).push(" FROM commands WHERE tenant = $1 AND number = ");
    change.row(one.push_bind(number)).await?.map(|row| DeviceCommand::from_row(&row)).transpose()
}

/// A device's commands that have not come to an end, in their order. One that cannot be read is left out: the others are not to wait
/// for it, and its time runs out.
pub(crate) async fn open_of(change: &mut Change<'_>, device: &str, limit: i64) -> Result<Vec<DeviceCommand>, Error> {
    let open = change.sql("SELECT ").push(COLUMNS).push(" FROM commands WHERE tenant = $1 AND device = ");
    let open = open.push_bind(device.to_owned()).push(" AND ended IS NULL ORDER BY number LIMIT ").push_bind(limit);
    let mut commands = Vec::new();
    for row in &change.rows(open).await? {
        match DeviceCommand::from_row(row) {
            Ok(command) => commands.push(command),
            Err(error) => {
                let number = row.number("number")?;
                tracing::error!(device, number, "a command is left out, because it cannot be read: {error}");
            }
        }
    }
    Ok(commands)
}

/// Ends a command that nothing can be done with, whatever is kept of it.
pub(crate) async fn spoil(change: &mut Change<'_>, number: i64) -> Result<(), Error> {
    let row = change.sql("SELECT device FROM commands WHERE tenant = $1 AND ended IS NULL AND number = ");
    let Some(row) = change.row(row.push_bind(number)).await? else { return Ok(()) };
    let (device, state) = (row.text("device")?, CommandState::Failed);
    // Without what cannot be read, so that the device's other commands can be.
    let end = change.sql(
        "UPDATE commands SET state = $2, reason = $3, ended = $4, attributes = '{}' WHERE tenant = $1 AND number = $5",
    );
    let end = end.bind(state.name().to_owned()).bind(SPOILT.to_owned()).bind(change.now()).bind(number);
    change.execute(end).await?;
    let outcome = json!({"command": number, "state": state, "reason": SPOILT});
    change.audit(state.action(), ("device", &device), None, Some(outcome)).await
}

/// Why.
const SPOILT: &str = "what is kept of it cannot be read or written";

/// Writes what a command becomes.
pub(crate) async fn write(change: &mut Change<'_>, command: &mut DeviceCommand, next: Next) -> Result<(), Error> {
    command.state = next.state;
    command.reason = Some(next.reason).filter(|reason| !reason.is_empty());
    let update = change.sql(
        "UPDATE commands SET state = $2, reason = $3, attempts = $4, sent = $5, answered = $6, answer = $7, ended = $8 \
         WHERE tenant = $1 AND number = $9",
    );
    let ended = command.state.is_end().then(|| change.now());
    let update = update.bind(command.state.name().to_owned()).bind(command.reason.clone().unwrap_or_default());
    let update = update.bind(command.attempts).bind(command.sent).bind(command.answered).bind(command.answer.clone());
    change.execute(update.bind(ended).bind(command.number)).await.map(drop)
}

/// Says in the audit log what became of a command, as the server has it.
pub(crate) async fn audit_outcome(change: &mut Change<'_>, command: &DeviceCommand) -> Result<(), Error> {
    let outcome: Value = command.outcome();
    change.audit(command.state.action(), ("device", &command.device), None, Some(outcome)).await
}
