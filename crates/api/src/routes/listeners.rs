//! Listeners that people make while the server runs: for those who manage tenants, because a port is one of the whole server.

use crate::body::{Body, Named};
use crate::stream::waiting;
use crate::{Api, Caller, ListenerList, ListenerSeen, ListenerStanding, ListenerState, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use odograph_catalog::{Error, Listener, ListenerFields};
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(one, change, delete))
}

/// Where devices arrive
///
/// The listeners that people made, with how they stand on the server that is asked, and what else it has open. For those who manage
/// tenants.
#[utoipa::path(get, path = "/api/v1/listeners", tag = "administration",
    responses((status = 200, description = "All of them.", body = ListenerList),
        (status = 403, description = "Whoever asks does not manage tenants.", body = crate::problem::ProblemBody)))]
async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<ListenerList>, Problem> {
    let listeners = caller.listeners().list().await?;
    let listeners = listeners.into_iter().map(|listener| seen(&api, listener)).collect();
    let (others, others_left_out) = api.server.other_listeners();
    Ok(Json(ListenerList { listeners, others, others_left_out }))
}

/// Make a listener
///
/// It takes a protocol and an address that nothing else has. The answer waits a moment until it is open, or says in `problem` why it
/// is not: then it is there all the same, and tried again. For those who manage tenants.
#[utoipa::path(post, path = "/api/v1/listeners", tag = "administration", request_body = ListenerFields,
    responses((status = 201, description = "It is there.", body = ListenerSeen),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 403, description = "Whoever asks does not manage tenants.", body = crate::problem::ProblemBody),
        (status = 409, description = "Its address is taken by another listener or by the configuration, which the detail names.", body = crate::problem::ProblemBody)))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(fields): Body<ListenerFields>,
) -> Result<(StatusCode, Json<ListenerSeen>), Problem> {
    read_certificates(&api, &caller, &fields).await?;
    let check = |listener: &mut Listener, others: &[Listener]| checked(&api, listener, others);
    let made = caller.listeners().create(fields, &check).await?;
    Ok((StatusCode::CREATED, Json(settled(&api, made).await)))
}

/// A listener
///
/// For those who manage tenants.
#[utoipa::path(get, path = "/api/v1/listeners/{id}", tag = "administration", params(("id" = String, Path, description = "The listener's id.")),
    responses((status = 200, description = "The listener, and how it stands.", body = ListenerSeen),
        (status = 403, description = "Whoever asks does not manage tenants.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such listener.", body = crate::problem::ProblemBody)))]
async fn one(State(api): State<Api>, caller: Caller, Named(id): Named<String>) -> Result<Json<ListenerSeen>, Problem> {
    Ok(Json(seen(&api, caller.listeners().get(&id).await?)))
}

/// Change, close or open a listener
///
/// What is not named stays. `enabled` closes and opens it. Connections that came by it end, after what is due was acknowledged, and the
/// devices come again under what holds then; as long as the address stays the same, none is refused. For those who manage tenants.
#[utoipa::path(patch, path = "/api/v1/listeners/{id}", tag = "administration", request_body = ListenerFields,
    params(("id" = String, Path, description = "The listener's id.")),
    responses((status = 200, description = "The listener, as it is now.", body = ListenerSeen),
        (status = 400, description = "Something about it is wrong.", body = crate::problem::ProblemBody),
        (status = 403, description = "Whoever asks does not manage tenants.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such listener.", body = crate::problem::ProblemBody),
        (status = 409, description = "Its address is taken, or it was changed meanwhile.", body = crate::problem::ProblemBody)))]
async fn change(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<String>,
    Body(fields): Body<ListenerFields>,
) -> Result<Json<ListenerSeen>, Problem> {
    read_certificates(&api, &caller, &fields).await?;
    let check = |listener: &mut Listener, others: &[Listener]| checked(&api, listener, others);
    let changed = caller.listeners().update(&id, fields, &check).await?;
    Ok(Json(settled(&api, changed).await))
}

/// Remove a listener
///
/// Its port is closed, and its connections end, after what is due was acknowledged. The devices that came by it, and what they sent,
/// stay. For those who manage tenants.
#[utoipa::path(delete, path = "/api/v1/listeners/{id}", tag = "administration", params(("id" = String, Path, description = "The listener's id.")),
    responses((status = 204, description = "It is gone."),
        (status = 403, description = "Whoever asks does not manage tenants.", body = crate::problem::ProblemBody),
        (status = 404, description = "There is no such listener.", body = crate::problem::ProblemBody)))]
async fn delete(State(api): State<Api>, caller: Caller, Named(id): Named<String>) -> Result<StatusCode, Problem> {
    caller.listeners().delete(&id).await?;
    for _ in 0..LOOKS {
        if api.server.listener_standing(&id, i64::MAX).is_none() {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Looks whether the certificates that somebody names can be used: before anything is written, because a disk may take its time.
async fn read_certificates(api: &Api, caller: &Caller, fields: &ListenerFields) -> Result<(), Problem> {
    caller.access.needs_system()?;
    let Some(Some(tls)) = fields.tls.clone() else { return Ok(()) };
    waiting(api, caller.tenant(), move |api| api.server.read_certificates(&tls)).await
}

fn checked(api: &Api, listener: &mut Listener, others: &[Listener]) -> Result<(), Error> {
    api.server.check_listener(listener, others)
}

fn seen(api: &Api, listener: Listener) -> ListenerSeen {
    let on_its_way = || ListenerStanding { state: ListenerState::Waiting, problem: None, sockets: Vec::new() };
    let standing = api.server.listener_standing(&listener.id, listener.revision).unwrap_or_else(on_its_way);
    ListenerSeen { listener, standing }
}

/// The listener, once it is clear what became of it, or after a while.
async fn settled(api: &Api, listener: Listener) -> ListenerSeen {
    for _ in 0..LOOKS {
        let standing = api.server.listener_standing(&listener.id, listener.revision);
        if standing.is_some_and(|standing| standing.state != ListenerState::Waiting) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    seen(api, listener)
}

/// Three seconds: a door that closes waits two at most until its address is free.
const LOOKS: u32 = 150;
const LOOK: Duration = Duration::from_millis(20);
