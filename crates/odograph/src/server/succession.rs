//! One server follows another, as when the binary is upgraded, and no device is refused meanwhile: the sockets on which
//! devices arrive go from the old process to the new one, by a Unix socket in the data folder, and the kernel keeps whoever
//! comes while nobody accepts.
//!
//! The old one sends a byte for each socket, with the socket, and a last one; the new one answers with a byte once it has them
//! all. Then the old one stops as it does by SIGTERM, and gives the data folder free.

use super::given::Sockets;
use crate::exit::{Failure, Status};
use crate::folder::{Folder, Lock};
use anyhow::{Context as _, Result};
use odograph_ingest::{Gateway, Given};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Gives the sockets to a process that asks for them. `true`: it has them all, and waits for this one to end.
pub(super) fn give(stream: &UnixStream, gateway: &Gateway) -> io::Result<bool> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // The file is its owner's alone already; whoever passed it on is not.
    let asking = sockopt::socket_peercred(stream)?;
    if asking.uid != rustix::process::geteuid() && !asking.uid.is_root() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not of the same user"));
    }
    for socket in gateway.sockets() {
        send(stream, socket)?;
    }
    let mut stream = stream;
    stream.write_all(&[THAT_IS_ALL])?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    Ok(answer == [I_HAVE_THEM])
}

fn send(stream: &UnixStream, socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    let sockets = [socket];
    if !with.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::Error::other("a socket does not fit a message"));
    }
    sendmsg(stream, &[IoSlice::new(&[A_SOCKET])], &mut with, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes the sockets of the server that has the folder, lets it end, and takes the folder. Where none has it, there is nothing
/// to follow.
pub(super) fn follow(folder: &Folder, sockets: &mut Sockets, stop_max: Duration) -> Result<Lock> {
    let Ok(mut stream) = folder.connect_to_follow() else { return folder.lock() };
    let taken = take(&stream).and_then(|taken| stream.write_all(&[I_HAVE_THEM]).map(|()| taken));
    let taken = taken.context("cannot take the sockets of the server that has the data folder: it goes on")?;
    tracing::info!(sockets = taken.len(), "following the server that has the data folder, which ends now");
    for socket in taken {
        sockets.add(String::new(), socket);
    }
    // It ends in the time that it may take to answer what is due, and some more to close its files.
    let mut left = stop_max + PATIENCE;
    loop {
        if let Some(lock) = folder.try_lock()? {
            return Ok(lock);
        }
        if left.is_zero() {
            let what = "the server that this one follows does not end: end it, and start again";
            return Err(Failure::new(Status::Temporary, what).into());
        }
        std::thread::sleep(LOOK);
        left = left.saturating_sub(LOOK);
    }
}

fn take(stream: &UnixStream) -> io::Result<Vec<Given>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut all = Vec::new();
    loop {
        match receive(stream)? {
            (A_SOCKET, Some(socket)) => all.push(Given::new(socket)?),
            (THAT_IS_ALL, _) => return Ok(all),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not send its sockets")),
        }
        if all.len() > SOCKETS_MAX {
            return Err(io::Error::other("it sends too many sockets"));
        }
    }
}

fn receive(stream: &UnixStream) -> io::Result<(u8, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut with, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut sockets = with.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    Ok((byte[0], sockets.next().and_then(|mut sockets| sockets.next())))
}

const A_SOCKET: u8 = 1;
const THAT_IS_ALL: u8 = 0;
const I_HAVE_THEM: u8 = 2;

/// How long either side waits for the other: both have little to do.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// More than a process can have.
const SOCKETS_MAX: usize = 1 << 20;
