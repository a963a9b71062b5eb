"""How much has been sent, on a terminal as it goes and in a log once."""

from __future__ import annotations

import sys
import time

from edgesmith.remote.transfer import Item

_SECONDS = 0.2


class Meter:
    """Counts bytes over all files; `sent_bytes` leaves out what the device had already."""

    def __init__(self, total_bytes: int, label: str) -> None:
        """A meter of a transfer that will send `total_bytes`."""
        self._total = total_bytes
        self._label = label
        self._at: dict[str, int] = {}
        self._shown = 0.0
        self.sent_bytes = 0

    def __call__(self, item: Item, position: int) -> None:
        """Note that `position` bytes of a file are there; of the first call, that they were."""
        self.sent_bytes += max(0, position - self._at.get(item.sha256, position))
        self._at[item.sha256] = position
        if sys.stderr.isatty() and time.monotonic() - self._shown > _SECONDS:
            self._shown = time.monotonic()
            print(f"\r{self._text()}", end="", file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Print the last line."""
        start = "\r" if sys.stderr.isatty() else ""
        print(f"{start}{self._text()}", file=sys.stderr, flush=True)

    def _text(self) -> str:
        return f"{self._label}: {self.sent_bytes / 1e6:.1f} of {self._total / 1e6:.1f} MB sent"
