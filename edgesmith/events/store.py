"""Rows of the log: written, removed, counted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2

from edgesmith.events.database import transaction
from edgesmith.events.event import Event
from edgesmith.preprocess import UInt8Array

_COLUMNS = "key, at_s, kind, words, label, track, score, box, more, picture"
_PICTURE_QUALITY = 80
# A clock that says less was never set: no edgesmith is as old.
CLOCK_UNSET_S = 1_700_000_000.0
# Of what is there, so that a clock that went mad leaves something.
_LEAST_KEPT = 1000


class Removed(NamedTuple):
    """Events that were removed, and how many of them no destination has had."""

    events: int
    unshipped: int


def append(connection: sqlite3.Connection, keyed: Sequence[tuple[str, Event]]) -> int:
    """Write events in one transaction; the last id. An event whose key is there is there already.

    When it returns, they are as durable as the connection's `synchronous` makes a commit.
    """
    rows = [_row(key, event) for key, event in keyed]
    holders = ", ".join("?" * 10)
    with transaction(connection):
        connection.executemany(
            # That COMMIT failed does not mean that it did nothing, and then this comes again.
            f"INSERT INTO events ({_COLUMNS}) VALUES ({holders}) "  # noqa: S608
            "ON CONFLICT (key) DO NOTHING",
            rows,
        )
        return last_id(connection)


def last_id(connection: sqlite3.Connection) -> int:
    """The greatest id that was ever given; 0 of a new log."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(row[0]) if row else 0


def last_key(connection: sqlite3.Connection) -> str | None:
    """The key of the newest event; None of an empty log."""
    row = connection.execute("SELECT key FROM events ORDER BY id DESC LIMIT 1").fetchone()
    return str(row[0]) if row else None


def remove_old(connection: sqlite3.Connection, now_s: float, keep_days: float) -> Removed:
    """Remove events of more than `keep_days` ago, from the oldest on up to the first that is newer.

    So a clock that was ahead for a while protects what came before, and one that is behind removes
    nothing. Kept all the same: the newest thousand, what was logged before the clock was set, and
    what a destination that was ever shipped to has not had.
    """
    oldest_s = now_s - 86400 * keep_days
    kept = [last_id(connection) + 1 - _LEAST_KEPT]
    first = connection.execute(
        "SELECT MIN(id) FROM events WHERE at_s >= ? OR at_s < ?", (oldest_s, CLOCK_UNSET_S)
    ).fetchone()[0]
    if first is not None:
        kept.append(first)
    done = connection.execute("SELECT MIN(done_id) FROM destinations").fetchone()[0]
    if done is not None:
        kept.append(done + 1)
    return _remove_below(connection, min(kept))


def remove_above(connection: sqlite3.Connection, max_bytes: int) -> Removed:
    """Remove the oldest until the log's content takes 90 % of `max_bytes`, if it takes more."""
    removed = Removed(0, 0)
    if used_bytes(connection) <= max_bytes:
        return removed
    while used_bytes(connection) > 0.9 * max_bytes:
        more = remove_share(connection, 0.05)
        if not more.events:
            break
        removed = Removed(removed.events + more.events, removed.unshipped + more.unshipped)
    # Back to the disk, at most 4 MB at a time: the writer must not be away for long. As a script:
    # the statement gives a row without columns per page, and `execute` stops at the first.
    connection.executescript("PRAGMA incremental_vacuum(1000)")
    return removed


def remove_share(connection: sqlite3.Connection, share: float) -> Removed:
    """Remove this share of the events, the oldest, and at least one."""
    count = connection.execute("SELECT COUNT(*) FROM events").fetchone()[0]
    row = connection.execute(
        "SELECT id FROM events ORDER BY id LIMIT 1 OFFSET ?", (max(1, int(share * count)),)
    ).fetchone()
    return _remove_below(connection, row[0] if row else last_id(connection) + 1)


def used_bytes(connection: sqlite3.Connection) -> int:
    """What the log's content takes in the file; free pages inside are not counted."""
    size, count, free = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_size", "page_count", "freelist_count")
    )
    return int(size * (count - free))


def _remove_below(connection: sqlite3.Connection, first_kept: int) -> Removed:
    with transaction(connection):
        done = connection.execute("SELECT MIN(done_id) FROM destinations").fetchone()[0]
        unshipped = 0
        if done is not None:
            unshipped = connection.execute(
                "SELECT COUNT(*) FROM events WHERE id > ? AND id < ?", (done, first_kept)
            ).fetchone()[0]
        found = connection.execute("DELETE FROM events WHERE id < ?", (first_kept,))
        return Removed(found.rowcount, unshipped)


def _row(key: str, event: Event) -> tuple[Any, ...]:
    return (
        key,
        event.at_s,
        event.kind,
        event.words,
        event.label,
        event.track,
        event.score,
        None if event.box is None else json.dumps([round(edge, 1) for edge in event.box]),
        json.dumps(dict(event.more), separators=(",", ":")),
        None if event.picture is None else _jpeg(event.picture),
    )


def _jpeg(picture: UInt8Array) -> bytes:
    _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _PICTURE_QUALITY])
    return content.tobytes()
