//! Result codes, the same at all levels (GOST 33472-2015, table A.14; GOST R 54619-2011, annex V).

pub(super) const OK: u8 = 0;
pub(super) const UNKNOWN_PROTOCOL: u8 = 128;
pub(super) const DECRYPTION: u8 = 129;
pub(super) const HEADER_FORM: u8 = 131;
pub(super) const DATA_FORM: u8 = 132;
pub(super) const UNKNOWN_TYPE: u8 = 133;
pub(super) const SOURCE_DENIED: u8 = 136;
pub(super) const HEADER_CHECKSUM: u8 = 137;
pub(super) const DATA_CHECKSUM: u8 = 138;
pub(super) const LENGTH: u8 = 139;
pub(super) const AUTHORIZATION_DENIED: u8 = 151;
pub(super) const NO_RESOURCES: u8 = 156;

/// From here on codes are faults.
const FAULTS: u8 = 128;

/// Whether a code says that something was refused.
pub(super) const fn is_fault(code: u8) -> bool {
    code >= FAULTS
}

/// What a code means.
pub(super) const fn meaning(code: u8) -> &'static str {
    match code {
        OK => "done",
        1 => "under way",
        UNKNOWN_PROTOCOL => "protocol not supported",
        DECRYPTION => "cannot be deciphered",
        130 => "processing denied",
        HEADER_FORM => "wrong form of the header",
        DATA_FORM => "wrong form of the data",
        UNKNOWN_TYPE => "type not supported",
        134 => "wrong number of parameters",
        135 => "tried a second time",
        SOURCE_DENIED => "data of this source denied",
        HEADER_CHECKSUM => "checksum of the header",
        DATA_CHECKSUM => "checksum of the data",
        LENGTH => "wrong length of the data",
        140 => "no route found",
        141 => "route closed",
        142 => "routing denied",
        143 => "wrong address",
        144 => "relayed too often",
        145 => "not confirmed",
        146 => "object not found",
        147 => "event not found",
        148 => "service not found",
        149 => "service denied",
        150 => "service not known",
        AUTHORIZATION_DENIED => "authorization denied",
        152 => "object exists already",
        153 => "identifier not found",
        154 => "wrong date or time",
        155 => "input or output failed",
        NO_RESOURCES => "not enough resources",
        157 => "fault of a module",
        158 => "fault of a module's power supply",
        159 => "fault of a module's processor",
        160 => "fault of a module's program",
        161 => "fault of a module's firmware",
        162 => "fault of a module's inputs and outputs",
        163 => "fault of a module's memory",
        164 => "test not passed",
        _ => "a code that is not described",
    }
}
