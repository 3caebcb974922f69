//! What no vector shows: the table of tags, and how a stream is cut.

use super::*;
use crate::Settings;

/// How long a value is, in bytes, if it begins with zeros.
fn width(id: u8) -> Option<usize> {
    let zeros = [0; 128];
    let mut c = Cursor::new(&zeros);
    tags::skip(tags::find(id)?, &mut c).unwrap();
    Some(c.at())
}

#[test]
fn tags_have_the_widths_that_are_described() {
    let described: &[(usize, &[u8])] = &[
        (1, &[0x01, 0x02, 0x35, 0x36, 0x43, 0x49, 0x88, 0x8C, 0xA0, 0xAF, 0xC4, 0xD2, 0xD5]),
        (
            2,
            &[
                0x04, 0x10, 0x21, 0x34, 0x40, 0x42, 0x45, 0x48, 0x50, 0x59, 0x60, 0x62, 0x70, 0x77, 0x78, 0x7D, 0xB0,
                0xB9,
            ],
        ),
        (2, &[0xD6, 0xDA, 0xFE]),
        (3, &[0x5D, 0x63, 0x6F, 0x80, 0x87, 0xFA]),
        (
            4,
            &[
                0x11, 0x20, 0x33, 0x44, 0x47, 0x5A, 0x90, 0xC0, 0xC3, 0xD3, 0xD4, 0xDB, 0xDF, 0xE0, 0xE2, 0xE9, 0xF0,
                0xF9,
            ],
        ),
        (1, &[0xE1, 0xEA, 0xEB]),
        (15, &[0x03]),
        (9, &[0x30]),
        (7, &[0x5B]),
        (68, &[0x5C]),
        (8, &[0xFD]),
    ];
    for (bytes, ids) in described {
        for id in *ids {
            assert_eq!(width(*id), Some(*bytes), "tag {id:02x}");
        }
    }
    for id in [0x00, 0x05, 0x0F, 0x12, 0x22, 0x31, 0x37, 0x4A, 0x5E, 0x7E, 0x8D, 0x91, 0xBA, 0xEC, 0xFB, 0xFC, 0xFF] {
        assert_eq!(width(id), None, "tag {id:02x}");
    }
}

#[test]
fn every_row_is_found_by_its_first_tag() {
    for row in tags::ROWS {
        let found = tags::find(row.first()).map(tags::Row::first);
        assert_eq!(found, Some(row.first()), "tag {:02x}", row.first());
    }
}

#[test]
fn a_stream_is_cut_by_the_length_and_its_low_byte_comes_first() {
    let check = |bytes: &[u8], expected| assert_eq!(cut(bytes), expected, "{bytes:02x?}");
    check(&[0x01], Cut::Need(5));
    check(&[0x08, 0x02], Cut::Need(5));
    check(&[0x07, 0x02, 0x00], Cut::Need(7));
    check(&[0x01, 0x02, 0x80, 0x43, 0x00, 0x00, 0x00], Cut::Frame(7));
    check(&[0x01, 0xFF, 0x7F, 0x03], Cut::Need(0x7FFF + 5));
    // Iridium's length has its high byte first; up to the sixth byte it may be either.
    check(&[0x01, 0x00, 0x20, 0x01, 0x00], Cut::Need(6));
    check(&[0x01, 0x00, 0x20, 0x01, 0x00, 0x1C], Cut::Need(0x23));
    check(&[0x00], Cut::Lost("no packet has this header"));
    check(&[0x02, 0x01], Cut::Lost("no packet has this header"));
}

#[test]
fn what_a_session_keeps_is_read_again() {
    let photo = photo::Photo::default();
    for state in [
        State { hardware: Some(17), firmware: Some(223), photo: None },
        State { hardware: None, firmware: Some(1), photo: Some(photo) },
        State { hardware: Some(1), firmware: None, photo: Some(photo) },
    ] {
        let mut context = Vec::new();
        state.write(&mut context);
        assert!(State::read(&context).is_ok_and(|read| read == state));
    }
    assert!(State::read(&[]).is_err());
}

/// Whatever stands in a packet whose checksum fits, it is read to its end or refused, and answered only where it was read.
#[test]
fn any_data_are_read_or_refused() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let settings =
        Settings::recorded([("can_log", "true"), ("axles", "true"), ("passengers", "true"), ("rs232", "fuel")]);
    let mut counts = [0, 0];
    for _ in 0..20_000 {
        let header = [TAGS, COMPRESSED, PICTURE, GARMIN][usize::try_from(next(4)).unwrap()];
        let mut data = Vec::new();
        for _ in 0..next(8) {
            let row = &tags::ROWS[usize::try_from(next(u64::try_from(tags::ROWS.len()).unwrap())).unwrap()];
            data.push(row.first());
            data.extend((0..next(12)).map(|_| u8::try_from(next(256)).unwrap()));
        }
        let mut packet = vec![header];
        packet.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
        packet.extend(data);
        packet.extend(checksum::crc16_modbus(&packet).to_le_bytes());
        let opening = Opening { transport: None, settings: &settings, checksum: Checksum::Enforce, context: &[] };
        let mut out = Out::default();
        let read = crate::decode(&mut GalileoSession::open(&opening), &packet, Time(0), &mut out);
        let answered = out.replies().len();
        assert_eq!(answered, usize::from(read.is_ok() && header != GARMIN), "{packet:02x?}: {read:?}");
        counts[usize::from(read.is_ok())] += 1;
    }
    assert!(counts.iter().all(|count| *count > 1000), "{counts:?}");
}

/// Through Iridium nothing says what a packet holds, and chance makes tags of compressed ones: what is not known, or no
/// beginning, is not believed, and where both fit there is a note.
#[test]
fn compressed_packets_through_iridium_are_seldom_taken_for_tags() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let settings = [Settings::default(), Settings::recorded([("compressed", "true")])];
    let mut taken = 0;
    for _ in 0..20_000 {
        // A minimum of any time of a year, a list of supply, battery and inputs, and their values.
        let minimum = (next() % 31_536_000) << 38 | next() >> 26;
        let mut data = minimum.to_be_bytes().to_vec();
        data.extend(&next().to_be_bytes()[..2]);
        data.extend([0x83, 0x41, 0x42, 0x46]);
        data.extend(&next().to_be_bytes()[..6]);
        let mut packet = vec![TAGS, 0, 51, 0x01, 0, 0x1C, 0, 0, 0, 1];
        packet.extend(b"300234010123456");
        packet.extend([0, 0, 0, 0, 0, 0x69, 0x55, 0xB8, 0xFF, 0x02, 0, 20]);
        packet.extend(data);
        packet[2] = u8::try_from(packet.len() - 3).unwrap();
        let read = settings.each_ref().map(|settings| {
            let opening = Opening { transport: None, settings, checksum: Checksum::Enforce, context: &[] };
            let mut out = Out::default();
            crate::decode(&mut GalileoSession::open(&opening), &packet, Time(0), &mut out).unwrap();
            (out.take_records(), out.notes().iter().any(|note| note.contains("may be compressed")))
        });
        let [(by_itself, is_noted), (as_set, _)] = read;
        assert!(by_itself == as_set || is_noted, "{packet:02x?}");
        taken += usize::from(by_itself != as_set);
    }
    assert!(taken < 100, "{taken} of 20000");
}
