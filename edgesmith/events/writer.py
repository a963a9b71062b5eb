"""The one hand that writes the log: what it does when the disk is full or the file damaged."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesmith.events import database, store
from edgesmith.events.database import Synchronous
from edgesmith.events.event import Event

_LOG = logging.getLogger(__name__)
# Given up when the disk is full: removing events has to be written down before it makes room.
_RESERVE_BYTES = 262_144
_SHARES_WHEN_FULL = (0.1, 0.01, 0.001)
# A jump of the clock by more, against the one that nobody sets, makes ages doubtful for a while.
_JUMP_S = 60.0
_DOUBTFUL_S = 3600.0
_REPEAT_S = 60.0


@dataclass(frozen=True)
class Limits:
    """How much is kept: the oldest go first."""

    keep_days: float = 30.0
    max_mb: float = 64.0


class Writer:
    """Writes batches and keeps the log within its limits. Used from one thread at a time."""

    def __init__(
        self,
        path: Path,
        limits: Limits,
        synchronous: Synchronous = "full",
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """EventsError where the log cannot be opened."""
        self._path, self._limits, self._synchronous = path, limits, synchronous
        self._clock, self._steady = clock, steady
        self._reserve = path.with_name(f"{path.name}.reserve")
        self._is_open = True
        self._connection, self.moved = database.open_log(path, synchronous)
        self._offset = clock() - steady()
        self._jumped: float | None = None
        self._emptied = False
        self._logged = -_REPEAT_S
        self.committed = store.last_id(self._connection)
        self.last_key = store.last_key(self._connection)
        self.said_dropped = 0
        self._keep_reserve()

    def write(self, batch: Sequence[tuple[str, Event]]) -> list[Event] | None:
        """Write a batch; what had to be done for it, as events of its own. None: it could not be.

        On a full disk the reserve is given up for the oldest tenth of the events to be removed,
        once: if that does not help, removing more would not either.
        """
        notes: list[Event] = []
        for last in (False, True):
            try:
                self._open()
                self.committed = store.append(self._connection, batch)
            except sqlite3.Error as error:
                if database.is_damaged(error):
                    notes += self._put_aside()
                elif not database.is_full(error):
                    self._say(f"cannot be written ({error})", len(batch))
                    return None
                elif not last:
                    notes += self._make_room()
            else:
                self._emptied = False
                self._keep_reserve()
                return notes
        self._say("cannot be written: the disk is full", len(batch))
        return None

    def tend(self) -> list[Event]:
        """Remove what is too old or too much; events that say so where something unshipped went."""
        now, steady = self._clock(), self._steady()
        if abs(now - steady - self._offset) > _JUMP_S:
            _LOG.warning(
                "the clock was set by %+.0f s; no event is removed for its age within the hour",
                now - steady - self._offset,
            )
            self._offset, self._jumped = now - steady, steady
        notes: list[Event] = []
        try:
            self._open()
            if self._jumped is None or steady - self._jumped > _DOUBTFUL_S:
                aged = store.remove_old(self._connection, now, self._limits.keep_days)
                notes += self._told(aged, f"older than {self._limits.keep_days:g} days")
            large = store.remove_above(self._connection, int(self._limits.max_mb * 1e6))
            notes += self._told(large, f"the log was above {self._limits.max_mb:g} MB")
            self._keep_reserve()
        except sqlite3.Error as error:
            if database.is_damaged(error):
                return [*notes, *self._put_aside()]
            _LOG.error("%s: cannot be tended (%s); it is tried again", self._path, error)
        return notes

    def close(self) -> None:
        """Let the file go; a whole one alone is left, without journal and reserve."""
        try:
            self._connection.close()
        except sqlite3.Error as error:
            _LOG.error("%s: closed with an error (%s)", self._path, error)
        self._reserve.unlink(missing_ok=True)

    def _make_room(self) -> list[Event]:
        if self._emptied:
            return []
        self._emptied = True
        self._reserve.unlink(missing_ok=True)
        self._checkpoint()
        removed = self._remove_some()
        self._checkpoint()
        if not removed.events:
            return []
        words = f"disk full: the {removed.events} oldest events were removed"
        if removed.unshipped:
            words += f", {removed.unshipped} of them not shipped"
        _LOG.error("%s: %s", self._path, words)
        return [Event("lost", self._clock(), words, more=removed._asdict())]

    def _remove_some(self) -> store.Removed:
        """Remove a tenth, or as much less as can be written down."""
        for share in _SHARES_WHEN_FULL:
            try:
                return store.remove_share(self._connection, share)
            except sqlite3.Error as error:
                _LOG.debug("%s: %g not removed (%s)", self._path, share, error)
        return store.Removed(0, 0)

    def _checkpoint(self) -> None:
        """Move the write-ahead log into the file, whose free pages take it, and empty it."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            _LOG.debug("%s: no checkpoint (%s)", self._path, error)

    def _keep_reserve(self) -> None:
        """Have the reserve on the disk, where there is room for it."""
        try:
            if self._reserve.exists() and self._reserve.stat().st_size == _RESERVE_BYTES:
                return
            descriptor = os.open(self._reserve, os.O_CREAT | os.O_WRONLY, 0o644)
            try:
                os.posix_fallocate(descriptor, 0, _RESERVE_BYTES)
            finally:
                os.close(descriptor)
        except OSError:
            self._reserve.unlink(missing_ok=True)  # part of it would be no help

    def _put_aside(self) -> list[Event]:
        """Keep a damaged file under another name; the next use begins a new one."""
        self._connection.close()
        self._is_open = False
        moved = database.set_aside(self._path)
        words = f"the log was damaged while in use; it is kept as {moved.name}"
        return [Event("lost", self._clock(), words)]

    def _open(self) -> None:
        if not self._is_open:
            self._connection, _ = database.open_log(self._path, self._synchronous)
            self._is_open = True

    def _say(self, what: str, waiting: int) -> None:
        if self._steady() - self._logged >= _REPEAT_S:
            self._logged = self._steady()
            _LOG.error("%s: %s; %d events wait", self._path, what, waiting)

    def _told(self, removed: store.Removed, why: str) -> list[Event]:
        if not removed.events:
            return []
        _LOG.info("%s: %d events removed: %s", self._path, removed.events, why)
        if not removed.unshipped:
            return []
        words = f"{removed.unshipped} events were removed before they were shipped: {why}"
        _LOG.error("%s: %s", self._path, words)
        return [Event("lost", self._clock(), words, more=removed._asdict())]
