"""What an output is, and several of them called as one that never stops the loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Protocol

from edgesmith.errors import EdgesmithError
from edgesmith.preprocess import UInt8Array
from edgesmith.serve.result import Result, Status

_LOG = logging.getLogger(__name__)
# An output that fails on every frame would fill the log.
_REPEAT_S = 60.0


class OutputError(EdgesmithError):
    """An output cannot be opened, or can no longer be written."""


class Output(Protocol):
    """Takes every finished frame.

    `image` is (H, W, 3) uint8 BGR and belongs to the caller again when `put` returns: an output
    that wants it later copies it, and none draws into it.
    """

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """Take one frame."""

    def close(self) -> None:
        """Finish what was begun: files are whole afterwards, ports free."""


class Outputs:
    """Calls outputs one after the other; one that fails is logged, and the others go on.

    `failures` counts by the output's class.
    """

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = tuple(outputs)
        self._logged: dict[str, float] = {}
        self.failures: dict[str, int] = {}

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """Give one frame to all."""
        for output in self._outputs:
            try:
                output.put(image, result, status)
            except Exception as error:
                self._failed(output, error)

    def close(self) -> None:
        """Close all, even if one cannot be."""
        for output in self._outputs:
            try:
                output.close()
            except Exception as error:
                self._failed(output, error)

    def _failed(self, output: Output, error: Exception) -> None:
        name = type(output).__name__
        self.failures[name] = self.failures.get(name, 0) + 1
        now = time.monotonic()
        if now - self._logged.get(name, -_REPEAT_S) < _REPEAT_S:
            return
        self._logged[name] = now
        # What a user can mend needs no traceback; anything else is a defect and keeps its own.
        trace = None if isinstance(error, EdgesmithError | OSError) else error
        _LOG.error(
            "output %s failed (%d times so far): %s; the loop goes on without it",
            name,
            self.failures[name],
            error,
            exc_info=trace,
        )
