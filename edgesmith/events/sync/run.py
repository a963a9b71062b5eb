"""Shipping: batch by batch, in order, patient with a receiver that is away."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import tenacity

from edgesmith.events import database
from edgesmith.events.errors import EventsError, RefusedError, SyncError, UnreachableError
from edgesmith.events.keys import Keys
from edgesmith.events.sync import batches
from edgesmith.events.sync.batches import Batch, Standing
from edgesmith.events.sync.destination import Destination

_LOG = logging.getLogger(__name__)
_LONGEST_WAIT_S = 300.0


class Plan(NamedTuple):
    """How to ship.

    `tries` of a batch before giving up, None for no end; `first_wait_s` is the most that is waited
    after the first failure, then up to twice as long each time, at most five minutes.
    """

    max_events: int = 200
    pictures: bool = False
    tries: int | None = 5
    first_wait_s: float = 1.0


class Shipped(NamedTuple):
    """What one round did; `refused` says why of each batch that was set aside."""

    events: int
    batches: int
    refused: tuple[str, ...]


def ship(path: Path, destination: Destination, plan: Plan, ended: threading.Event) -> Shipped:
    """Ship all that waits, in order.

    Raises UnreachableError when the receiver is away for all of the plan's tries, SyncError when
    somebody must change something first, EventsError when another process ships this log. What was
    acknowledged before is done; the batch under way is sent again under its key.
    """
    try:
        with closing(database.open_for_sync(path)) as connection, database.alone(path, "sync"):
            events, refused, count = 0, [], 0
            for batch in _waiting(connection, destination, plan, ended):
                try:
                    events += _ship_one(connection, destination, batch, plan, ended)
                    count += 1
                except RefusedError as error:
                    batches.set_aside(connection, destination.name, batch, str(error))
                    refused.append(str(error))
                    _LOG.error("batch %s is set aside: %s", batch.key, error)
            return Shipped(events, count, tuple(refused))
    except sqlite3.Error as error:
        raise EventsError(f"{path}: the log cannot be used ({error})") from error


def follow(
    path: Path, destination: Destination, plan: Plan, every_s: float, ended: threading.Event
) -> None:
    """Ship what waits, and what comes, until `ended` is set.

    Whatever is wrong with the receiver is logged and tried again: a device outlives its server's
    bad days. EventsError where another process ships this log, or there is none.
    """
    while not ended.is_set():
        try:
            shipped = ship(path, destination, plan, ended)
            if shipped.events:
                _LOG.info("%s: %d events shipped", destination.name, shipped.events)
            wait_s = every_s
        except UnreachableError as error:
            if not ended.is_set():
                _LOG.warning("%s; what waits is kept", error)
            wait_s = every_s
        except SyncError as error:
            _LOG.error("%s; tried again in %.0f s", error, _LONGEST_WAIT_S)
            wait_s = max(every_s, _LONGEST_WAIT_S)
        ended.wait(wait_s)


def take_up(path: Path, destination: Destination) -> int:
    """Have batches sent again that were set aside; how many."""
    with closing(database.open_for_sync(path)) as connection, database.alone(path, "sync"):
        return batches.take_up(connection, destination.name)


def forget(path: Path, destination: Destination) -> None:
    """Promise the destination nothing more; shipped to again, it gets everything from the start."""
    with closing(database.open_for_sync(path)) as connection, database.alone(path, "sync"):
        batches.forget(connection, destination.name)


def standing(path: Path, destination: Destination) -> Standing:
    """How far the destination is."""
    with closing(database.open_for_sync(path)) as connection:
        return batches.standing(connection, destination.name)


def _waiting(
    connection: sqlite3.Connection, destination: Destination, plan: Plan, ended: threading.Event
) -> Iterator[Batch]:
    keys = Keys()
    while not ended.is_set():
        batch = batches.next_batch(
            connection, destination.name, plan.max_events, plan.pictures, keys
        )
        if batch is None:
            return
        yield batch


def _ship_one(
    connection: sqlite3.Connection,
    destination: Destination,
    batch: Batch,
    plan: Plan,
    ended: threading.Event,
) -> int:
    """Send a batch until it is acknowledged; how many events it held."""
    content, events = batches.content(connection, batch, plan.pictures)
    if events:
        for attempt in _attempts(plan, ended):
            with attempt:
                batches.attempted(connection, batch)
                destination.send(batch.key, content)
    # Removed by the log's limits before they could be shipped, which the log has said.
    batches.acknowledged(connection, destination.name, batch, events)
    return events


def _attempts(plan: Plan, ended: threading.Event) -> tenacity.Retrying:
    drawn = tenacity.wait_random_exponential(multiplier=plan.first_wait_s, max=_LONGEST_WAIT_S)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        # What the receiver asks for is a least, and the draw keeps devices apart all the same.
        asked = error.after_s if isinstance(error, UnreachableError) else 0.0
        return asked + float(drawn(state))

    def told(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        _LOG.warning("%s; again in %.1f s", error, state.upcoming_sleep)

    stops: list[tenacity.stop.stop_base] = [tenacity.stop_when_event_set(ended)]
    if plan.tries is not None:
        stops.append(tenacity.stop_after_attempt(plan.tries))
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(UnreachableError),
        wait=wait,
        stop=tenacity.stop_any(*stops),
        sleep=tenacity.sleep_using_event(ended),
        before_sleep=told,
        reraise=True,
    )
