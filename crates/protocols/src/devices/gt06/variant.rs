//! Which of the family's layouts a packet has.

use super::{
    ALARM, FENCE_SINGLE, GPS_LBS_1, GPS_LBS_2, GPS_LBS_5, GPS_LBS_STATUS_1, GPS_LBS_STATUS_4, LBS_MULTIPLE_3,
    LBS_STATUS, Message, STATUS, STATUS_2, WIFI, WIFI_3, X1_GPS,
};

/// Models that fill the same packet differently, and whose packets do not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    Other,
    Lw,
    Seeworld,
    Nt,
    Vl,
    R11,
    Qh302r,
    G109,
}

impl Model {
    pub(super) fn of(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "SEEWORLD" => Self::Seeworld,
            "R11" => Self::R11,
            "QH302R" => Self::Qh302r,
            "G109" => Self::G109,
            "NT11" | "NT20" | "NT26" | "NT40" | "NT46" | "VL100" | "XT40" => Self::Nt,
            "VL103" | "LL303" | "VL512" | "G18" => Self::Vl,
            name if name.starts_with("LW") => Self::Lw,
            _ => Self::Other,
        }
    }
}

/// Layouts that differ between makers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    Standard,
    Vxt01,
    WanwayS20,
    Sr411Mini,
    Gt06eCard,
    Benway,
    S5,
    Space10x,
    Obd6,
    Wetrust,
    Jc400,
    Sl4x,
    Seeworld,
    Rfid,
    Lw4g,
    Trx16i,
}

impl Variant {
    pub(super) const NAMES: &[&str] = &[
        "benway", "gt06e", "jc400", "lw4g", "obd6", "rfid", "s5", "seeworld", "sl4x", "space10x", "sr411", "standard",
        "trx16i", "vxt01", "wanway", "wetrust",
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "benway" => Self::Benway,
            "gt06e" => Self::Gt06eCard,
            "jc400" => Self::Jc400,
            "lw4g" => Self::Lw4g,
            "obd6" => Self::Obd6,
            "rfid" => Self::Rfid,
            "s5" => Self::S5,
            "seeworld" => Self::Seeworld,
            "sl4x" => Self::Sl4x,
            "space10x" => Self::Space10x,
            "sr411" => Self::Sr411Mini,
            "standard" => Self::Standard,
            "trx16i" => Self::Trx16i,
            "vxt01" => Self::Vxt01,
            "wanway" => Self::WanwayS20,
            "wetrust" => Self::Wetrust,
            _ => return None,
        })
    }

    /// The layout that a packet's type and length give away.
    pub(super) fn of(message: &Message<'_>) -> Self {
        if message.extended {
            return Self::Standard;
        }
        match (message.kind, message.length) {
            (GPS_LBS_1 | GPS_LBS_STATUS_1, 0x24) => Self::Vxt01,
            (LBS_MULTIPLE_3, 0x31) => Self::WanwayS20,
            (LBS_MULTIPLE_3, 0x2E) => Self::Sr411Mini,
            (GPS_LBS_1, 0x71..) => Self::Gt06eCard,
            (GPS_LBS_1, 0x21) => Self::Benway,
            (GPS_LBS_1, 0x2B) => Self::S5,
            (LBS_STATUS, 0x17..) => Self::Space10x,
            (STATUS, 0x13) => Self::Obd6,
            (GPS_LBS_1, 0x29) => Self::Wetrust,
            (ALARM, _) if message.content.rest().starts_with(&[0xFF, 0xFF]) => Self::Jc400,
            (X1_GPS, 0x37) | (GPS_LBS_5, 0x2A) | (GPS_LBS_STATUS_4, 0x27 | 0x29) => Self::Sl4x,
            (GPS_LBS_2, 0x2F) | (GPS_LBS_STATUS_1, 0x26) | (FENCE_SINGLE, 0x0C | 0x18) => Self::Seeworld,
            (WIFI, 0x28) => Self::Rfid,
            (WIFI_3, 0x40) => Self::Lw4g,
            (STATUS_2, 0x35) | (GPS_LBS_STATUS_1, 0x2D) => Self::Trx16i,
            _ => Self::Standard,
        }
    }
}
