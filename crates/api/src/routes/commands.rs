//! Commands for devices: queued, sent when the device is there, answered.

use crate::body::{Asked, Body, Named};
use crate::server::CommandType;
use crate::{Api, Caller, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use odograph_catalog::bounds::COMMAND_PAGE_MAX;
use odograph_catalog::{CommandState, DeviceCommand, NewCommand, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(types)).routes(routes!(one, cancel))
}

/// Which commands, and how many at a time.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CommandsAsked {
    /// In this state.
    state: Option<CommandState>,
    /// With a smaller number: `next` of the page before.
    before: Option<i64>,
    /// So many on a page, at most 1,000.
    limit: Option<u32>,
}

impl CommandsAsked {
    /// How many a page has if it is full: the catalog gives no more, whatever is asked for.
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(PAGE).clamp(1, COMMAND_PAGE_MAX)
    }
}

/// A page of commands.
#[derive(Serialize, ToSchema)]
struct Commands {
    /// The latest first.
    commands: Vec<DeviceCommand>,
    /// What gets the next page, as `before`; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

impl Commands {
    /// What was found where so many were looked for: only behind a full page there may be another one.
    fn of(commands: Vec<DeviceCommand>, limit: u32) -> Self {
        let is_full = u32::try_from(commands.len()).is_ok_and(|count| count >= limit);
        let next = commands.last().filter(|_| is_full).map(|last| last.number);
        Self { commands, next }
    }
}

/// A device's commands
///
/// The latest first. They are kept for 90 days after their end, at most 1,000 of a device; the audit log has all.
#[utoipa::path(get, path = "/api/v1/devices/{id}/commands", tag = "commands",
    params(("id" = String, Path, description = "The device's id, or one of its other names."), CommandsAsked),
    responses((status = 200, description = "A page.", body = Commands),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody)))]
async fn list(
    caller: Caller,
    Named(id): Named<String>,
    Asked(asked): Asked<CommandsAsked>,
) -> Result<Json<Commands>, Problem> {
    let limit = asked.limit();
    let commands = caller.within().commands(&id, asked.state, asked.before, limit).await?;
    Ok(Json(Commands::of(commands, limit)))
}

/// A command to be sent.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct WantedCommand {
    /// What it is, such as `engineStop`: one of the device's types. May be left out where there is a `text`.
    r#type: Option<String>,
    /// Its attributes: texts, numbers, flags.
    #[schema(value_type = BTreeMap<String, String>)]
    attributes: BTreeMap<String, Value>,
    /// The maker's own text, as it is.
    text: Option<String>,
    /// How long it may wait for the device, in seconds, at most 30 days; an hour, if it is not given. It is never sent afterwards.
    ttl_s: Option<u64>,
    /// Whether it may be sent again where nobody knows whether the device got it. Else it is sent once at most.
    repeatable: bool,
}

impl WantedCommand {
    fn read(self) -> Result<NewCommand, Problem> {
        let Self { r#type, attributes, text, ttl_s, repeatable } = self;
        let written = |(name, value): (String, Value)| match value {
            Value::String(text) => Ok((name, text)),
            Value::Number(_) | Value::Bool(_) => Ok((name, value.to_string())),
            _ => Err(Problem::invalid("attributes", format!("{name} is no text, number or flag"))),
        };
        let attributes = attributes.into_iter().map(written).collect::<Result<_, _>>()?;
        Ok(NewCommand { kind: r#type, attributes, text, ttl_s, repeatable })
    }
}

/// Send a command
///
/// For managers. It waits for the device: for its TCP connection, or its next UDP datagram. Over HTTP no commands are sent. Those of one
/// device are sent one after the other.
#[utoipa::path(post, path = "/api/v1/devices/{id}/commands", tag = "commands", request_body = WantedCommand,
    params(("id" = String, Path, description = "The device's id, or one of its other names.")),
    responses((status = 201, description = "It is queued.", body = DeviceCommand),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody),
        (status = 409, description = "The device was not accepted, or too many commands wait.", body = crate::problem::ProblemBody),
        (status = 422, description = "The device's protocol has no such command.", body = crate::problem::ProblemBody)))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<String>,
    Body(wanted): Body<WantedCommand>,
) -> Result<(StatusCode, Json<DeviceCommand>), Problem> {
    caller.access.needs(Role::Manager)?;
    let new = wanted.read()?;
    let device = caller.within().device(&id).await?;
    api.server.check_command(caller.tenant(), &device, &new)?;
    Ok((StatusCode::CREATED, Json(caller.within().create_command(&id, new).await?)))
}

/// What a device can be told.
#[derive(Serialize, ToSchema)]
struct CommandTypes {
    /// The protocol that it speaks; absent where that is not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    /// Whether it is here now: by a connection over which commands can be sent, or by a datagram in the last minute.
    connected: bool,
    /// The commands of its protocol.
    types: Vec<CommandType>,
}

/// What a device can be told
///
/// The commands that its protocol can encode, and whether it is here to get them.
#[utoipa::path(get, path = "/api/v1/devices/{id}/commands/types", tag = "commands",
    params(("id" = String, Path, description = "The device's id, or one of its other names.")),
    responses((status = 200, description = "The types of commands.", body = CommandTypes),
        (status = 404, description = "There is no such device.", body = crate::problem::ProblemBody)))]
async fn types(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<CommandTypes>, Problem> {
    let device = caller.within().device(&id).await?;
    let spoken = api.server.speaks(caller.tenant(), &device.id);
    let protocol = spoken.map_or(device.protocol, ToOwned::to_owned);
    let types = api.server.command_types(&protocol);
    let protocol = Some(protocol).filter(|protocol| !protocol.is_empty());
    Ok(Json(CommandTypes { protocol, connected: spoken.is_some(), types }))
}

/// A command
#[utoipa::path(get, path = "/api/v1/devices/{id}/commands/{number}", tag = "commands",
    params(("id" = String, Path, description = "The device's id, or one of its other names."),
        ("number" = i64, Path, description = "The command's number.")),
    responses((status = 200, description = "The command, and what became of it.", body = DeviceCommand),
        (status = 404, description = "There is no such device or command.", body = crate::problem::ProblemBody)))]
async fn one(caller: Caller, Named((id, number)): Named<(String, i64)>) -> Result<Json<DeviceCommand>, Problem> {
    Ok(Json(caller.within().command(&id, number).await?))
}

/// Call off a command
///
/// For managers. Only one that is queued can be called off: what has been sent cannot be taken back.
#[utoipa::path(delete, path = "/api/v1/devices/{id}/commands/{number}", tag = "commands",
    params(("id" = String, Path, description = "The device's id, or one of its other names."),
        ("number" = i64, Path, description = "The command's number.")),
    responses((status = 200, description = "It will not be sent.", body = DeviceCommand),
        (status = 404, description = "There is no such device or command.", body = crate::problem::ProblemBody),
        (status = 409, description = "It is not queued any more.", body = crate::problem::ProblemBody)))]
async fn cancel(caller: Caller, Named((id, number)): Named<(String, i64)>) -> Result<Json<DeviceCommand>, Problem> {
    Ok(Json(caller.within().cancel_command(&id, number).await?))
}

/// Commands on a page where nothing else is asked for.
const PAGE: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn command(number: i64) -> DeviceCommand {
        DeviceCommand {
            number,
            device: "1".into(),
            kind: "custom".into(),
            attributes: BTreeMap::new(),
            text: None,
            repeatable: false,
            state: CommandState::Queued,
            created: 0,
            expires: 0,
            sent: None,
            answered: None,
            answer: None,
            reason: None,
            by: String::new(),
            attempts: 0,
        }
    }

    #[test]
    fn behind_a_full_page_there_is_a_next_one_however_many_were_asked_for() {
        let next = |limit: Option<u32>, found: i64| {
            let asked = CommandsAsked { limit, ..CommandsAsked::default() };
            Commands::of((1..=found).rev().map(command).collect(), asked.limit()).next
        };
        assert_eq!(next(Some(5000), 1000), Some(1), "more than the catalog gives");
        assert_eq!((next(Some(1000), 1000), next(Some(1000), 999)), (Some(1), None));
        assert_eq!((next(None, 100), next(None, 99)), (Some(1), None));
        assert_eq!((next(Some(0), 1), next(Some(0), 0)), (Some(1), None));
    }
}
