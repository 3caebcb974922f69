//! A GT06 device, for tests of what its messages mean.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) const DEVICE: &str = "123456789012345";

/// A GT06 device, whose messages say the time of its clock without saying of which zone.
pub(crate) struct Tracker(TcpStream);

impl Tracker {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the listener answers");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let mut tracker = Self(stream);
        let id = format!("0{DEVICE}");
        let digits = id.as_bytes().chunks(2).map(|pair| (pair[0] & 15) << 4 | (pair[1] & 15));
        tracker.say(&packet(0x01, &digits.collect::<Vec<_>>()));
        tracker.hear(0x01);
        tracker
    }

    /// Sends positions of these hours and minutes of 2026-11-23, and waits until they are acknowledged.
    pub(crate) fn positions(&mut self, times: &[(u8, u8)]) {
        for (hour, minute) in times {
            let mut content = vec![26, 11, 23, *hour, *minute, 0, 0xC9];
            content.extend(97_200_000_u32.to_be_bytes());
            content.extend(49_500_000_u32.to_be_bytes());
            content.push(40);
            content.extend((1_u16 << 12 | 1 << 10 | 90).to_be_bytes());
            content.extend([0x01, 0xCC, 0x00, 0x28, 0x7D, 0x00, 0x1F, 0x71, 0x01, 0x00, 0x00]);
            self.say(&packet(0x22, &content));
            self.hear(0x22);
        }
        self.say(&packet(0x13, &[0x44, 0x04, 0x03, 0x00, 0x01]));
        self.hear(0x13);
    }

    fn say(&mut self, packet: &[u8]) {
        self.0.write_all(packet).expect("a packet is sent");
    }

    /// Waits for the answer to a packet of this kind.
    fn hear(&mut self, kind: u8) {
        let mut answer = [0; 10];
        self.0.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer[3], kind, "the answers come in order: {answer:02x?}");
    }
}

fn packet(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut covered = vec![u8::try_from(content.len() + 5).expect("it is short"), kind];
    covered.extend_from_slice(content);
    covered.extend([0, 1]);
    let crc = covered.iter().fold(0xFFFF_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x8408 } else { crc >> 1 })
    });
    [&[0x78, 0x78][..], &covered, &(!crc).to_be_bytes(), &[0x0D, 0x0A]].concat()
}
