//! What the transcripts of `teltonika.vectors` do not show: how bytes that begin nothing end a stream, and that what a
//! connection is said to be goes before what a message looks like.

use super::*;
use crate::Settings;

const LOGIN: &[u8] = b"\0\x0F352093086403655";

#[test]
fn pings_logins_and_packets_are_cut() {
    assert_eq!(cut(&[PING, 0]), Cut::Frame(1));
    assert_eq!(cut(&[0]), Cut::Need(2));
    assert_eq!(cut(&LOGIN[..4]), Cut::Need(17));
    assert_eq!(cut(LOGIN), Cut::Frame(17));
    assert_eq!(cut(&[0, 0, 0]), Cut::Need(8));
    assert_eq!(cut(&[0, 0, 0, 0, 0, 0, 0]), Cut::Need(8));
    assert_eq!(cut(&[0, 0, 0, 0, 0, 0, 0, 3]), Cut::Need(15));
    assert_eq!(cut(&[0; 8]), Cut::Need(12));
    assert_eq!(cut(&[0; 12]), Cut::Frame(12));
}

#[test]
fn messages_of_length_zero_are_skipped() {
    let packet = [0, 0, 0, 0, 0, 0, 1, 2, 8];
    assert_eq!(cut(&[&[0, 0], LOGIN].concat()), Cut::Skip(2));
    assert_eq!(cut(&[&[0, 0], &packet[..]].concat()), Cut::Need(12));
    assert_eq!(cut(&[&[0, 0], &packet[..], &[1]].concat()), Cut::Skip(2));
    assert_eq!(cut(&[&packet[..], &[1, 0, 0]].concat()), Cut::Need(0x102 + 12));
}

#[test]
fn bytes_that_begin_nothing_end_the_stream() {
    assert_eq!(cut(&[1, 0, 0, 0]), Cut::Lost("neither a login nor a packet"));
    assert_eq!(cut(&[0, 0, 0, 0, 0, 1, 0, 0]), Cut::Lost("the packet's length is beyond all bounds"));
    assert_eq!(cut(&[0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]), Cut::Lost("the packet's length is beyond all bounds"));
    assert_eq!(cut(b"GET / HTTP/1.1\r\n"), Cut::Lost("neither a login nor a packet"));
}

#[test]
fn a_connection_takes_no_datagrams_and_a_port_for_datagrams_no_logins() {
    let datagram = [0, 10, 0xCA, 0xFE, PACKET_TYPE, 5, 0, 1, b'7', avl::CODEC_8, 0, 0];
    for (transport, frame, fits) in [
        (None, &datagram[..], true),
        (Some(Transport::Udp), &datagram[..], true),
        (Some(Transport::Tcp), &datagram[..], false),
        (None, LOGIN, true),
        (Some(Transport::Tcp), LOGIN, true),
        (Some(Transport::Udp), LOGIN, false),
    ] {
        let settings = Settings::default();
        let opening = Opening { transport, settings: &settings, checksum: Checksum::Enforce, context: &[] };
        let mut out = Out::default();
        let is_taken = TeltonikaSession::open(&opening).on_frame(frame, Time(0), &mut out).is_ok();
        assert_eq!(is_taken, fits, "{transport:?} {frame:?}");
    }
}
