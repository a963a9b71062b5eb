"""`edgesmith events`: what a device saw."""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from edgesmith.cli_options import JsonOption, print_pairs

EXAMPLE = (
    "Example: edgesmith events events.db --since 2h --label stop; "
    "edgesmith events events.db --stats --json"
)


def events(
    log: Annotated[Path, typer.Argument(help="The event log that `edgesmith serve` writes.")],
    since: Annotated[
        str | None, typer.Option(help="15m, 2h, 3d ago, or a date such as 2026-11-25T18:00.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="begin, label, end, answer, state, step, restart or lost."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Of one label alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    stats: Annotated[bool, typer.Option("--stats", help="Figures of the whole log.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the events of a log, newest last; a loop that writes it is not disturbed."""
    from edgesmith.events import read

    if stats:
        found = read.stats(log)
        if as_json:
            typer.echo(json.dumps(found, indent=2))
        else:
            print_pairs(_pairs(found))
        return
    since_s = None if since is None else read.moment(since)
    entries = read.events(log, read.Wanted(since_s, kind, label, limit))
    if as_json:
        typer.echo(json.dumps(entries, indent=2))
        return
    for entry in entries:
        score = f"{100 * entry['score']:4.0f} %" if "score" in entry else "      "
        typer.echo(f"{entry['id']:>8}  {_at(entry['at_s'])}  {score}  {entry['words']}")
    if not entries:
        typer.echo("no such event")


def _pairs(found: dict[str, Any]) -> dict[str, str]:
    pairs = {"events": str(found["events"])}
    if found["events"]:
        pairs["from"], pairs["to"] = _at(found["first_s"]), _at(found["last_s"])
    pairs["size"] = f"{found['size_bytes'] / 1e6:.2f} MB"
    for what in ("kinds", "labels"):
        if found[what]:
            pairs[what] = ", ".join(f"{name} {count}" for name, count in found[what].items())
    for target in found["destinations"]:
        pairs[target["name"]] = (
            f"{target['shipped']} shipped, {target['waiting']} waiting, "
            f"{target['refused_batches']} batches refused"
        )
    return pairs


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")
