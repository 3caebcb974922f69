//! One server follows another, as when the binary is upgraded, and no device is refused meanwhile: sockets and the data folder's
//! lock go from the old process to the new one, as open files over a Unix socket in the folder.
//!
//! The old one serves until the new one has all sockets and has said that it is ready; then it stops, passes the lock, and waits.
//! Both have the lock's open file then, so nobody else can take the folder. Who may write is whoever was told so last: the new
//! one from the lock on, the old one again when the connection is closed, which the kernel does after the new one's last thread
//! has ended. Whoever connects meanwhile waits in the kernel. `docs/operating/upgrade.md` has the steps with their bounds.

mod give;
mod message;

pub(super) use give::{Offer, Outcome, Successor, asked};

use super::doors::Doors;
use super::given::Sockets;
use crate::exit::{Failure, Status};
use crate::folder::{Folder, Lock};
use anyhow::{Context as _, Result};
use message::{EXCHANGE, Line, Message, has_ended};
use odograph_ingest::Given;
use std::mem::ManuallyDrop;
use std::time::Duration;

/// What a new server begins with.
pub(super) struct Taken {
    pub(super) doors: Doors,
    pub(super) lock: Lock,
    /// Who waits to hear that it serves.
    pub(super) from: Option<Predecessor>,
}

/// The old server, which waits: it goes on when the connection to it is closed. Only the end of the process may do that, because
/// threads that write in the folder may run until then.
pub(super) struct Predecessor(ManuallyDrop<Line>);

impl Predecessor {
    /// Tells it that it may go.
    pub(super) async fn serving(self) {
        match self.0.say(&Message::Serving).await {
            Ok(()) => {
                tracing::info!("took over: the server before has nothing more to do");
                drop(ManuallyDrop::into_inner(self.0));
            }
            // It has ended, most likely, and the folder is this one's either way. The connection stays open in case it has not.
            Err(error) => tracing::warn!(%error, "took over, and cannot tell the server before"),
        }
    }

    /// Tells it that it has to go on, as soon as this process has ended.
    pub(super) async fn cannot(self, error: &anyhow::Error) {
        tracing::error!("cannot begin in the place of the server before, which goes on: {error:#}");
        // Where it does not hear that, it sees the end.
        let _ = self.0.say(&Message::Cannot { why: format!("{error:#}") }).await;
    }
}

/// Takes the place of the server that has the folder. Where none has it, there is nothing to follow. Until it has the folder, this
/// can be given up at any moment, and the old server goes on.
pub(super) async fn follow(
    folder: &Folder,
    mut sockets: Sockets,
    open: impl FnOnce(Sockets) -> Result<Doors>,
) -> Result<Taken> {
    let stream = match reach(folder).await? {
        Reached::Server(stream) => stream,
        Reached::Nobody(lock) => return Ok(Taken { doors: open(sockets)?, lock, from: None }),
    };
    tracing::info!("asks the server that has the data folder for its sockets");
    stream.set_nonblocking(true)?;
    let line = Line::over(tokio::net::UnixStream::from_std(stream)?);
    let got = take_sockets(&line, &mut sockets).await;
    if got.as_ref().err().and_then(|error| error.downcast_ref()).is_some_and(has_ended) {
        // What it has not given is free when it has ended.
        let lock = inherit_from_the_dead(folder).await?;
        return Ok(Taken { doors: open(sockets)?, lock, from: None });
    }
    let prepared = got.and_then(|()| open(sockets));
    let doors = match prepared {
        Ok(doors) => doors,
        Err(error) => {
            let _ = line.say(&Message::Cannot { why: format!("{error:#}") }).await;
            return Err(error.context("cannot follow the server that has the data folder, which goes on"));
        }
    };
    match take_folder(&line, folder).await {
        Ok(lock) => Ok(Taken { doors, lock, from: Some(Predecessor(ManuallyDrop::new(line))) }),
        Err(error) if error.downcast_ref().is_some_and(has_ended) => {
            Ok(Taken { doors, lock: inherit_from_the_dead(folder).await?, from: None })
        }
        Err(error) => Err(error.context("cannot follow the server that has the data folder")),
    }
}

enum Reached {
    Server(std::os::unix::net::UnixStream),
    Nobody(Lock),
}

/// Connects to the server that has the folder, or takes the folder that nobody has. One that just starts or ends is waited for.
async fn reach(folder: &Folder) -> Result<Reached> {
    let wait = async {
        loop {
            if let Ok(stream) = folder.connect_to_follow() {
                return Ok(Reached::Server(stream));
            }
            if let Some(lock) = folder.try_lock()? {
                return Ok(Reached::Nobody(lock));
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(INHERIT_MAX, wait).await.unwrap_or_else(|_| Err(folder.held().into()))
}

async fn take_sockets(line: &Line, sockets: &mut Sockets) -> Result<()> {
    line.peer()?;
    line.say(&Message::Ask { exchange: EXCHANGE, version: env!("CARGO_PKG_VERSION").to_owned() }).await?;
    let mut count = 0;
    loop {
        // It may have just begun to start, or prepare another one.
        let within = if count == 0 { PREPARE_MAX } else { STEP_MAX };
        match line.hear(within).await? {
            (Message::Socket { name }, Some(socket)) => {
                sockets.add(name, Given::new(socket).context("what it gives is no socket to listen on")?);
                count += 1;
            }
            (Message::Socket { .. }, None) => {
                let what = "a socket did not arrive: as many open files as for the old server are needed (LimitNOFILE)";
                return Err(Failure::new(Status::Temporary, what).into());
            }
            (Message::All { sockets }, _) if sockets == count => {
                tracing::info!(sockets, "following the server that has the data folder, which goes on meanwhile");
                return Ok(());
            }
            (other, _) => return Err(refused(other)),
        }
        if count > SOCKETS_MAX {
            return Err(Failure::new(Status::Temporary, "it sends too many sockets").into());
        }
    }
}

async fn take_folder(line: &Line, folder: &Folder) -> Result<Lock> {
    line.say(&Message::Ready).await?;
    let within = match line.hear(STEP_MAX).await?.0 {
        Message::Closing { within_s } => Duration::from_secs(within_s) + STEP_MAX,
        other => return Err(refused(other)),
    };
    tracing::info!("ready: the server before stops, and gives the data folder");
    match line.hear(within).await? {
        (Message::Lock, Some(file)) => {
            let lock = folder.inherit(file).context("what it gives is not the data folder's lock")?;
            tracing::info!("has the data folder now");
            Ok(lock)
        }
        (other, _) => Err(refused(other)),
    }
}

fn refused(message: Message) -> anyhow::Error {
    let what = match message {
        Message::Refuse { why } => format!("it refuses: {why}"),
        other => format!("it said {other:?}, which nobody expected"),
    };
    Failure::new(Status::Temporary, what).into()
}

/// The folder of a server that ended instead: by a signal, or because its disk failed.
async fn inherit_from_the_dead(folder: &Folder) -> Result<Lock> {
    tracing::warn!(
        "the server that this one follows has ended or is about to: this one takes the data folder by itself"
    );
    let wait = async {
        let mut left = ANOTHER;
        loop {
            if let Some(lock) = folder.try_lock()? {
                return Ok(lock);
            }
            // One that ends takes its socket away first: this is that of a third one, which was faster.
            if left.is_zero() && folder.succession().exists() {
                return Err(folder.held().into());
            }
            tokio::time::sleep(LOOK).await;
            left = left.saturating_sub(LOOK);
        }
    };
    tokio::time::timeout(INHERIT_MAX, wait).await.unwrap_or_else(|_| Err(folder.held().into()))
}

/// How long the new server may take to say that it wants to follow, once it has connected.
const ASK_MAX: Duration = Duration::from_secs(10);
/// How long the new server may take to open what the old one does not have, and read its certificates, and no longer than until it
/// serves. The old one serves.
const PREPARE_MAX: Duration = Duration::from_secs(60);
/// How long the old server may take for a step that takes it no time.
const STEP_MAX: Duration = Duration::from_secs(10);
/// How long the old server may take to stop, beyond what devices may take for their acknowledgements (`limits.stop_max`): a table
/// of history may be half written, on a slow object store.
pub(super) const CLOSE_MAX: Duration = Duration::from_secs(60);
/// How long a server may take to end that has said that it ends.
const END_MAX: Duration = Duration::from_secs(60);
/// How long a server that ends by itself may take, or one that begins: it makes files of all that waits, on a slow object store, or
/// reads the end of the journal.
const INHERIT_MAX: Duration = Duration::from_secs(180);
/// How long a server that ends may have its socket.
const ANOTHER: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// More than a process can have.
const SOCKETS_MAX: usize = 1 << 20;
