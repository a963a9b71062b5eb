"""How many bytes have come, on a terminal as they come and in a log once."""

from __future__ import annotations

import sys
import time

from edgesmith.deliver.manifest import Object

_SECONDS = 0.2


class Meter:
    """Counts over all objects; `received_bytes` came over the wire, `resumed_bytes` were there."""

    def __init__(self, total_bytes: int, quiet: bool = False) -> None:
        """A meter of objects of `total_bytes` together."""
        self._total, self._quiet = total_bytes, quiet
        self._at: dict[str, int] = {}
        self._object = ""
        self._shown, self._start = 0.0, time.monotonic()
        self.received_bytes = self.resumed_bytes = 0

    def begin(self, wanted: Object, have: int) -> None:
        """Note that an object's turn has come, and how much of it was there."""
        if wanted.sha256 not in self._at:
            self.resumed_bytes += have
        self._object = wanted.sha256
        self._at[wanted.sha256] = have

    def at(self, position: int) -> None:
        """Note that `position` bytes of the object are there; less than before: it began anew."""
        self.received_bytes += max(0, position - self._at[self._object])
        self._at[self._object] = position
        if not self._quiet and sys.stderr.isatty() and time.monotonic() - self._shown > _SECONDS:
            self._shown = time.monotonic()
            print(f"\r{self._text()}", end="", file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Print the last line."""
        if self._quiet:
            return
        start = "\r" if sys.stderr.isatty() else ""
        seconds = time.monotonic() - self._start
        rate = self.received_bytes / 1e6 / seconds if seconds > 0 else 0.0
        print(f"{start}{self._text()}, {rate:.1f} MB/s", file=sys.stderr, flush=True)

    def _text(self) -> str:
        text = f"{sum(self._at.values()) / 1e6:.1f} of {self._total / 1e6:.1f} MB"
        return (
            f"{text} ({self.resumed_bytes / 1e6:.1f} MB there already)"
            if self.resumed_bytes
            else text
        )
