"""The process that reads the source and hands frames over."""

from __future__ import annotations

import logging
import time

from edgesmith.serve.board import Board
from edgesmith.serve.channel import Channel, Item
from edgesmith.serve.errors import SourceLostError
from edgesmith.serve.settings import Settings
from edgesmith.serve.sources.open import LONGEST_SECONDS, open_source
from edgesmith.serve.sources.source import Frames

_log = logging.getLogger(__name__)
# How long to wait before the source is looked for again: doubled each time, up to the last.
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.25, 8.0
# Waiting is cut into pieces of this, between which the part is heard of.
STEP_SECONDS = 0.2
# Behind its own pace by more than this, a file goes on from where it is and does not hurry.
_LATE_SECONDS = 1.0


class Capture:
    """Source to channel, until the source ends or all are asked to."""

    def __init__(self, settings: Settings, board: Board, frames: Channel) -> None:
        """Prepare; `run` opens the source."""
        self._settings = settings
        self._board = board
        self._frames = frames
        self._next = frames.last_index + 1

    def run(self, first: bool, process: int) -> None:
        """Read and hand over.

        A live source that cannot be had at the first start of a session raises SourceError; later
        it is looked for until it is back.
        """
        source = self._open() if first else self._look_for("")
        self._board.ready("capture", process)
        if not self._settings.source.live:
            self._wait_for_model()
        while source is not None and not self._at_end():
            reading = source
            try:
                source = self._read(reading)
            except SourceLostError as error:
                reading.close()
                source = self._look_for(str(error))
        if source is not None:
            source.close()
        self._frames.end()

    def _read(self, source: Frames) -> Frames | None:
        """Frames until the end of the source, then None; as many as were asked for."""
        pace = None if self._settings.source.fast else source.fps
        begin, since = time.monotonic(), self._next
        while not self._at_end():
            start = time.monotonic_ns()
            self._promise(source.patience_s)
            image = source.read()
            if image is None:
                source.close()
                return None
            took = time.monotonic_ns() - start
            if pace:
                due = begin + (self._next - since) / pace
                if time.monotonic() > due + _LATE_SECONDS:
                    begin, since = time.monotonic(), self._next
                self._wait_until(due)
            item = Item(self._next, time.monotonic_ns(), time.time_ns(), image, str(took).encode())
            while not self._frames.put(item, STEP_SECONDS):
                self._promise()
                if self._board.stopping:
                    return source
            self._next += 1
            self._board.finish("capture")
        return source

    def _look_for(self, lost: str) -> Frames | None:
        """The source again; None where all were asked to end meanwhile."""
        wait = _FIRST_WAIT_SECONDS
        if lost:
            self._board.lost(True)
            _log.warning("source lost: %s; looking for it", lost)
        start = time.monotonic()
        while not self._board.stopping:
            try:
                source = self._open()
            except SourceLostError as error:
                self._board.lost(True)
                _log.warning("%s; again in %.2g s", error, wait)
                self._wait_until(time.monotonic() + wait)
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
            else:
                self._board.lost(False)
                if lost:
                    _log.warning("source back after %.1f s", time.monotonic() - start)
                return source
        return None

    def _open(self) -> Frames:
        self._promise(LONGEST_SECONDS)
        watch = self._settings.watch
        source = open_source(self._settings.source, self._next, watch.hang_s)
        self._board.pace_fps = source.fps
        return source

    def _wait_for_model(self) -> None:
        """A file can wait: its first seconds are not to pass while a network is loaded."""
        while not self._board.was_ready("inference") and not self._board.stopping:
            self._promise()
            time.sleep(STEP_SECONDS / 10)

    def _at_end(self) -> bool:
        asked = self._settings.source.frames
        return self._board.stopping or (asked is not None and self._next >= asked)

    def _wait_until(self, due: float) -> None:
        while (left := due - time.monotonic()) > 0 and not self._board.stopping:
            self._promise()
            time.sleep(min(left, STEP_SECONDS))
        self._promise()

    def _promise(self, more_s: float = 0.0) -> None:
        self._board.promise("capture", self._settings.watch.hang_s + more_s)
