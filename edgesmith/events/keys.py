"""Keys that are unique everywhere and in the order of their making (UUID version 7, RFC 9562)."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable

_COUNTS = 1 << 12


class Keys:
    """Makes keys; each is greater than the one before, also when the clock is set back.

    Milliseconds of the clock come first, then twelve bits that count within one (method 1 of
    section 6.2), then 62 random bits. While the clock is behind `after` or the last key, the last
    key's millisecond counts on.
    """

    def __init__(self, after: str | None = None, clock: Callable[[], float] = time.time) -> None:
        """`after` is the last key of an earlier run."""
        self._clock = clock
        value = uuid.UUID(after).int if after else 0
        self._ms, self._count = value >> 80, (value >> 64) & (_COUNTS - 1)

    def make(self) -> str:
        """The next key."""
        now = int(self._clock() * 1000)
        if now > self._ms:
            self._ms, self._count = now, 0
        else:
            self._count += 1
            if self._count == _COUNTS:
                self._ms, self._count = self._ms + 1, 0
        bits = self._ms << 80 | 7 << 76 | self._count << 64 | 2 << 62 | secrets.randbits(62)
        return str(uuid.UUID(int=bits))
