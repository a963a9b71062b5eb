"""`edgesmith slim`: remove from a device what no command there opens."""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from edgesmith.cli_options import JsonOption

EXAMPLE = "Example: edgesmith slim; edgesmith slim --yes"


def slim(
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it only the list.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove files of the libraries that no command opens.

    For devices: works in a virtual environment alone, which should be edgesmith's own. `pip install
    --force-reinstall` of a library brings its files back.
    """
    from edgesmith.device import slim as slimming

    site = slimming.own_site()
    found = slimming.find(site)
    if yes:
        slimming.remove(site, found)
    if as_json:
        content: dict[str, Any] = {
            "site": str(site),
            "removed": yes,
            "parts": [
                {
                    "distribution": one.part.distribution,
                    "version": one.version,
                    "patterns": one.part.patterns,
                    "why": one.part.why,
                    "files": len(one.files),
                    "bytes": one.bytes,
                }
                for one in found
            ],
        }
        typer.echo(json.dumps(content, indent=2))
        return
    for one in found:
        typer.echo(
            f"{one.bytes / 1e6:6.1f} MB  {one.part.distribution} {one.version}, {len(one.files)} "
            f"file(s): {one.part.why}"
        )
    total = sum(one.bytes for one in found) / 1e6
    if not found:
        typer.echo(f"nothing to remove in {site}")
    else:
        typer.echo(f"{total:6.1f} MB  {'removed' if yes else 'to remove: edgesmith slim --yes'}")
