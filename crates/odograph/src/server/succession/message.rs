//! What the two servers say to each other, and with which open files: each message is its length in two bytes, and JSON. A file
//! travels with the first byte of its message.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// The new one: it has checked what it can check alone, and wants to follow.
    Ask {
        /// Which [`EXCHANGE`] it speaks.
        exchange: u32,
        /// Its version, for the log.
        version: String,
    },
    /// The old one: it goes on, and the new one cannot follow.
    Refuse { why: String },
    /// The old one: a socket, with the name that it may have.
    Socket { name: String },
    /// The old one: those were all.
    All { sockets: usize },
    /// The new one: it has all that it needs but the data folder.
    Ready,
    /// The old one: it stops now, which takes no longer than that.
    Closing { within_s: u64 },
    /// The old one: the data folder's lock. It does not write there any more.
    Lock,
    /// The new one: it serves, so the old one may go.
    Serving,
    /// The new one: it does not come to that, and ends.
    Cannot { why: String },
}

/// The exchange that this version speaks. Another one is refused, and the old server goes on.
pub(super) const EXCHANGE: u32 = 2;

/// The connection of the two.
#[derive(Debug)]
pub(super) struct Line(UnixStream);

impl Line {
    pub(super) const fn over(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// Who is at the other end, by number, if it is of the same user: the file is its owner's alone already, but whoever has the
    /// socket may pass it on.
    pub(super) fn peer(&self) -> io::Result<i32> {
        let peer = rustix::net::sockopt::socket_peercred(&self.0)?;
        if peer.uid != rustix::process::geteuid() && !peer.uid.is_root() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not of the same user"));
        }
        Ok(peer.pid.as_raw_nonzero().get())
    }

    /// Says something. An error: nobody is there any more, or takes it within [`SAY_MAX`].
    pub(super) async fn say(&self, message: &Message) -> io::Result<()> {
        bounded(SAY_MAX, self.send(message, None)).await
    }

    /// The same, with an open file that the other side has from then on, too.
    pub(super) async fn pass(&self, message: &Message, file: BorrowedFd<'_>) -> io::Result<()> {
        bounded(SAY_MAX, self.send(message, Some(file))).await
    }

    /// Waits for what the other side says. An error of the kind [`io::ErrorKind::UnexpectedEof`]: it has ended.
    pub(super) async fn hear(&self, within: Duration) -> io::Result<(Message, Option<OwnedFd>)> {
        bounded(within, self.receive()).await
    }

    async fn send(&self, message: &Message, file: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let length = u16::try_from(text.len()).map_err(|_| io::Error::other("a message is too long"))?;
        let bytes = [&length.to_be_bytes()[..], &text].concat();
        let (mut rest, mut file) = (bytes.as_slice(), file);
        while !rest.is_empty() {
            let sent = self.0.async_io(Interest::WRITABLE, || send_some(self.0.as_fd(), rest, file)).await?;
            rest = rest.get(sent..).unwrap_or_default();
            file = None;
        }
        Ok(())
    }

    async fn receive(&self) -> io::Result<(Message, Option<OwnedFd>)> {
        let mut length = [0; 2];
        let file = self.fill(&mut length).await?;
        let mut text = vec![0; usize::from(u16::from_be_bytes(length))];
        let other = self.fill(&mut text).await?;
        Ok((serde_json::from_slice(&text)?, file.or(other)))
    }

    async fn fill(&self, bytes: &mut [u8]) -> io::Result<Option<OwnedFd>> {
        let (mut at, mut file) = (0, None);
        while at < bytes.len() {
            let (received, with) = self
                .0
                .async_io(Interest::READABLE, || receive_some(self.0.as_fd(), bytes.get_mut(at..).unwrap_or_default()))
                .await?;
            if received == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at += received;
            file = file.or(with);
        }
        Ok(file)
    }
}

/// Whether an error says that nobody is at the other end any more.
pub(super) fn has_ended(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset)
}

async fn bounded<T>(within: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", within.as_secs()));
    timeout(within, work).await.map_err(late)?
}

fn send_some(stream: BorrowedFd<'_>, bytes: &[u8], file: Option<BorrowedFd<'_>>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    let files: Vec<_> = file.into_iter().collect();
    if !files.is_empty() && !with.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::Error::other("an open file does not fit a message"));
    }
    Ok(sendmsg(stream, &[IoSlice::new(bytes)], &mut with, SendFlags::NOSIGNAL)?)
}

fn receive_some(stream: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream, &mut [IoSliceMut::new(bytes)], &mut with, RecvFlags::CMSG_CLOEXEC)?;
    let mut files = with.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    Ok((received.bytes, files.next().and_then(|mut files| files.next())))
}

/// How long the other side may take to take a message: it has little else to do.
const SAY_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    fn pair() -> (tokio::runtime::Runtime, Line, Line) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (one, other) = runtime.block_on(async { UnixStream::pair().unwrap() });
        (runtime, Line::over(one), Line::over(other))
    }

    #[test]
    fn messages_arrive_in_order_each_with_its_file() {
        let (runtime, here, there) = pair();
        let files: Vec<_> = (0..3).map(|_| tempfile::tempfile().unwrap()).collect();
        runtime.block_on(async {
            here.say(&Message::Ready).await.unwrap();
            for (number, file) in files.iter().enumerate() {
                here.pass(&Message::Socket { name: format!("door-{number}") }, file.as_fd()).await.unwrap();
            }
            here.say(&Message::All { sockets: 3 }).await.unwrap();
            drop(here);
            let second = Duration::from_secs(1);
            let (message, file) = there.hear(second).await.unwrap();
            assert_eq!((message, file.is_none()), (Message::Ready, true));
            for (number, sent) in files.iter().enumerate() {
                let (message, file) = there.hear(second).await.unwrap();
                assert_eq!(message, Message::Socket { name: format!("door-{number}") });
                let file = std::fs::File::from(file.unwrap());
                assert_eq!(file.metadata().unwrap().ino(), sent.metadata().unwrap().ino());
            }
            let (message, file) = there.hear(second).await.unwrap();
            assert_eq!((message, file.is_none()), (Message::All { sockets: 3 }, true));
            assert!(has_ended(&there.hear(second).await.unwrap_err()));
            assert!(has_ended(&there.say(&Message::Ready).await.unwrap_err()));
        });
    }

    #[test]
    fn who_says_nothing_or_nonsense_is_not_waited_for() {
        let (runtime, here, there) = pair();
        runtime.block_on(async {
            let little = Duration::from_millis(1);
            assert_eq!(there.hear(little).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
            here.0.try_write(b"\0\x05hello").unwrap();
            assert_eq!(there.hear(Duration::from_secs(1)).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        });
    }
}
