"""Damage to a WARC file such as disks and broken transfers do: bytes inside a compressed record, and a missing end."""

from collections.abc import Iterable
from pathlib import Path

from pipelines.demo.crawl import Capture

WIDTH = 24
"""Bytes that are turned over in the middle of a record's compressed member."""


def damage(file: Path, damaged: Iterable[Capture], cut_off: Capture | None) -> None:
    """Spoils the records of `damaged` where they lie, and ends the file in the middle of `cut_off`, its last record."""
    data = bytearray(file.read_bytes())
    for capture in damaged:
        middle = capture.offset + capture.length // 2 - WIDTH // 2
        data[middle : middle + WIDTH] = bytes(byte ^ 0xFF for byte in data[middle : middle + WIDTH])
    if cut_off:
        if cut_off.offset + cut_off.length != len(data):
            raise ValueError(f"{cut_off.url} is not the last record of {file}; to cut it off would take other records with it")
        del data[cut_off.offset + cut_off.length * 3 // 5 :]
    file.write_bytes(data)
