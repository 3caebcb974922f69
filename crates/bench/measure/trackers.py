"""What trackers say, as far as the scripts here speak themselves: logins, Teltonika's codec 8, GT06's locations."""

import datetime
import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Position:
    """What a device says of one second."""

    time_s: int
    latitude: float
    longitude: float
    speed: int


def login(protocol: str, imei: str, version: str = "") -> bytes:
    """Wialon has two versions: with 2.0 each message carries a checksum."""
    if protocol == "teltonika":
        return struct.pack(">H", len(imei)) + imei.encode()
    if protocol == "gt06":
        return gt06(0x01, bytes.fromhex(imei.zfill(16)), 1)
    if version == "2.0":
        text = f"2.0;{imei};NA;"
        return f"#L#{text}{crc16(text.encode()):04X}\r\n".encode()
    return f"#L#{imei};NA\r\n".encode()


def codec8(positions: list[Position]) -> bytes:
    """A frame. Answered with the number of positions, in four bytes."""
    count = bytes([len(positions)])
    data = b"\x08" + count + b"".join(map(codec8_record, positions)) + count
    return struct.pack(">II", 0, len(data)) + data + struct.pack(">I", crc16(data))


def codec8_record(position: Position) -> bytes:
    longitude, latitude = round(position.longitude * 1e7), round(position.latitude * 1e7)
    head = struct.pack(">QBii", position.time_s * 1000, 0, longitude, latitude)
    return head + struct.pack(">hHBH", 120, 90, 9, position.speed) + bytes(6)


def gt06(kind: int, content: bytes, serial: int) -> bytes:
    body = bytes([len(content) + 5, kind]) + content + struct.pack(">H", serial)
    return b"\x78\x78" + body + struct.pack(">H", crc_x25(body)) + b"\r\n"


def gt06_location(position: Position, serial: int) -> bytes:
    """With the device's clock at UTC. It is not answered."""
    at = datetime.datetime.fromtimestamp(position.time_s, datetime.UTC)
    clock = bytes([at.year % 100, at.month, at.day, at.hour, at.minute, at.second])
    place = struct.pack(">II", round(position.latitude * 1_800_000), round(position.longitude * 1_800_000))
    # Fixed, north, east; course 90; a cell; ignition on.
    content = clock + b"\xc9" + place + struct.pack(">BH", position.speed, 1 << 12 | 1 << 10 | 90)
    return gt06(0x22, content + bytes.fromhex("01cc00287d001f71010000"), serial)


def reflected(polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (polynomial if byte & 1 else 0)
        table.append(byte)
    return table


ARC, X25 = reflected(0xA001), reflected(0x8408)


def crc16(data: bytes) -> int:
    """CRC-16/ARC: Teltonika, Wialon."""
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ ARC[(crc ^ byte) & 255]
    return crc


def crc_x25(data: bytes) -> int:
    """CRC-16/X-25: GT06."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ X25[(crc ^ byte) & 255]
    return crc ^ 0xFFFF
