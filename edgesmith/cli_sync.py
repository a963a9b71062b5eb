"""`edgesmith sync`: events shipped to where they are wanted."""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from edgesmith.cli_options import JsonOption, print_pairs
from edgesmith.errors import RuntimeUnavailableError

EXAMPLE = (
    "Example: edgesmith sync events.db https://example.org/events --token-file token; "
    "edgesmith sync events.db s3://bucket/camera-1 --follow"
)


def sync(
    log: Annotated[Path, typer.Argument(help="The event log that `edgesmith serve` writes.")],
    destination: Annotated[
        str, typer.Argument(help="https://… takes POSTed JSON, s3://bucket/prefix an object each.")
    ],
    follow: Annotated[
        bool,
        typer.Option("--follow/--once", help="Go on with what comes, or end when all is shipped."),
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between two looks, with --follow.")
    ] = 10.0,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Most events of a batch.")] = 200,
    tries: Annotated[
        int, typer.Option(min=1, help="Of a batch before giving up; --follow never does.")
    ] = 5,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="With the objects' pictures, in base64.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with a bearer token; or the variable EDGESMITH_SYNC_TOKEN."),
    ] = None,
    retry_refused: Annotated[
        bool,
        typer.Option("--retry-refused", help="First those batches again that were refused."),
    ] = False,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget", help="Ship nothing: give this destination up, so that old events may go."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Ship what a log holds and its destination has not had, in order and at least once.

    Each batch has a key that it keeps (Idempotency-Key, and `batch` in the body), and each event
    its own: a receiver that knows a key has had it. A receiver that is away is tried again with
    growing pauses; a batch that is refused for its content is set aside and said, and the next
    ones go on.
    """
    import logging

    from edgesmith.events.errors import SyncError

    try:
        from edgesmith.events.sync import run
        from edgesmith.events.sync.destination import open_destination
    except ModuleNotFoundError as error:
        raise RuntimeUnavailableError(
            f"shipping needs the Python package {error.name!r}; pip install 'edgesmith[serve]'"
        ) from error

    logging.basicConfig(format="%(message)s", level=logging.INFO)
    where = open_destination(destination, token_file)
    if forget:
        run.forget(log, where)
        typer.echo(f"{where.name} is forgotten", err=True)
        return
    if retry_refused:
        typer.echo(f"{run.take_up(log, where)} batches are sent again", err=True)
    plan = run.Plan(batch, pictures, None if follow else tries)
    with _ending() as ended:
        if follow:
            run.follow(log, where, plan, every, ended)
            return
        shipped = run.ship(log, where, plan, ended)
    standing = run.standing(log, where)
    if as_json:
        typer.echo(json.dumps({**shipped._asdict(), "standing": standing._asdict()}, indent=2))
    else:
        print_pairs(
            {
                "shipped": f"{shipped.events} events in {shipped.batches} batches",
                "waiting": str(standing.waiting),
                "refused": f"{standing.aside} events are set aside" if standing.aside else "none",
            }
        )
    if shipped.refused:
        raise SyncError(
            f"{len(shipped.refused)} batches were refused and set aside, the first because: "
            f"{shipped.refused[0]}; once that is mended, `edgesmith sync … --retry-refused`"
        )


@contextmanager
def _ending() -> Iterator[threading.Event]:
    """Set by Ctrl-C or SIGTERM: what is under way is finished, or sent again the next time."""
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
