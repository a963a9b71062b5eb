"""The event log as an output of the loop: frames in, a few durable rows out."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from edgesmith.events import database
from edgesmith.events.changes import Changes
from edgesmith.events.database import Synchronous
from edgesmith.events.errors import EventsError
from edgesmith.events.event import Event
from edgesmith.events.keys import Keys
from edgesmith.events.writer import Limits, Writer
from edgesmith.preprocess import UInt8Array
from edgesmith.serve.result import Result, Status

_LOG = logging.getLogger(__name__)
# While nothing can be written, as many wait in memory; then the oldest go, and that is said.
_WAITING = 10_000
_AGAIN_S = 2.0
_TEND_S = 60.0
_TEND_EVENTS = 5000
_CLOSE_S = 15.0
_PICTURE_SIDE = 160


class EventLog:
    """Finds events in frames and writes them in a thread of its own, in batches.

    Events are committed when `commit_events` wait or the oldest waits for `commit_s`. An event is
    acknowledged once it is committed, which `flush` waits for and `committed` tells: a process that
    is killed loses none of those, and with `synchronous` full (the default) neither does a power
    cut; with normal, a power cut can take the last commits. `put` never waits for the disk.
    """

    def __init__(
        self,
        path: Path,
        labels: Sequence[str],
        *,
        limits: Limits | None = None,
        pictures: bool = False,
        commit_s: float = 1.0,
        commit_events: int = 200,
        synchronous: Synchronous = "full",
    ) -> None:
        """EventsError where the log cannot be opened or another process writes it.

        `pictures` keeps a JPEG of at most 160 pixels of each object that begins.
        """
        self._path, self._pictures = path, pictures
        self._commit_s, self._commit_events = commit_s, commit_events
        self._changes = Changes(labels)
        self._waiting: deque[tuple[str, Event]] = deque()
        self._changed = threading.Condition()
        self._ended = self._hurry = False
        self._taken = self._settled = self._dropped = self._untended = 0
        with ExitStack() as stack:
            stack.enter_context(database.alone(path, "write"))
            self._writer = Writer(path, limits or Limits(), synchronous)
            self._held = stack.pop_all()
        self._keys = Keys(after=self._writer.last_key)
        if self._writer.moved is not None:
            self.add([_lost(f"the log was damaged; it is kept as {self._writer.moved.name}")])
        self._thread = threading.Thread(target=self._run, name="event log", daemon=True)
        self._thread.start()

    @property
    def committed(self) -> int:
        """Id of the newest event that is durable; 0 of none."""
        return self._writer.committed

    @property
    def dropped(self) -> int:
        """Events that were given up since opening, because nothing could be written for long."""
        return self._dropped

    def put(self, image: UInt8Array, result: Result, status: Status) -> None:
        """Take the events of one frame."""
        events = self._changes.of(result, status)
        if events:
            self.add(self._with_picture(event, image) for event in events)

    def add(self, events: Iterable[Event]) -> None:
        """Take events from elsewhere; each gets its key now, and keeps it."""
        with self._changed:
            for event in events:
                if len(self._waiting) >= _WAITING:
                    self._waiting.popleft()
                    self._dropped += 1
                    self._settled += 1
                self._waiting.append((self._keys.make(), event))
                self._taken += 1
            self._changed.notify_all()

    def flush(self, timeout_s: float = 10.0) -> None:
        """Return once all that was put is durable; EventsError if that takes longer."""
        with self._changed:
            until, dropped = self._taken, self._dropped
            self._hurry = True
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: self._settled >= until, timeout_s)
            if not done or self._dropped > dropped:
                raise EventsError(
                    f"{self._path}: not written within {timeout_s:g} s; is the disk full?"
                )

    def close(self) -> None:
        """End what is in view, write what waits, and let the log go."""
        self.add(self._changes.end())
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_S)
        if self._thread.is_alive():
            _LOG.error("%s: the disk does not answer; what waits is lost", self._path)
            return
        self._held.close()

    def _with_picture(self, event: Event, image: UInt8Array) -> Event:
        if not self._pictures or event.kind != "begin" or event.box is None:
            return event
        height, width = image.shape[:2]
        left, top, right, bottom = (round(edge) for edge in event.box)
        part = image[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
        if not part.size:
            return event
        shrink = min(1.0, _PICTURE_SIDE / max(part.shape[:2]))
        size = (max(1, round(part.shape[1] * shrink)), max(1, round(part.shape[0] * shrink)))
        small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        return replace(event, picture=np.array(small, np.uint8))

    def _run(self) -> None:
        tended = time.monotonic()
        while True:
            batch = self._next(tended + _TEND_S)
            if batch and not self._write(batch):
                if self._ended:
                    _LOG.error("%s: %d events could not be written", self._path, len(batch))
                    break
                with self._changed:
                    self._changed.wait_for(lambda: self._ended, _AGAIN_S)
            if self._ended and not self._waiting:
                break
            if time.monotonic() - tended >= _TEND_S or self._untended >= _TEND_EVENTS:
                tended, self._untended = time.monotonic(), 0
                self._tend()
        self._writer.close()

    def _tend(self) -> None:
        try:
            self.add(self._writer.tend())
        except (OSError, EventsError) as error:
            _LOG.error("%s: cannot be tended (%s); it is tried again", self._path, error)

    def _next(self, tend_at: float) -> list[tuple[str, Event]]:
        """What waits, once it is enough or has waited for long enough; empty to tend the log."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._waiting or self._ended, max(0.0, tend_at - time.monotonic())
            )
            if self._waiting:
                self._changed.wait_for(
                    lambda: len(self._waiting) >= self._commit_events or self._ended or self._hurry,
                    self._commit_s,
                )
            self._hurry = False
            return list(self._waiting)

    def _write(self, batch: list[tuple[str, Event]]) -> bool:
        try:
            notes = self._writer.write(batch)
        except (OSError, EventsError) as error:
            _LOG.error("%s: cannot be written (%s); its events wait", self._path, error)
            return False
        if notes is None:
            return False
        with self._changed:
            written = {key for key, _ in batch}
            self._untended += len(batch)
            while self._waiting and self._waiting[0][0] in written:
                self._waiting.popleft()
                self._settled += 1
            self._changed.notify_all()
        if self._dropped > self._writer.said_dropped:
            lost = self._dropped - self._writer.said_dropped
            self._writer.said_dropped = self._dropped
            notes.append(_lost(f"{lost} events given up while nothing could be written"))
        self.add(notes)
        return True


def _lost(words: str) -> Event:
    return Event("lost", time.time(), words)
