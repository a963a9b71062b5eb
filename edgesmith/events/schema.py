"""Tables of the log, and how a log of an earlier version becomes one of this."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from edgesmith.events.errors import EventsError

# The n-th step makes version n + 1 of version n, which is `PRAGMA user_version`. A step that was
# released is never changed: there are logs that went through it.
STEPS: tuple[tuple[str, ...], ...] = (
    (
        # AUTOINCREMENT: an id is not given again after its event was removed, so that "after id"
        # means later, whatever the clock says.
        """CREATE TABLE events (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL UNIQUE,
            at_s REAL NOT NULL,
            kind TEXT NOT NULL,
            words TEXT NOT NULL,
            label TEXT,
            track INTEGER,
            score REAL,
            box TEXT,
            more TEXT NOT NULL,
            picture BLOB
        )""",
        "CREATE INDEX events_at_s ON events (at_s)",
    ),
    (
        """CREATE TABLE destinations (
            name TEXT PRIMARY KEY,
            done_id INTEGER NOT NULL,
            shipped INTEGER NOT NULL,
            shipped_s REAL
        )""",
        """CREATE TABLE batches (
            key TEXT PRIMARY KEY,
            destination TEXT NOT NULL,
            first_id INTEGER NOT NULL,
            last_id INTEGER NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            refused TEXT
        )""",
    ),
)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the log to this version, each step whole or not at all.

    EventsError for a log of a later version, which is left as it is.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(STEPS):
        raise EventsError(
            f"{path}: written by a later edgesmith (version {version} of the log, this one knows "
            f"{len(STEPS)}); install that one, or name another file"
        )
    for number in range(version, len(STEPS)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have gone the step in the meantime.
            if connection.execute("PRAGMA user_version").fetchone()[0] == number:
                for statement in STEPS[number]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
