"""Events, and logs that hold some."""

import sqlite3
import time
from pathlib import Path

from edgesmith.events import database, store
from edgesmith.events.event import Event
from edgesmith.events.keys import Keys

LABELS = ["car", "person", "sign"]


def event(number: int, at_s: float | None = None, words: str = "") -> Event:
    return Event(
        "begin",
        time.time() if at_s is None else at_s,
        words or f"car {number} appeared",
        "car",
        number,
        0.9,
        (1.0, 2.0, 30.0, 40.0),
        {"artifact": "yolo26n-qat/ncnn"},
    )


def fill(path: Path, count: int, at_s: float | None = None, words: str = "") -> None:
    """A log with events of one moment, made or added to."""
    connection, _ = database.open_log(path, "normal")
    keys = Keys(after=store.last_key(connection))
    first = store.last_id(connection)
    store.append(
        connection,
        [(keys.make(), event(first + number, at_s, words)) for number in range(1, count + 1)],
    )
    connection.close()


def rows(path: Path, what: str = "id") -> list[object]:
    """One column of all events, by id."""
    with sqlite3.connect(path) as connection:
        found = [row[0] for row in connection.execute(f"SELECT {what} FROM events ORDER BY id")]
    connection.close()
    return found
