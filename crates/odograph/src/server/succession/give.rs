//! The old server's side: it goes on serving until somebody is ready to take its place, then passes the data folder on, and goes
//! on again where the new one does not serve.

use super::message::{EXCHANGE, Line, Message, has_ended};
use super::{ASK_MAX, END_MAX, PREPARE_MAX};
use crate::folder::Lock;
use crate::http::Public;
use crate::server::listeners::Planned;
use odograph_ingest::Gateway;
use odograph_protocols::Transport;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::Duration;
use tokio::net::UnixListener;

/// What a server has to give beside the data folder.
pub(in crate::server) struct Offer<'a> {
    gateway: &'a Gateway,
    http: &'a Public,
    /// The names of those sockets that have one.
    names: HashMap<(Transport, SocketAddr), &'a str>,
    /// How long the other one may take until it serves.
    open_max: Duration,
}

impl<'a> Offer<'a> {
    pub(in crate::server) fn of(
        gateway: &'a Gateway,
        http: &'a Public,
        planned: &'a [Planned],
        open_max: Duration,
    ) -> Self {
        let named = |plan: &'a Planned| Some(((plan.transport, plan.address), plan.config.socket.as_ref()?.0.as_str()));
        Self { gateway, http, names: planned.iter().filter_map(named).collect(), open_max }
    }
}

/// A server that is ready to take this one's place.
pub(in crate::server) struct Successor {
    line: Line,
    process: i32,
    open_max: Duration,
}

/// What became of the new server.
pub(in crate::server) enum Outcome {
    /// It serves.
    Serves,
    /// It has ended, and the folder is this one's again.
    Ended(String),
    /// It has the folder, and neither serves nor ends.
    Hangs(i32),
}

/// Waits until somebody is ready to follow. Whoever asks and does not come to that is told and forgotten.
pub(in crate::server) async fn asked(asking: &UnixListener, offer: &Offer<'_>) -> Successor {
    loop {
        let Ok((stream, _)) = asking.accept().await else {
            // No file is free, most likely. It waits.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let line = Line::over(stream);
        match prepare(&line, offer).await {
            Ok(process) => return Successor { line, process, open_max: offer.open_max },
            Err(error) => {
                tracing::warn!(%error, "another server was to follow, and is not ready: this one goes on");
                // It may have ended, and then it knows.
                let _ = line.say(&Message::Refuse { why: error.to_string() }).await;
            }
        }
    }
}

async fn prepare(line: &Line, offer: &Offer<'_>) -> io::Result<i32> {
    let process = line.peer()?;
    match line.hear(ASK_MAX).await?.0 {
        Message::Ask { exchange: EXCHANGE, version } => {
            tracing::info!(process, version, "another server asks to follow this one, and gets its sockets");
        }
        Message::Ask { exchange, version } => {
            let why = format!("version {version} takes over in another way ({exchange}) than this one ({EXCHANGE})");
            return Err(io::Error::other(why));
        }
        other => return Err(unexpected(&other)),
    }
    let mut sockets = 0;
    for bound in offer.gateway.sockets() {
        let place = (bound.listener().transport, bound.listener().local);
        let name = offer.names.get(&place).copied().unwrap_or_default().to_owned();
        line.pass(&Message::Socket { name }, bound.as_fd()).await?;
        sockets += 1;
    }
    if let Some(tcp) = offer.http.tcp() {
        line.pass(&Message::Socket { name: String::new() }, tcp.as_fd()).await?;
        sockets += 1;
    }
    line.say(&Message::All { sockets }).await?;
    match line.hear(PREPARE_MAX.min(offer.open_max)).await?.0 {
        Message::Ready => Ok(process),
        Message::Cannot { why } => Err(io::Error::other(why)),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(message: &Message) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it said {message:?}, which nobody expected"))
}

impl Successor {
    /// Tells it that this server stops now. An error: it is not there any more.
    pub(in crate::server) async fn closing(&self, within: Duration) -> io::Result<()> {
        tracing::info!(process = self.process, "another server is ready: this one stops, and gives it the data folder");
        self.line.say(&Message::Closing { within_s: within.as_secs() }).await
    }

    /// Gives it the data folder, in which this process must not write any more. An error: it may have it nevertheless, unless it
    /// has ended.
    pub(in crate::server) async fn give(&self, lock: &Lock) -> io::Result<()> {
        self.line.pass(&Message::Lock, lock.as_fd()).await?;
        tracing::info!(process = self.process, "the other server has the data folder");
        Ok(())
    }

    /// Waits until it serves or has ended. The connection closes when its last thread has ended, and not before: until then it may
    /// write.
    pub(in crate::server) async fn serves(&self) -> Outcome {
        let (mut within, mut why) = (self.open_max, "it ended before it served".to_owned());
        loop {
            match self.line.hear(within).await {
                Ok((Message::Serving, _)) => return Outcome::Serves,
                Ok((Message::Cannot { why: said }, _)) => (within, why) = (END_MAX, said),
                Ok((other, _)) => (within, why) = (END_MAX, unexpected(&other).to_string()),
                Err(error) if has_ended(&error) => return Outcome::Ended(why),
                Err(_) => return Outcome::Hangs(self.process),
            }
        }
    }
}

/// How long is waited after an error such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);
