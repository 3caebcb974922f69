//! Frames like those that the roads send.

use odograph_wire::checksum::crc16_arc;

/// Records in a frame of [`teltonika`].
pub const TELTONIKA_RECORDS: u8 = 20;

/// Codec 8, with the elements that an FMB tracker sends as it comes out of its box.
pub fn teltonika() -> Vec<u8> {
    teltonika_from(0)
}

/// The same, from a second on.
pub fn teltonika_from(second: u64) -> Vec<u8> {
    let mut data = vec![8, TELTONIKA_RECORDS];
    for number in 0..TELTONIKA_RECORDS {
        data.extend((1_767_225_000_000 + (second + u64::from(number)) * 1000).to_be_bytes());
        // Priority, longitude, latitude, altitude, course, satellites, speed; no event, 19 elements.
        data.extend(b"\x00\x05\x7d\x2c\x10\x1c\xab\x3e\x80\x01\xf4\x00\x5a\x0c\x00\x32\x00\x13");
        data.extend(b"\x08\xef\x01\xf0\x01\x15\x04\xc8\x00\x45\x01\x01\x01\x02\x00\x71\x5a");
        data.extend(b"\x07\xb5\x00\x0a\xb6\x00\x06\x42\x30\x39\x43\x0f\xa0\x44\x00\x00\x18\x00\x32\xcd\x10\x92");
        data.extend(b"\x03\xf1\x00\x00\x65\x6f\x10\x00\x01\xe2\x40\xc7\x00\x00\x03\xe8");
        data.extend(b"\x01\x4e\x00\x00\x00\x00\x00\x00\x00\x00");
    }
    data.push(TELTONIKA_RECORDS);
    let length = u32::try_from(data.len()).expect("a frame is short");
    let crc = u32::from(crc16_arc(&data));
    [&[0; 4], &length.to_be_bytes()[..], &data, &crc.to_be_bytes()].concat()
}

/// A location with ignition and mileage from Concox's examples.
pub fn gt06() -> Vec<u8> {
    b"\x78\x78\x22\x22\x0f\x0c\x1d\x02\x33\x05\xc9\x02\x7a\xc8\x18\x0c\x46\x58\x60\x00\x14\x00\x01\xcc\x00\x28\x7d\x00\
      \x1f\x71\x00\x00\x01\x00\x08\x20\x86\x0d\x0a"
        .to_vec()
}

/// Wialon IPS 1.1 with three parameters.
pub fn wialon() -> Vec<u8> {
    b"#D#010126;000000;4807.0380;N;00912.5000;E;50;90;300;10;1.1;0;0;12.5,0.1;NA;odo:2:1234.5,fuel:1:40,drv:3:ab\r\n"
        .to_vec()
}
