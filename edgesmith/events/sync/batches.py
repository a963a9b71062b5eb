"""Which events go together, remembered before they go: a batch that is sent again has its key."""

from __future__ import annotations

import base64
import json
import platform
import sqlite3
import time
from typing import Any, NamedTuple

from edgesmith.events.database import transaction
from edgesmith.events.keys import Keys

_MAX_BYTES = 1_000_000


class Batch(NamedTuple):
    """Events from `first_id` to `last_id`, under one key for good."""

    key: str
    first_id: int
    last_id: int


class Standing(NamedTuple):
    """How far a destination is: events shipped so far, waiting, and in batches set aside."""

    shipped: int
    waiting: int
    aside: int


def next_batch(
    connection: sqlite3.Connection, destination: str, max_events: int, pictures: bool, keys: Keys
) -> Batch | None:
    """The batch that is under way, else a new one of the oldest events; None when all are done.

    A new batch ends at `max_events`, or earlier at about a megabyte.
    """
    with transaction(connection):
        under_way = connection.execute(
            "SELECT key, first_id, last_id FROM batches WHERE destination = ? AND refused IS NULL "
            "ORDER BY first_id LIMIT 1",
            (destination,),
        ).fetchone()
        if under_way is not None:
            return Batch(*under_way)
        connection.execute(
            "INSERT INTO destinations VALUES (?, 0, 0, NULL) ON CONFLICT DO NOTHING", (destination,)
        )
        rows = connection.execute(
            "SELECT id, LENGTH(words) + LENGTH(more) + 200 AS size, "
            "COALESCE(LENGTH(picture), 0) AS picture FROM events "
            "WHERE id > (SELECT done_id FROM destinations WHERE name = ?) ORDER BY id LIMIT ?",
            (destination, max_events),
        ).fetchall()
        if not rows:
            return None
        last, size = rows[0]["id"], 0
        for row in rows:
            # In base64, four characters for three bytes.
            size += row["size"] + (row["picture"] * 4 // 3 if pictures else 0)
            if size > _MAX_BYTES:
                break
            last = row["id"]
        batch = Batch(keys.make(), rows[0]["id"], last)
        connection.execute(
            "INSERT INTO batches (key, destination, first_id, last_id) VALUES (?, ?, ?, ?)",
            (batch.key, destination, batch.first_id, batch.last_id),
        )
        return batch


def content(connection: sqlite3.Connection, batch: Batch, pictures: bool) -> tuple[bytes, int]:
    """What is sent, as JSON, and how many events it holds.

    Fewer than when the batch was made where retention has removed some in the meantime.
    """
    rows = connection.execute(
        "SELECT * FROM events WHERE id BETWEEN ? AND ? ORDER BY id", (batch.first_id, batch.last_id)
    ).fetchall()
    body = {
        "version": 1,
        "batch": batch.key,
        "device": platform.node(),
        "events": [as_values(row, pictures) for row in rows],
    }
    return json.dumps(body, separators=(",", ":")).encode(), len(rows)


def as_values(row: sqlite3.Row, pictures: bool = False) -> dict[str, Any]:
    """One event as plain values; what it has not is left out."""
    values: dict[str, Any] = {"id": row["id"], "key": row["key"], "at_s": row["at_s"]}
    for name in ("kind", "words", "label", "track", "score"):
        if row[name] is not None:
            values[name] = row[name]
    if row["box"] is not None:
        values["box"] = json.loads(row["box"])
    values["more"] = json.loads(row["more"])
    if pictures and row["picture"] is not None:
        values["jpeg_base64"] = base64.b64encode(row["picture"]).decode()
    return values


def attempted(connection: sqlite3.Connection, batch: Batch) -> None:
    """The batch is about to be sent once more."""
    with transaction(connection):
        connection.execute("UPDATE batches SET attempts = attempts + 1 WHERE key = ?", (batch.key,))


def acknowledged(
    connection: sqlite3.Connection, destination: str, batch: Batch, events: int
) -> None:
    """The receiver has the batch: it is not sent again, in one transaction."""
    with transaction(connection):
        connection.execute("DELETE FROM batches WHERE key = ?", (batch.key,))
        connection.execute(
            "UPDATE destinations SET done_id = MAX(done_id, ?), shipped = shipped + ?, "
            "shipped_s = ? WHERE name = ?",
            (batch.last_id, events, time.time(), destination),
        )


def set_aside(connection: sqlite3.Connection, destination: str, batch: Batch, why: str) -> None:
    """The receiver will not have the batch: the next ones go on, and this one is remembered."""
    with transaction(connection):
        connection.execute("UPDATE batches SET refused = ? WHERE key = ?", (why, batch.key))
        connection.execute(
            "UPDATE destinations SET done_id = MAX(done_id, ?) WHERE name = ?",
            (batch.last_id, destination),
        )


def take_up(connection: sqlite3.Connection, destination: str) -> int:
    """Send batches again that were set aside; how many."""
    with transaction(connection):
        return connection.execute(
            "UPDATE batches SET refused = NULL WHERE destination = ? AND refused IS NOT NULL",
            (destination,),
        ).rowcount


def forget(connection: sqlite3.Connection, destination: str) -> None:
    """Promise the destination nothing more: its events age as if it had never been shipped to."""
    with transaction(connection):
        connection.execute("DELETE FROM batches WHERE destination = ?", (destination,))
        connection.execute("DELETE FROM destinations WHERE name = ?", (destination,))


def standing(connection: sqlite3.Connection, destination: str) -> Standing:
    """How far the destination is; of one that was never shipped to, everything waits."""
    row = connection.execute(
        "SELECT done_id, shipped FROM destinations WHERE name = ?", (destination,)
    ).fetchone()
    done, shipped = (row["done_id"], row["shipped"]) if row else (0, 0)
    waiting = connection.execute("SELECT COUNT(*) FROM events WHERE id > ?", (done,)).fetchone()[0]
    under_way, aside = connection.execute(
        "SELECT COALESCE(SUM(refused IS NULL AND e.id <= ?), 0), "
        "COALESCE(SUM(refused IS NOT NULL), 0) FROM batches "
        "JOIN events AS e ON e.id BETWEEN first_id AND last_id WHERE destination = ?",
        (done, destination),
    ).fetchone()
    return Standing(shipped, waiting + under_way, aside)
