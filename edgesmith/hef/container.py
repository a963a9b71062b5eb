"""The frame of a HEF: magic, version, lengths and checksum around a description and the weights.

Big-endian, as HailoRT reads it (MIT-licensed hailo-ai/hailort, libhailort/src/hef, 4.23 and 5.2):
magic, version and length of the description, u32 each, then by version
0  reserved u32, MD5 of what follows (the weights are inside the description)
1  CRC-32 u32, length of the weights u64, reserved u32
2  XXH3-64 u64, length of the weights u64, two reserved u64
3  XXH3-64 u64, length of weights with padding u64, padding u32, length of additional information
   u64, XXH3-64 of the description alone u64 (0: none), reserved u64
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import xxhash

from edgesmith.hef.errors import HefError

MAGIC = 0x01484546
_COMMON = struct.Struct(">III")
_BY_VERSION = {
    0: struct.Struct(">I16s"),
    1: struct.Struct(">IQI"),
    2: struct.Struct(">QQQQ"),
    3: struct.Struct(">QQIQQQ"),
}
# Git LFS leaves this in place of a file that was not fetched.
_POINTER = b"version https://git-lfs"
# No HEF comes near it (YOLOv8x: about 100 MB); a length in a damaged header may.
_LARGEST = 4 << 30


class Container(NamedTuple):
    """A HEF whose checksum is right: its format version, checksum and parts."""

    version: int
    checksum: str
    description: memoryview
    weights: memoryview
    size_bytes: int


class _Frame(NamedTuple):
    """What a header says: the lengths after it, and the checksums as (name, value, whole)."""

    lengths: tuple[int, int]
    checksums: list[tuple[str, bytes | int, bool]]


def read(path: Path) -> Container:
    """The parts of the file at `path`, after its lengths and its checksum were compared.

    `weights` is empty in version 0, which holds them in the description. Raises HefError that says
    what is wrong.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise HefError(f"{path}: {size:,} bytes; no HEF is that large")
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise HefError(f"{path}: cannot be read ({error.strerror})") from error
    if bytes(content[: len(_POINTER)]) == _POINTER:
        raise HefError(f"{path}: a Git LFS pointer, not the file; run `git lfs pull`")
    if len(content) < _COMMON.size:
        raise HefError(f"{path}: {len(content)} bytes; shorter than the header of a HEF")
    magic, version, description = _COMMON.unpack_from(content)
    if magic != MAGIC:
        raise HefError(f"{path}: starts with 0x{magic:08x}, a HEF with 0x{MAGIC:08x}; not a HEF")
    if version not in _BY_VERSION:
        raise HefError(
            f"{path}: container version {version}; known are {min(_BY_VERSION)} to "
            f"{max(_BY_VERSION)}: update edgesmith"
        )
    start = _COMMON.size + _BY_VERSION[version].size
    if len(content) < start:
        raise HefError(f"{path}: truncated inside its header of {start} bytes; fetch it again")
    frame = _frame(version, _BY_VERSION[version].unpack_from(content, _COMMON.size), description)
    body = content[start:]
    expected = sum(frame.lengths)
    if len(body) != expected:
        what = "truncated" if len(body) < expected else "longer than it says"
        raise HefError(
            f"{path}: {what}: {len(body):,} bytes after the header, which announces {expected:,}; "
            "fetch it again"
        )
    for name, value, whole in frame.checksums:
        if _digest(name, body if whole else body[:description]) != value:
            part = "" if whole else " of the description"
            raise HefError(
                f"{path}: its {name}{part} does not match; it was damaged or altered: fetch or "
                "compile it again (HailoRT: status 91, HEF file is corrupted)"
            )
    name = frame.checksums[0][0]
    return Container(version, name, body[:description], body[description:], size)


def _frame(version: int, rest: tuple[int | bytes, ...], description: int) -> _Frame:
    values = [value for value in rest if isinstance(value, int)]
    if version == 0:
        return _Frame((description, 0), [("md5", rest[1], True)])
    lengths = (description, values[1])
    if version == 1:
        return _Frame(lengths, [("crc32", rest[0], True)])
    checksums: list[tuple[str, bytes | int, bool]] = [("xxh3_64", rest[0], True)]
    if version == 3:
        lengths = (description, values[1] + values[3])
        if values[4]:
            checksums.append(("xxh3_64", rest[4], False))
    return _Frame(lengths, checksums)


def _digest(name: str, data: memoryview) -> bytes | int:
    if name == "md5":
        return hashlib.md5(data, usedforsecurity=False).digest()
    return zlib.crc32(data) if name == "crc32" else xxhash.xxh3_64_intdigest(data)
