"""Synthetic HEFs: containers of every version around descriptions written field by field.

No vendor compiler made them and no chip runs them; they live in tests' temporary folders alone.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import xxhash

MAGIC = 0x01484546
WEIGHTS = bytes(range(256)) * 3
ADDITIONAL = b"additional information"


def varint(value: int) -> bytes:
    """An integer, seven bits a byte."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def number(field: int, value: int) -> bytes:
    """A varint field."""
    return varint(field << 3) + varint(value)


def data(field: int, value: bytes | str) -> bytes:
    """A string, bytes or message field."""
    content = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(content)) + content


def single(field: int, value: float) -> bytes:
    """A float field."""
    return varint(field << 3 | 5) + struct.pack("<f", value)


def double(field: int, value: float) -> bytes:
    """A double field."""
    return varint(field << 3 | 1) + struct.pack("<d", value)


def doubles(field: int, values: list[float]) -> bytes:
    """A packed repeated double field."""
    return data(field, struct.pack(f"<{len(values)}d", *values))


def numeric(scale: float, zero: float, low: float, high: float) -> bytes:
    """ProtoHEFEdgeLayerNumericInfo."""
    return single(1, zero) + single(2, scale) + single(3, low) + single(4, high)


def layer(
    name: str,
    shape: tuple[int, int, int],
    padded: tuple[int, int, int],
    info: bytes,
    *,
    order: int = 0,
    size: int = 1,
    extra: bytes = b"",
    origin: str = "",
) -> bytes:
    """ProtoHEFEdgeLayerInfo."""
    base = b"".join(number(2 * k + 1, shape[k]) + number(2 * k + 2, padded[k]) for k in range(3))
    base += number(7, order) + number(12, size) + extra
    return data(1, name) + data(2, base) + data(3, info) + data(5, origin or f"net/{name}_origin")


def edge(content: bytes, *, out: bool, kind: int = 0, field: int = 3) -> bytes:
    """ProtoHEFEdgeLayer; `kind` 0 is at the boundary of the network."""
    return number(1, int(out)) + data(field, content) + data(5, number(3, kind)) + number(6, 0)


IMAGE = layer(
    "net/input_layer1",
    (48, 48, 3),
    (48, 48, 4),
    numeric(1, 0, 0, 255),
    origin="model_script_layer_normalization1",
)
LOGITS = layer("net/fc1", (1, 1, 10), (1, 1, 16), numeric(0.125, 117, -14.6, 17.3), order=2, size=2)
PER_CHANNEL = layer(
    "net/conv9",
    (6, 6, 4),
    (6, 6, 8),
    doubles(5, [3, 4, 5, 6]) + doubles(6, [0.1, 0.2, 0.3, 0.4]),
    order=3,
)
BETWEEN = layer("net/between", (6, 6, 4), (6, 6, 8), numeric(1, 0, 0, 1))


def contexts() -> bytes:
    """Two contexts: the image goes into the first, everything comes out of the second."""
    first = data(2, edge(IMAGE, out=False)) + data(2, edge(BETWEEN, out=True, kind=1))
    mux = data(1, "net/mux") + data(5, data(1, LOGITS)) + data(5, data(1, PER_CHANNEL))
    second = data(2, edge(BETWEEN, out=False, kind=1)) + data(2, edge(mux, out=True, field=4))
    return b"".join(
        data(3, number(1, k) + data(3, data(1, f"context_{k}") + edges))
        for k, edges in enumerate((first, second))
    )


def core_op() -> bytes:
    """Fields of a core op, as old network groups hold them themselves."""
    return data(1, data(1, "net")) + contexts() + data(6, "net/net")


def description(group: bytes, arch: int = 3) -> bytes:
    """ProtoHEFHef of one network group."""
    header = number(1, arch) + number(2, 1_700_000_000) + data(3, "3.33.0") + number(4, 1)
    return data(1, header) + data(2, group)


def old_group() -> bytes:
    """A group as compilers wrote it first."""
    return core_op()


def new_group() -> bytes:
    """A group of ops: the core, and YOLOv8's NMS by HailoRT after it."""
    nms = double(1, 0.2) + double(2, 0.7) + number(3, 100) + number(4, 80) + data(12, b"")
    ops = data(8, data(1, "core") + data(4, core_op())) + data(8, data(1, "nms1") + data(5, nms))
    return ops + data(10, "net")


def frame(version: int, content: bytes) -> bytes:
    """A whole file of a container version."""
    common = struct.pack(">III", MAGIC, version, len(content))
    if version == 0:
        return common + struct.pack(">I16s", 0, hashlib.md5(content).digest()) + content
    body = content + WEIGHTS
    if version == 1:
        return common + struct.pack(">IQI", zlib.crc32(body), len(WEIGHTS), 0) + body
    if version == 2:
        check = xxhash.xxh3_64_intdigest(body)
        return common + struct.pack(">QQQQ", check, len(WEIGHTS), 0, 0) + body
    padding = bytes(-(56 + len(content)) % 4096)
    body = content + padding + WEIGHTS + ADDITIONAL
    check, part = xxhash.xxh3_64_intdigest(body), xxhash.xxh3_64_intdigest(content)
    sizes = (len(padding) + len(WEIGHTS), len(padding), len(ADDITIONAL))
    return common + struct.pack(">QQIQQQ", check, *sizes, part, 0) + body


def write(path: Path, version: int = 2, content: bytes | None = None) -> Path:
    """A file whose network is the one of `new_group` unless told."""
    path.write_bytes(frame(version, description(new_group()) if content is None else content))
    return path
