//! Who may come to a listener, how many, and how fast.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_ingest::Listener;
use odograph_protocols::Transport;
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use support::{PATIENCE, Setup, Trial};

const IMEI: &str = "350000000000001";
const OTHER: &str = "350000000000002";

fn start(listener: fn(&mut Listener)) -> Trial {
    Setup { listener, ..Setup::default() }.start()
}

#[test]
fn who_is_denied_is_closed_at_once() {
    let trial = start(|listener| listener.access.deny = vec!["127.0.0.0/8".parse().unwrap()]);
    assert_eq!(trial.connect(IMEI).hear(true), None);
    let trial = start(|listener| listener.access.allow = vec!["192.0.2.0/24".parse().unwrap()]);
    assert_eq!(trial.connect(IMEI).hear(true), None);
    let trial = start(|listener| listener.access.allow = vec!["127.0.0.1/32".parse().unwrap()]);
    trial.log_in(IMEI);
}

#[test]
fn a_datagram_of_who_is_denied_is_not_answered() {
    let listener = |listener: &mut Listener| listener.access.deny = vec!["127.0.0.1/32".parse().unwrap()];
    let trial = Setup { listener, transport: Transport::Udp, ..Setup::default() }.start();
    // From the maker's description of codec 8 over UDP.
    let message = "003dcafe0105000f33353230393330383634303336353508010000016b4f815b3001000000000000000000000000\
                   0000000103021503010101425dbc000001";
    let bytes = odograph_wire::notation::from_hex(message).unwrap();
    let mut answer = [0; 64];
    let ask = |from: &str, answer: &mut [u8]| {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(&bytes, trial.address).unwrap();
        (from != "127.0.0.1").then(|| socket.recv(answer).unwrap())
    };
    ask("127.0.0.1", &mut answer);
    // Sent later, and answered: what came before was not forgotten but dropped.
    assert_eq!(ask("127.0.0.2", &mut answer), Some(7));
    assert_eq!(trial.roster.list().len(), 1);
}

#[test]
fn a_listener_has_a_bound_of_its_own() {
    let trial = start(|listener| listener.access.connections_max = 1);
    let first = trial.log_in(IMEI);
    assert_eq!(trial.connect(OTHER).hear(true), None);
    drop(first);
    trial.wait_for("the place to be given back", |_| trial.gateway.connections() == 0);
    trial.log_in(OTHER);
}

#[test]
fn one_address_has_a_bound_at_a_listener() {
    let trial = start(|listener| listener.access.connections_per_address_max = 1);
    let first = trial.log_in(IMEI);
    assert_eq!(trial.connect(OTHER).hear(true), None);
    trial.wait_for("the place of who is turned away to be given back", |_| trial.gateway.connections() == 1);
    let mut elsewhere = support::Caller::of(connect_from([127, 0, 0, 2], &trial));
    elsewhere.send(&odograph_fleet::Speech::Teltonika.login(OTHER));
    assert_eq!(elsewhere.hear(true), Some(odograph_fleet::Heard::Login(true)));
    drop((first, elsewhere));
    trial.wait_for("the places to be given back", |_| trial.gateway.connections() == 0);
    trial.log_in(OTHER);
}

/// A connection from one of the addresses of the loopback network.
fn connect_from(from: [u8; 4], trial: &Trial) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&trial.address.into()).unwrap();
    socket.into()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "that somebody has to wait shows on the real clock")]
fn who_comes_too_fast_waits_and_gets_in() {
    let trial = start(|listener| listener.access.accepts_per_second_max = 20);
    let begun = Instant::now();
    // All are connected at once; the kernel keeps those that wait.
    let mut callers: Vec<_> = (0..30).map(|number| trial.connect(&format!("35000000000{number:04}"))).collect();
    for (number, caller) in callers.iter_mut().enumerate() {
        caller.send(&odograph_fleet::Speech::Teltonika.login(&format!("35000000000{number:04}")));
    }
    for caller in &mut callers {
        assert_eq!(caller.hear(true), Some(odograph_fleet::Heard::Login(true)));
    }
    // Twenty at once, and ten more at twenty a second.
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
}
