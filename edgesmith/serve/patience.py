"""How often, and how fast, a part that fails is replaced."""

from __future__ import annotations

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 8.0
# A part that worked for so long starts afresh: its next failure is a first one.
_CALM_SECONDS = 60.0


class Patience:
    """One part's failures. All times are monotonic seconds."""

    def __init__(self, most: int) -> None:
        """Allow `most` failures in a row, the last of which is one too many."""
        self._most = most
        self._failures = 0
        self._last_s = 0.0

    def failed(self, now_s: float) -> float | None:
        """Seconds to wait before the part is replaced: 0, 0.5, 1, 2, 4, 8, 8 …; None for enough."""
        if self._failures and now_s - self._last_s > _CALM_SECONDS:
            self._failures = 0
        self._failures += 1
        self._last_s = now_s
        if self._failures >= self._most:
            return None
        if self._failures == 1:
            return 0.0
        return float(min(_FIRST_WAIT_SECONDS * 2 ** (self._failures - 2), _LONGEST_WAIT_SECONDS))

    def forget(self) -> None:
        """Something else runs from now on: begin afresh."""
        self._failures = 0
