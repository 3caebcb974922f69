//! Sockets that one server gives to the next: nobody is refused, and nobody is forgotten.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use odograph_fleet::{Heard, Speech};
use odograph_ingest::{Bound, Gateway, Given};
use odograph_protocols::Transport;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::{Caller, PATIENCE, Setup};

fn next(given: Given) -> (Arc<Gateway>, odograph_testkit::FaultDisk) {
    let (_, parts, disk) = Setup::default().parts();
    let bound = Bound::adopt(Setup::listener("teltonika", given.transport()), given);
    (Gateway::start(parts, vec![bound]).unwrap(), disk)
}

#[test]
fn only_sockets_on_which_devices_arrive_are_taken() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let (local, peer) = (tcp.local_addr().unwrap(), TcpStream::connect(tcp.local_addr().unwrap()).unwrap());
    let given = Given::new(tcp.into()).unwrap();
    assert_eq!((given.transport(), given.local()), (Transport::Tcp, local));
    // Of the other family, where the machine has it.
    let udp = UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0")).unwrap();
    let local = udp.local_addr().unwrap();
    let given = Given::new(udp.into()).unwrap();
    assert_eq!((given.transport(), given.local()), (Transport::Udp, local));
    Given::new(peer.into()).unwrap_err();
    let folder = tempfile::tempdir().unwrap();
    Given::new(UnixListener::bind(folder.path().join("s")).unwrap().into()).unwrap_err();
    Given::new(std::fs::File::open("/dev/null").unwrap().into()).unwrap_err();
}

#[test]
fn a_server_follows_another_and_no_connection_is_refused() {
    let trial = Setup::default().start();
    let address = trial.address;
    let (stop, opened) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        // All the time, from two sides, until both servers were here for a while.
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    connect(address);
                    opened.fetch_add(1, Ordering::Relaxed);
                    // The kernel's queue is long, and not endless.
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            });
        }
        let reached = |count: usize| {
            while opened.load(Ordering::Relaxed) < count {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        };
        reached(200);
        let socket = trial.gateway.sockets()[0].as_fd().try_clone_to_owned().unwrap();
        trial.gateway.stop().unwrap();
        drop(trial);
        // Nobody is here now; whoever comes waits.
        let mut waiting = Caller::to(address);
        waiting.send(&Speech::Teltonika.login("350000000000001"));
        let (gateway, disk) = next(Given::new(socket).unwrap());
        assert_eq!(waiting.hear(true), Some(Heard::Login(true)), "who waited is heard");
        let before = opened.load(Ordering::Relaxed);
        reached(before + 200);
        stop.store(true, Ordering::Relaxed);
        gateway.stop().unwrap();
        drop(disk);
    });
}

/// Fails where the connection is refused.
fn connect(address: SocketAddr) {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    // Ended without a word, so that no port is used up for a while.
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
}
