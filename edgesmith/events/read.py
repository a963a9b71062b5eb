"""What a log holds: events by kind, label and time, and figures of the whole."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from edgesmith.events.database import open_to_read
from edgesmith.events.errors import EventsError
from edgesmith.events.sync.batches import as_values

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Wanted(NamedTuple):
    """Which events; `limit` of the newest."""

    since_s: float | None = None
    kind: str | None = None
    label: str | None = None
    limit: int = 50


def moment(text: str) -> float:
    """Seconds since the epoch of `90s`, `15m`, `2h`, `3d` ago or an ISO date; EventsError."""
    ago = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if ago:
        return time.time() - float(ago[1]) * _UNITS[ago[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise EventsError(
            f"--since {text}: write 15m, 2h or 3d for so long ago, or a date such as "
            "2026-11-25T18:00"
        ) from error


def events(path: Path, wanted: Wanted) -> list[dict[str, Any]]:
    """The newest events that are wanted, oldest of them first."""
    conditions, values = ["1"], list[Any]()
    for condition, value in (
        ("at_s >= ?", wanted.since_s),
        ("kind = ?", wanted.kind),
        ("label = ?", wanted.label),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    with closing(open_to_read(path)) as connection:
        rows = _all(
            connection,
            path,
            f"SELECT * FROM events WHERE {' AND '.join(conditions)} "  # noqa: S608 (ours alone)
            "ORDER BY id DESC LIMIT ?",
            (*values, wanted.limit),
        )
        return [as_values(row) for row in reversed(rows)]


def stats(path: Path) -> dict[str, Any]:
    """How many of what, from when to when, how large, and how far each destination is."""
    with closing(open_to_read(path)) as connection:
        whole = _all(
            connection, path, "SELECT COUNT(*), MIN(at_s), MAX(at_s), MAX(id) FROM events"
        )[0]
        kinds = _all(
            connection, path, "SELECT kind, COUNT(*) FROM events GROUP BY kind ORDER BY 2 DESC"
        )
        labels = _all(
            connection,
            path,
            "SELECT label, COUNT(*) FROM events WHERE kind IN ('begin', 'answer') GROUP BY label "
            "ORDER BY 2 DESC",
        )
        shipping = _all(
            connection,
            path,
            "SELECT name, shipped, shipped_s, "
            "(SELECT COUNT(*) FROM events WHERE id > done_id) AS waiting, "
            "(SELECT COUNT(*) FROM batches WHERE destination = name AND refused IS NOT NULL) "
            "AS refused_batches FROM destinations",
        )
        return {
            "events": whole[0],
            "first_s": whole[1],
            "last_s": whole[2],
            "last_id": whole[3],
            "size_bytes": path.stat().st_size,
            "kinds": {row[0]: row[1] for row in kinds},
            "labels": {row[0]: row[1] for row in labels},
            "destinations": [dict(row) for row in shipping],
        }


def _all(
    connection: sqlite3.Connection, path: Path, query: str, values: tuple[Any, ...] = ()
) -> list[sqlite3.Row]:
    try:
        return connection.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise EventsError(
            f"{path}: cannot be read ({error}); `edgesmith serve` sets a damaged log aside when it "
            "opens it"
        ) from error
