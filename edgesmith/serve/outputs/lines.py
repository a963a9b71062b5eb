"""JSON lines: one per frame, and one for the loop's status now and then."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from edgesmith.preprocess import UInt8Array
from edgesmith.serve.outputs import record
from edgesmith.serve.outputs.output import OutputError
from edgesmith.serve.result import Result, State, Status

_STATUS_EVERY_S = 10.0


class JsonLines:
    """Writes `{"frame": …}` per frame, and `{"status": …}` when the state changes and every 10 s.

    A file is rotated by size: `seen.jsonl`, `seen.jsonl.1` … up to `keep` older ones. Each line is
    handed to the operating system at once: a killed process loses none, a power cut some.
    """

    def __init__(
        self,
        path: Path | None,
        labels: Sequence[str],
        rotate_mb: float = 50.0,
        keep: int = 4,
    ) -> None:
        """`path` None is standard output. OutputError if the file cannot be opened."""
        self._labels = labels
        self._path = path
        self._handler: logging.Handler
        try:
            self._handler = (
                _Stream(sys.stdout)
                if path is None
                else _Rotating(path, maxBytes=int(rotate_mb * 1e6), backupCount=keep)
            )
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be written ({error.strerror}); name a file in a folder that is "
                "there and yours"
            ) from error
        self._state: State | None = None
        self._next_status_s = 0.0

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """Write the frame's line; OSError where the disk is full or the reader went away."""
        now = time.monotonic()
        if status.state != self._state or now >= self._next_status_s:
            self._state, self._next_status_s = status.state, now + _STATUS_EVERY_S
            self._write({"status": record.of_status(status)})
        self._write({"frame": record.of_result(result, self._labels)})

    def close(self) -> None:
        """Close the file; standard output stays open."""
        self._handler.close()

    def _write(self, value: dict[str, Any]) -> None:
        text = json.dumps(value, separators=(",", ":"))
        self._handler.emit(logging.makeLogRecord({"msg": text}))


class _Rotating(RotatingFileHandler):
    """The standard library's rotation, whose errors reach the caller."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Called while the error is being handled."""
        raise  # noqa: PLE0704


class _Stream(logging.StreamHandler):  # type: ignore[type-arg]
    """A stream whose errors reach the caller."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Called while the error is being handled."""
        raise  # noqa: PLE0704
