"""`edgesmith hailo`: does the accelerator of this machine work, and how fast is a HEF on it."""

# ruff: noqa: PLC0415

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from edgesmith.cli_options import JsonOption, print_pairs

EXAMPLE = "Example: edgesmith hailo check model.hef; edgesmith hailo measure model.hef"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Check a Hailo accelerator and measure a HEF on it.",
    epilog=EXAMPLE,
)


class By(enum.StrEnum):
    """What measures."""

    benchmark = "benchmark"
    run = "run"
    run2 = "run2"
    api = "api"


@app.command(epilog="Example: edgesmith hailo check artifacts/mobilenetv2-baseline/hef/model.hef")
def check(
    hef: Annotated[Path | None, typer.Argument(help="A .hef file that is to run here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at chip, driver, library, firmware and PCIe link, and whether they take a HEF.

    Every fault comes with its remedy. Status 1 if there is one; what cannot be found out is no
    fault.
    """
    from edgesmith.hef import preflight
    from edgesmith.hef.read import read

    found = preflight.examine(None if hef is None else read(hef))
    faults = [finding for finding in found if finding.ok is False]
    if as_json:
        listed = [finding._asdict() for finding in found]
        typer.echo(json.dumps({"ok": not faults, "findings": listed}, indent=2))
    else:
        for finding in found:
            mark = {True: "ok", False: "fault", None: "unknown"}[finding.ok]
            typer.echo(f"{mark:<7}  {finding.what}" + (finding.remedy and f"; {finding.remedy}"))
    if faults:
        raise typer.Exit(1)


@app.command(epilog="Example: edgesmith hailo measure model.hef --seconds 15 --by api")
def measure(
    hef: Annotated[Path, typer.Argument(help="A .hef file.")],
    seconds: Annotated[int, typer.Option(min=1, help="How long each figure is taken.")] = 15,
    by: Annotated[
        By | None,
        typer.Option(
            help="hailortcli's benchmark (4.x), run or run2, or api: pyHailoRT, with percentiles. "
            "Not given: benchmark of HailoRT 4.x, run2 of 5.x."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure throughput and latency of a HEF by HailoRT's own tool or its Python API."""
    found = _by_api(hef, seconds) if by is By.api else _by_tool(hef, seconds, by)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for row in found:
        print_pairs({key: str(value) for key, value in row.items()})


def _by_api(hef: Path, seconds: int) -> list[dict[str, Any]]:
    from edgesmith.hef import speed

    return [{"by": "api", **speed.measure(hef, seconds).model_dump()}]


def _by_tool(hef: Path, seconds: int, by: By | None) -> list[dict[str, Any]]:
    from edgesmith.hef import hailortcli, preflight
    from edgesmith.hef.read import read

    read(hef)  # names the fault of a damaged file; the tool gives a status
    library = preflight.library_version()
    chosen = None if by is None else cast(hailortcli.By, by.value)
    rows = hailortcli.measure(hef, library, seconds, chosen)
    return [{"by": f"hailortcli {library}", **row.model_dump(exclude_none=True)} for row in rows]
