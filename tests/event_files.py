"""Reads TensorBoard's event files back, checking every checksum."""

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def read_events(path: Path) -> list[Event]:
    """Give the events of one file; raises ValueError if a byte of it is wrong."""
    return [Event.FromString(record) for record in _records(path.read_bytes())]


def read_folder(folder: Path) -> dict[str, dict[int, float]]:
    """Give what TensorBoard shows of a folder: scalars by tag and step, a restart forgets."""
    series: dict[str, dict[int, float]] = {}
    for path in sorted(folder.iterdir()):
        for event in read_events(path):
            if event.HasField("session_log"):
                for points in series.values():
                    for step in [step for step in points if step >= event.step]:
                        del points[step]
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    points = series.setdefault(value.tag, {})
                    assert event.step not in points, "a step is told twice"
                    points[event.step] = value.simple_value
    return series


def _records(data: bytes) -> Iterator[bytes]:
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        record, rest = data[12 : 12 + length], data[12 + length :]
        sums = struct.unpack("<II", data[8:12] + rest[:4])
        if sums != (_masked(data[:8]), _masked(record)):
            raise ValueError("a checksum does not match")
        yield record
        data = rest[4:]


def _masked(data: bytes) -> int:
    # CRC-32C bit by bit, rotated and shifted as TensorFlow's record format says.
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
