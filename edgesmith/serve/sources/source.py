"""What every kind of source offers to the capture process."""

from __future__ import annotations

from typing import Protocol

from edgesmith.preprocess import UInt8Array


class Frames(Protocol):
    """An open source.

    `fps` is its own pace where it has one and would not keep it by itself (a file); None for a
    source that gives a frame when there is one. `patience_s` is the longest that a healthy `read`
    may take beyond the usual.
    """

    fps: float | None
    patience_s: float

    def read(self) -> UInt8Array | None:
        """The next frame, (H, W, 3) uint8 BGR; None at the end.

        Raises SourceLostError where the source is gone and may come back.
        """
        ...

    def close(self) -> None:
        """Give back what the source holds."""
        ...
