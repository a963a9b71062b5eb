"""`edgesmith pull`, `rollback` and `releases`: what a device fetches, runs and goes back to."""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli_options import JsonOption

if TYPE_CHECKING:
    from edgesmith.deliver.pull import Pulled
    from edgesmith.deliver.release import Release
    from edgesmith.deliver.store import Store

EXAMPLE = (
    "Example: edgesmith pull https://models.example.org/remote --device rpi5 --key ed25519:…; "
    "edgesmith pull ssh://pi@host/srv/remote --variant mobilenetv2-qat"
)
EXAMPLE_ROLLBACK = "Example: edgesmith rollback && systemctl restart edgesmith"
EXAMPLE_RELEASES = "Example: edgesmith releases"

StoreOption = Annotated[
    Path | None,
    typer.Option(
        help="Where artifacts are kept; by default EDGESMITH_STORE, else /var/lib/edgesmith "
        "for root and ~/.local/share/edgesmith for others."
    ),
]


def pull(
    source: Annotated[
        str,
        typer.Argument(
            help="A DVC remote that `edgesmith publish` wrote to: a folder, http(s)://host/path, "
            "ssh://user@host/path or s3://bucket/prefix."
        ),
    ],
    device: Annotated[
        str | None,
        typer.Option(help="Name in the catalogue (`edgesmith devices`); else what this one is."),
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="Only this one, beside what is there; it becomes current.")
    ] = None,
    format_name: Annotated[
        str | None, typer.Option("--format", help="This one and not the device's preferred one.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Publisher's public key, or a file with it; given once, then trusted."),
    ] = None,
    store: StoreOption = None,
    keep: Annotated[int, typer.Option(min=1, help="Releases to keep for `rollback`.")] = 3,
    allow_older: Annotated[
        bool,
        typer.Option(
            "--allow-older", help="Take an expired manifest, an older one, or one rolled back from."
        ),
    ] = False,
    retries: Annotated[
        int, typer.Option(min=1, help="Attempts without a new byte before it gives up.")
    ] = 6,
    as_json: JsonOption = False,
) -> None:
    """Fetch, check, test and activate what was published for this device.

    Needs neither git nor DVC. Everything is checked against the publisher's signature, and run on a
    golden image before it becomes active; if anything fails, what was active stays active. A pull
    that was interrupted goes on where it stopped.
    """
    from edgesmith.deliver.source.source import open_source
    from edgesmith.deliver.store import Store

    _require_extra()
    from edgesmith.deliver import pull as pulls
    from edgesmith.device import fingerprint, recognise
    from edgesmith.device.catalogue import reader

    machine = fingerprint.fingerprint()
    if device is None:
        device = recognise.names_of(machine)[-1]
    entry = reader.read(device)
    recognise.require(device, machine)
    request = pulls.Request(
        entry, machine, variant, format_name, key, allow_older, keep, retries, quiet=as_json
    )
    opened = open_source(source)
    held = Store(store)
    try:
        done = pulls.pull(held, opened, request, lambda line: typer.echo(line, err=True))
    finally:
        opened.close()
    if as_json:
        typer.echo(json.dumps(_json(held, done), indent=2))
    else:
        _print(held, done)


def rollback(
    to: Annotated[
        int | None, typer.Option(min=1, help="Number of a release; else the one before.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Activate the release before the active one, in one step and without a network.

    What was rolled back from is not pulled again until something newer is published.
    """
    from edgesmith.deliver.store import Store

    _require_extra()
    from edgesmith.deliver import pull as pulls

    held = Store(store)
    former, now = pulls.roll_back(held, to)
    if as_json:
        typer.echo(json.dumps({"former": former.number, "active": now.number}, indent=2))
    else:
        typer.echo(f"release {former.number} -> {now.number}: {_words(now)}")
        typer.echo(f"current: {held.current()}")


def releases(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List the releases that the store keeps, and which is active."""
    from edgesmith.deliver.store import Store

    held = Store(store)
    active, kept = held.active(), held.kept()
    if as_json:
        found = [
            {**release.model_dump(mode="json"), "active": release == active} for release in kept
        ]
        typer.echo(json.dumps(found, indent=2))
        return
    for release in kept:
        mark = "*" if release == active else " "
        typer.echo(
            f"{mark} {release.number}  serial {release.serial}  "
            f"{release.pulled:%Y-%m-%d %H:%M}  {_words(release)}"
        )
    if not kept:
        typer.echo(f"{held.root}: nothing yet; `edgesmith pull SOURCE`")


def _require_extra() -> None:
    """RuntimeUnavailableError where what signatures and transfers need is not installed."""
    import importlib.util

    from edgesmith.errors import RuntimeUnavailableError

    missing = [
        name for name in ("cryptography", "tenacity") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise RuntimeUnavailableError(
            f"{', '.join(missing)} not installed; pip install edgesmith[deliver]"
        )


def _words(release: Release) -> str:
    names = (
        f"{name}/{held.format}" + (" (current)" if name == release.default else "")
        for name, held in release.artifacts.items()
    )
    return ", ".join(names)


def _print(store: Store, done: Pulled) -> None:
    for key, reason in done.skipped.items():
        typer.echo(f"skipped {key}: {reason}", err=True)
    state = "active" if done.changed else "active already"
    typer.echo(f"release {done.release.number} {state}: {_words(done.release)}")
    if done.resumed_bytes:
        typer.echo(f"{done.resumed_bytes:,} bytes of an earlier attempt were used")
    typer.echo(f"current: {store.current()}")


def _json(store: Store, done: Pulled) -> dict[str, Any]:
    return {
        "changed": done.changed,
        "release": done.release.model_dump(mode="json"),
        "current": str(store.current()),
        "skipped": done.skipped,
        "received_bytes": done.received_bytes,
        "resumed_bytes": done.resumed_bytes,
        "freed_bytes": done.freed_bytes,
    }
