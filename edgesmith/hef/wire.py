"""Protocol buffers without generated code: the fields of a message by number.

The encoding is https://protobuf.dev/programming-guides/encoding/. Only what is asked for is
decoded: the weights of a HEF of version 0 lie inside its message and are stepped over.
"""

from __future__ import annotations

import struct

from edgesmith.hef.errors import HefError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}


class Message:
    """One message; every accessor raises HefError where the bytes are no such field."""

    def __init__(self, data: memoryview, where: str) -> None:
        """Split `data` into fields; `where` names the message in errors."""
        self.where = where
        self._fields: dict[int, list[int | memoryview]] = {}
        position = 0
        while position < len(data):
            key, position = self._varint(data, position)
            number, kind = key >> 3, key & 7
            value: int | memoryview
            if kind == _VARINT:
                value, position = self._varint(data, position)
            elif kind == _BYTES or kind in _FIXED:
                size = _FIXED.get(kind)
                if size is None:
                    size, position = self._varint(data, position)
                if size > len(data) - position:
                    raise self._fault(f"field {number} reaches beyond its end")
                value, position = data[position : position + size], position + size
            else:
                raise self._fault(f"field {number} is of the unknown kind {kind}")
            if number == 0:
                raise self._fault("a field has the number 0")
            self._fields.setdefault(number, []).append(value)

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def integer(self, number: int) -> int:
        """An integer, enum or bool; of several the last; 0 where absent."""
        value = self._fields.get(number, [0])[-1]
        if not isinstance(value, int):
            raise self._fault(f"field {number} is no integer")
        return value

    def text(self, number: int) -> str:
        """A string; empty where absent."""
        return (self.texts(number) or [""])[-1]

    def texts(self, number: int) -> list[str]:
        """A repeated string."""
        try:
            return [bytes(value).decode() for value in self._all_bytes(number)]
        except UnicodeDecodeError as error:
            raise self._fault(f"field {number} is no UTF-8") from error

    def message(self, number: int) -> Message:
        """A message; an empty one where absent."""
        return (self.messages(number) or [Message(memoryview(b""), f"{self.where}.{number}")])[-1]

    def messages(self, number: int) -> list[Message]:
        """A repeated message."""
        where = f"{self.where}.{number}"
        return [Message(value, where) for value in self._all_bytes(number)]

    def float32(self, number: int) -> float:
        """A float; 0 where absent."""
        values = self._all_bytes(number)
        return self._unpack("<f", values[-1], number)[0] if values else 0.0

    def float64(self, number: int) -> float:
        """A double; 0 where absent."""
        values = self._all_bytes(number)
        return self._unpack("<d", values[-1], number)[0] if values else 0.0

    def float64s(self, number: int) -> list[float]:
        """A repeated double, packed or not."""
        found: list[float] = []
        for value in self._all_bytes(number):
            found += self._unpack(f"<{len(value) // 8}d", value, number)
        return found

    def _all_bytes(self, number: int) -> list[memoryview]:
        values = self._fields.get(number, [])
        found = [value for value in values if isinstance(value, memoryview)]
        if len(found) != len(values):
            raise self._fault(f"field {number} is an integer")
        return found

    def _unpack(self, layout: str, value: memoryview, number: int) -> list[float]:
        if struct.calcsize(layout) != len(value):
            raise self._fault(f"field {number} has {len(value)} bytes")
        return list(struct.unpack(layout, value))

    def _varint(self, data: memoryview, position: int) -> tuple[int, int]:
        value = shift = 0
        while position < len(data) and shift < 70:
            byte = data[position]
            value |= (byte & 0x7F) << shift
            position, shift = position + 1, shift + 7
            if byte < 0x80:
                return value, position
        raise self._fault("it ends inside an integer, or one is too long")

    def _fault(self, what: str) -> HefError:
        return HefError(f"{self.where}: {what}; the file is damaged: fetch or compile it again")
