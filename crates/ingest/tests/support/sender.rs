//! Devices that send datagrams.

use super::{PATIENCE, reading};
use odograph_fleet::Speech;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// A device with a socket of its own.
pub struct Sender(pub UdpSocket);

impl Sender {
    pub fn to(address: SocketAddr) -> Self {
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        let socket = UdpSocket::bind((any, 0)).unwrap();
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub fn send(&self, imei: &str, number: i64) {
        self.0.send(&datagram(imei, number)).unwrap();
    }

    /// The next answer.
    pub fn hear(&self) -> Vec<u8> {
        let mut bytes = [0; 64];
        let count = self.0.recv(&mut bytes).unwrap();
        bytes[..count].to_vec()
    }

    /// Sends, and gets the acknowledgement that belongs to it.
    pub fn is_acknowledged(&self, imei: &str, number: i64) -> bool {
        self.send(imei, number);
        self.hear() == acknowledgement(number)
    }
}

/// A datagram with one reading; its number is also its packet's.
pub fn datagram(imei: &str, number: i64) -> Vec<u8> {
    let frame = Speech::Teltonika.frame(&[reading(number)], 1);
    let mut rest = vec![0, number as u8, 1, 5];
    rest.extend((imei.len() as u16).to_be_bytes());
    rest.extend(imei.as_bytes());
    rest.extend(&frame[8..frame.len() - 4]);
    let mut all = (rest.len() as u16).to_be_bytes().to_vec();
    all.extend(rest);
    all
}

pub fn acknowledgement(number: i64) -> Vec<u8> {
    vec![0, 5, 0, number as u8, 1, 5, 1]
}
