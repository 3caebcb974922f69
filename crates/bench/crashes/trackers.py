"""Trackers of two protocols, what they say, and how they send it: until it is acknowledged, and over as many connections as
that takes."""

import asyncio
import datetime
import random
import struct
from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Record:
    """What a device says of one second. All of it follows from the device's number and the time."""

    device: int
    time_s: int

    @property
    def speed(self) -> int:
        return (self.time_s * 7 + self.device * 13) % 121

    @property
    def altitude(self) -> int:
        return (self.time_s * 11 + self.device * 17) % 1999

    @property
    def latitude(self) -> float:
        """In whole ten-thousandths of a minute, so that both protocols can say it."""
        return 50 + (self.time_s * 31 + self.device) % 600_000 / 600_000

    @property
    def longitude(self) -> float:
        return 8 + (self.time_s * 37 + self.device) % 600_000 / 600_000


class Wialon:
    """Wialon IPS 1.1: lines of text."""

    name = "wialon"

    @staticmethod
    def login(imei: str) -> bytes:
        return f"#L#{imei};NA\r\n".encode()

    @staticmethod
    async def accepted(reader: asyncio.StreamReader) -> None:
        expect(await reader.readline(), b"#AL#1\r\n")

    @staticmethod
    def frame(records: list[Record]) -> bytes:
        texts = [Wialon.record(record) for record in records]
        kind = "SD" if len(texts) == 1 and records[0].time_s % 2 == 0 else "B"
        return f"#{kind}#{'|'.join(texts)}\r\n".encode()

    @staticmethod
    def record(record: Record) -> str:
        moment = datetime.datetime.fromtimestamp(record.time_s, datetime.UTC)
        latitude, longitude = record.latitude, record.longitude
        return (
            f"{moment:%d%m%y;%H%M%S};{int(latitude):02}{latitude % 1 * 60:07.4f};N;"
            f"{int(longitude):03}{longitude % 1 * 60:07.4f};E;{record.speed};90;{record.altitude};9"
        )

    @staticmethod
    async def acknowledged(reader: asyncio.StreamReader, records: list[Record]) -> None:
        answer = await reader.readline()
        if answer != b"#ASD#1\r\n" or len(records) > 1:
            expect(answer, f"#AB#{len(records)}\r\n".encode())


class Teltonika:
    """Codec 8."""

    name = "teltonika"

    @staticmethod
    def login(imei: str) -> bytes:
        return struct.pack(">H", len(imei)) + imei.encode()

    @staticmethod
    async def accepted(reader: asyncio.StreamReader) -> None:
        expect(await reader.readexactly(1), b"\x01")

    @staticmethod
    def frame(records: list[Record]) -> bytes:
        count = bytes([len(records)])
        data = b"\x08" + count + b"".join(map(Teltonika.record, records)) + count
        return struct.pack(">II", 0, len(data)) + data + struct.pack(">I", crc16(data))

    @staticmethod
    def record(record: Record) -> bytes:
        longitude, latitude = round(record.longitude * 1e7), round(record.latitude * 1e7)
        head = struct.pack(">QBii", record.time_s * 1000, 0, longitude, latitude)
        return head + struct.pack(">hHBH", record.altitude, 90, 9, record.speed) + bytes(6)

    @staticmethod
    async def acknowledged(reader: asyncio.StreamReader, records: list[Record]) -> None:
        expect(await reader.readexactly(4), struct.pack(">I", len(records)))


PROTOCOLS = (Wialon, Teltonika)


def expect(answer: bytes, wanted: bytes) -> None:
    if not answer:
        raise ConnectionResetError
    if answer != wanted:
        if wanted.startswith(answer):
            # Cut short by a kill.
            raise ConnectionResetError
        raise WrongAnswer(f"{answer!r} in place of {wanted!r}")


class WrongAnswer(Exception):
    """The server answered something else than a promise to keep all that was sent."""


def crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc_table()


def crc16(data: bytes) -> int:
    """CRC-16/ARC."""
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 255]
    return crc


def imei(device: int) -> str:
    return f"{356_000_000_000_000 + device}"


@dataclass
class Ledger:
    """What the server promised to keep, and how often it had to be asked."""

    acknowledged: list[Record] = field(default_factory=list)
    frames: int = 0
    frames_again: int = 0
    connections: int = 0


@dataclass
class Tracker:
    """A device: it sends frames one after the other, each until it is acknowledged."""

    device: int
    server: "object"
    ledger: Ledger
    dice: random.Random
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    @property
    def protocol(self):
        return PROTOCOLS[self.device % len(PROTOCOLS)]

    async def connect(self) -> None:
        port = self.server.ports.get(self.protocol.name)
        if port is None:
            raise ConnectionRefusedError
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.ledger.connections += 1
        self.writer.write(self.protocol.login(imei(self.device)))
        await self.protocol.accepted(self.reader)

    def hang_up(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None

    async def send(self, records: list[Record]) -> None:
        """Returns when all of them are acknowledged."""
        waiting = [records]
        while waiting:
            frame = waiting[0]
            try:
                async with asyncio.timeout(ANSWER_S_MAX):
                    if self.writer is None:
                        await self.connect()
                    self.writer.write(self.protocol.frame(frame))
                    await self.protocol.acknowledged(self.reader, frame)
            except (OSError, EOFError, TimeoutError):
                self.hang_up()
                self.ledger.frames_again += 1
                # What is sent again may well be batched otherwise.
                if len(frame) > 1 and self.dice.random() < 0.3:
                    cut = self.dice.randrange(1, len(frame))
                    waiting[:1] = [frame[:cut], frame[cut:]]
                await asyncio.sleep(self.dice.uniform(0.02, 0.2))
                continue
            self.ledger.frames += 1
            self.ledger.acknowledged.extend(frame)
            del waiting[0]


# Longer than a restart takes: a server that hangs does not go unnoticed behind tries.
ANSWER_S_MAX = 30
