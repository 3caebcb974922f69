//! What a connection is put through before the device's first byte: the balancer's word about whose it
//! is, and TLS.
//!
//! All of it is bounded in bytes and time. [`crate::Connection`] knows nothing of it: it begins with the device's address and
//! its stream.

use crate::access::{Refusal, contains};
use crate::limits::PROXY_HEADER_MAX;
use crate::line::Line;
use crate::proxy::{self, Origin, Progress};
use crate::seats::Seat;
use crate::worker::Worker;
use crate::{Listener, Tls, tcp};
use metrics::counter;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;

/// Whether somebody may come to a listener from where he does, as far as that can be said before a byte of his is read.
pub(crate) fn admit(listener: &Listener, seat: Seat, peer: SocketAddr) -> Result<Seat, Refusal> {
    match &listener.proxy {
        // Whose address counts is not known yet.
        Some(proxy) if contains(&proxy.trusted, peer.ip()) => Ok(seat),
        Some(_) => Err(Refusal::Untrusted),
        None => seat.settle(peer.ip()),
    }
}

/// Puts a connection through it, and lets it begin.
pub(crate) async fn receive(
    worker: Rc<Worker>,
    stream: TcpStream,
    peer: SocketAddr,
    listener: Arc<Listener>,
    seat: Seat,
) {
    let common = worker.common.clone();
    let (mut reader, socket) = stream.into_split();
    // Where this worker hangs, whoever is here ends with it as well.
    let socket = worker.post.sockets.prepare(socket, seat.claim());
    let (mut origin, mut seat) = (peer, seat);
    if listener.proxy.is_some() {
        match announced(&worker, &mut reader).await {
            Ok(Some(Origin::Device(device))) => origin = device,
            Ok(Some(Origin::Balancer)) => {}
            Ok(None) => return looked(),
            Err(why) => return common.turn_away(&listener, peer, &why),
        }
        match seat.settle(origin.ip()) {
            Ok(settled) => seat = settled,
            Err(why) => return common.turn_away(&listener, origin, &why),
        }
        tracing::debug!(peer = %origin, balancer = %peer, "announced");
    }
    let line = match &listener.tls {
        None => Line::plain(reader),
        Some(tls) => match secured(&worker, reader, tls).await {
            Ok(Some(line)) => line,
            Ok(None) => return looked(),
            Err(why) => return common.turn_away(&listener, origin, &why),
        },
    };
    if let Some(socket) = socket.begin() {
        tcp::begin(&worker, (line, socket), origin, &listener, seat);
    }
}

/// Somebody only looked whether we are there.
fn looked() {
    counter!("odograph_balancer_checks_total").increment(1);
}

/// Lets both sides agree on TLS. `None`: the other one only looked whether we are there.
async fn secured(worker: &Worker, mut reader: OwnedReadHalf, tls: &Tls) -> Result<Option<Line>, Refusal> {
    let most = worker.common.limits.handshake_max;
    let shake_hands = async {
        match reader.peek(&mut [0]).await {
            Ok(0) | Err(_) => Ok(None),
            Ok(_) => Line::shake_hands(reader, tls.config()).await.map(Some),
        }
    };
    match timeout(most, shake_hands).await {
        Ok(Ok(line)) => Ok(line),
        Ok(Err(error)) => Err(Refusal::Tls(error.to_string())),
        Err(_) => Err(Refusal::TlsLate(most)),
    }
}

/// Whose connection it is. `None`: nobody's, the balancer looked whether we are there and has gone.
async fn announced(worker: &Worker, stream: &mut OwnedReadHalf) -> Result<Option<Origin>, Refusal> {
    let header = timeout(PROXY_HEADER_MAX, read_header(stream)).await;
    let origin = header.map_err(|_| Refusal::ProxyLate)??;
    if origin == Some(Origin::Balancer) {
        // A look at us says nothing more; it is not worth an entry of the journal, of which there would be many.
        let first = timeout(worker.common.limits.identify_max, stream.peek(&mut [0])).await;
        return match first.map_err(|_| Refusal::ProxyLate)? {
            Ok(0) | Err(_) => Ok(None),
            Ok(_) => Ok(origin),
        };
    }
    Ok(origin)
}

/// Reads a header, and not a byte beyond it. `None`: there came none at all.
async fn read_header(stream: &mut OwnedReadHalf) -> Result<Option<Origin>, Refusal> {
    let mut bytes = Vec::new();
    loop {
        match proxy::progress(&bytes) {
            Progress::Whole(origin) => return Ok(Some(origin)),
            Progress::Wrong(why) => return Err(Refusal::Proxy(why)),
            Progress::Need(count) => {
                // Bounded by the longest header, so that a length off the wire reserves little.
                let have = bytes.len();
                bytes.resize(have + count, 0);
                let read = stream.read(bytes.get_mut(have..).unwrap_or_default()).await;
                match read {
                    Ok(0) | Err(_) if have == 0 => return Ok(None),
                    Ok(0) | Err(_) => return Err(Refusal::Proxy("cut short")),
                    Ok(count) => bytes.truncate(have + count),
                }
            }
        }
    }
}
