//! The checksums of device protocols, in one table.

use crc::{
    CRC_8_MAXIM_DOW, CRC_8_NRSC_5, CRC_16_ARC, CRC_16_IBM_3740, CRC_16_IBM_SDLC, CRC_16_MODBUS, CRC_16_XMODEM, Crc,
    Table,
};

/// Sixteen bytes a step: the tables cost 8 KiB each, and every byte of every message goes through one.
type Fast = Table<16>;

static ARC: Crc<u16, Fast> = Crc::<u16, Fast>::new(&CRC_16_ARC);
static X25: Crc<u16, Fast> = Crc::<u16, Fast>::new(&CRC_16_IBM_SDLC);
static CCITT_FALSE: Crc<u16, Fast> = Crc::<u16, Fast>::new(&CRC_16_IBM_3740);
static MODBUS: Crc<u16, Fast> = Crc::<u16, Fast>::new(&CRC_16_MODBUS);
static XMODEM: Crc<u16, Fast> = Crc::<u16, Fast>::new(&CRC_16_XMODEM);
static MAXIM: Crc<u8> = Crc::<u8>::new(&CRC_8_MAXIM_DOW);
static NRSC_5: Crc<u8> = Crc::<u8>::new(&CRC_8_NRSC_5);

/// CRC-16/ARC, also called CRC-16/IBM: polynomial 0x8005 reflected, from 0.
pub fn crc16_arc(bytes: &[u8]) -> u16 {
    ARC.checksum(bytes)
}

/// CRC-16/IBM-SDLC, also called X.25 or CRC-ITU: polynomial 0x1021 reflected, from 0xFFFF, inverted.
pub fn crc16_x25(bytes: &[u8]) -> u16 {
    X25.checksum(bytes)
}

/// CRC-16/CCITT-FALSE: polynomial 0x1021, from 0xFFFF.
pub fn crc16_ccitt_false(bytes: &[u8]) -> u16 {
    CCITT_FALSE.checksum(bytes)
}

/// CRC-16/MODBUS: polynomial 0x8005 reflected, from 0xFFFF.
pub fn crc16_modbus(bytes: &[u8]) -> u16 {
    MODBUS.checksum(bytes)
}

/// CRC-16/XMODEM: polynomial 0x1021, from 0.
pub fn crc16_xmodem(bytes: &[u8]) -> u16 {
    XMODEM.checksum(bytes)
}

/// CRC-8/MAXIM, the checksum of 1-Wire.
pub fn crc8_maxim(bytes: &[u8]) -> u8 {
    MAXIM.checksum(bytes)
}

/// CRC-8/NRSC-5: polynomial 0x31, from 0xFF; the checksum of headers of EGTS.
pub fn crc8_nrsc5(bytes: &[u8]) -> u8 {
    NRSC_5.checksum(bytes)
}

/// All bytes by exclusive or.
pub fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

/// All bytes added, modulo 256.
pub fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte))
}

/// The check digit that makes `digits` an IMEI, by Luhn; `None` if they are not all digits.
pub fn luhn(digits: &str) -> Option<u8> {
    let mut total = 0_u32;
    for (place, digit) in digits.bytes().rev().enumerate() {
        let value = u32::from(digit.checked_sub(b'0').filter(|value| *value <= 9)?);
        let doubled = if place.is_multiple_of(2) { value.wrapping_mul(2) } else { value };
        total = total.wrapping_add(if doubled > 9 { doubled.wrapping_sub(9) } else { doubled });
    }
    u8::try_from(total.wrapping_mul(9) % 10).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value that the catalogue of CRC algorithms gives for each, over the digits 1 to 9.
    #[test]
    fn the_catalogue_agrees() {
        let digits = b"123456789";
        assert_eq!(crc16_arc(digits), 0xBB3D);
        assert_eq!(crc16_x25(digits), 0x906E);
        assert_eq!(crc16_ccitt_false(digits), 0x29B1);
        assert_eq!(crc16_modbus(digits), 0x4B37);
        assert_eq!(crc16_xmodem(digits), 0x31C3);
        assert_eq!(crc8_maxim(digits), 0xA1);
        assert_eq!(crc8_nrsc5(digits), 0xF7);
        assert_eq!(xor(digits), 0x31);
        assert_eq!(sum(digits), 0xDD);
    }

    #[test]
    fn the_check_digit_of_an_imei() {
        assert_eq!(luhn("49015420323751"), Some(8));
        assert_eq!(luhn("4901542032375x"), None);
    }
}
