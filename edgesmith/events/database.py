"""The log's file: opened for the one that writes, for shipping, and for readers.

Write-ahead logging: readers never wait for the writer, nor it for them. There is one writer of
events, which an exclusive lock beside the file says; `sync` writes a row of its own now and then
and waits its turn.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from edgesmith.events.errors import EventsError
from edgesmith.events.schema import migrate

_LOG = logging.getLogger(__name__)
Synchronous = Literal["full", "normal"]
_WAIT_MS = 10_000
# Pages of 4 kB in the write-ahead log before they go into the file: little enough for a small disk.
_CHECKPOINT_PAGES = 64
# SQLite would keep up to 2 MB of what it wrote: in an endurance run the process grew with the log.
_CACHE_KIB = 256
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def is_damaged(error: sqlite3.Error) -> bool:
    """Whether SQLite found that the file's content cannot be."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED


def is_full(error: sqlite3.Error) -> bool:
    """Whether the disk is full; an input or output error is what a full one can look like too."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def open_log(path: Path, synchronous: Synchronous) -> tuple[sqlite3.Connection, Path | None]:
    """The log, checked and of this version, for its writer; and where a damaged one was moved.

    EventsError where it can be neither opened nor made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        moved = None
        if path.exists() and not _is_sound(path):
            moved = set_aside(path)
        connection = _connect(path)
        # Before the first table: afterwards it would take a VACUUM.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous.upper()}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute("PRAGMA journal_size_limit = 0")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        migrate(connection, path)
    except (OSError, sqlite3.Error) as error:
        raise EventsError(
            f"{path}: cannot be opened as an event log ({error}); name a file on a disk that is "
            "writable and has room"
        ) from error
    return connection, moved


def open_for_sync(path: Path) -> sqlite3.Connection:
    """The log of a device for `sync`, which is there already; EventsError otherwise."""
    if not path.is_file():
        raise EventsError(f"{path}: no such event log; `edgesmith serve … --events` makes one")
    try:
        connection = _connect(path)
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection, path)
    except sqlite3.Error as error:
        raise EventsError(f"{path}: cannot be opened as an event log ({error})") from error
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """The log for reading alone; EventsError where it is not there or none."""
    if not path.is_file():
        raise EventsError(f"{path}: no such event log; `edgesmith serve … --events` makes one")
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_MS / 1000
        )
        connection.row_factory = sqlite3.Row
        connection.execute("SELECT id FROM events LIMIT 1")
    except sqlite3.Error as error:
        raise EventsError(f"{path}: cannot be read as an event log ({error})") from error
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One that writes: whole, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """The only process that does `what` with the log, for the block; the lock goes with a kill.

    EventsError if another one does.
    """
    lock = path.with_name(f"{path.name}.{what}-lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        raise EventsError(f"{lock}: cannot be made ({error.strerror})") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EventsError(
                f"{path}: another process does {what} with this log already; stop it, or leave it "
                "to it"
            ) from error
        yield
    finally:
        os.close(descriptor)


def set_aside(path: Path) -> Path:
    """Move a damaged log, with what SQLite keeps beside it, to a name of its own; that name."""
    target = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    while target.exists():
        target = target.with_name(f"{target.name}x")
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.replace(target.with_name(target.name + suffix))
    path.replace(target)
    _LOG.error("%s: damaged; kept as %s, and a new one begun", path, target)
    return target


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_WAIT_MS / 1000, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    return connection


def _is_sound(path: Path) -> bool:
    """Whether the file's content holds together; a journal of a killed writer is played first."""
    connection = None
    try:
        connection = _connect(path)
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        if is_damaged(error):
            return False
        raise
    finally:
        if connection is not None:
            connection.close()
