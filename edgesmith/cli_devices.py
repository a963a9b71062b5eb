"""`edgesmith devices`: what is known of each device, published and measured, side by side."""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli_options import JsonOption, print_pairs

if TYPE_CHECKING:
    from rich.table import Table

    from edgesmith.device.catalogue.entry import Entry, Figure, Source
    from edgesmith.device.measured import Measured, OnDevice

EXAMPLE = "Example: edgesmith devices; edgesmith devices rpi5; edgesmith devices --here"

_HEADERS = (
    *("device", "CPU", "accelerator", "RAM, GB", "TDP, W"),
    *("published by others", "source", "measured: fastest", "cells", "machine"),
)
_OTHER = "another machine's"


def devices(
    name: Annotated[str | None, typer.Argument(help="One device in full, such as rpi5.")] = None,
    here: Annotated[
        bool, typer.Option("--here", help="Say which of them this machine is.")
    ] = False,
    cells: Annotated[
        bool,
        typer.Option("--cells", help="Write devices/NAME/cells.yaml: all that it can run."),
    ] = False,
    folder: Annotated[
        Path, typer.Option(help="Checkout with metrics/ and devices/, of what was measured.")
    ] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Compare devices: hardware, figures that others published, figures measured with edgesmith.

    The two kinds of figures are of other networks, settings and dates, and stand apart.
    """
    from edgesmith.device import measured
    from edgesmith.device.catalogue import reader

    if here:
        _print_here(as_json)
    elif name is None:
        found = {
            key: (entry, measured.read(key, folder)) for key, entry in reader.read_all().items()
        }
        if as_json:
            typer.echo(json.dumps({key: _json(*pair) for key, pair in found.items()}, indent=2))
        else:
            _print_overview(found)
    elif cells:
        _write_cells(reader.read(name), folder)
    else:
        entry, on_device = reader.read(name), measured.read(name, folder)
        if as_json:
            typer.echo(json.dumps(_json(entry, on_device), indent=2))
        else:
            _print_one(entry, on_device)


def _print_here(as_json: bool) -> None:
    from edgesmith.device import fingerprint, recognise

    machine = fingerprint.fingerprint()
    names = recognise.names_of(machine)
    if as_json:
        known = {"devices": names, "fingerprint_id": fingerprint.fingerprint_id(machine)}
        typer.echo(json.dumps(known | {"fingerprint": machine}, indent=2))
    else:
        typer.echo(f"{', '.join(names)}: {fingerprint.describe(machine)}")


def _write_cells(entry: Entry, folder: Path) -> None:
    import yaml

    from edgesmith import files
    from edgesmith.params import load_params
    from edgesmith.report.device_cells import cells_of

    found = cells_of(entry, load_params(folder / "params.yaml"), folder)
    path = folder / "devices" / entry.name / "cells.yaml"
    groups = {"cells": found.cells, "accelerated": found.accelerated}
    body = yaml.safe_dump(groups, sort_keys=False, default_flow_style=None, width=200)
    files.write_text(path, f"# What is measured on {entry.name}: one line per artifact.\n{body}")
    typer.echo(
        f"{path}: {sum(map(len, groups.values()))} cells; take out what you do not need, then"
    )
    typer.echo(f"dvc repro {path.with_name('dvc.yaml')}")
    for line in found.left_out:
        typer.echo(f"left out: {line}", err=True)


def _print_overview(found: dict[str, tuple[Entry, OnDevice]]) -> None:
    sources: list[Source] = []
    rows = []
    for name, (entry, on_device) in found.items():
        headline = entry.published[0] if entry.published else None
        if headline and entry.sources[headline.source] not in sources:
            sources.append(entry.sources[headline.source])
        fastest = next((cell for cell in on_device.cells if cell.current), None)
        number = sources.index(entry.sources[headline.source]) + 1 if headline else 0
        rows.append(
            (
                *(name, entry.cpu, entry.accelerator.name if entry.accelerator else ""),
                *(_range(entry.ram_gb), f"{entry.tdp_w:g}" if entry.tdp_w else ""),
                *(_figure(headline) if headline else "", f"[{number}]" if number else ""),
                *(_fastest(fastest), _count(on_device.cells), _machine(on_device)),
            )
        )
    _print_table(_HEADERS, rows)
    for number, source in enumerate(sources, 1):
        typer.echo(f"[{number}] {_source(source)}")
    typer.echo(
        "Published figures are of other networks and settings; nothing of them was measured here."
    )


def _print_one(entry: Entry, on_device: OnDevice) -> None:
    accelerator, limits = entry.accelerator, entry.thermal
    degrees = [
        f"{value:g} °C {what}"
        for what, value in (
            ("warning", limits.soft_c),
            ("slowed", limits.throttle_c),
            ("off", limits.critical_c),
        )
        if value is not None
    ]
    tops = f", {accelerator.tops:g} TOPS" if accelerator and accelerator.tops else ""
    print_pairs(
        {
            "device": f"{entry.name}: {entry.title}",
            "CPU": entry.cpu,
            "accelerator": f"{accelerator.name}{tops}" if accelerator else "none",
            "RAM": f"{_range(entry.ram_gb)} GB" if entry.ram_gb else "that of its host",
            "TDP": f"{entry.tdp_w:g} W" if entry.tdp_w else "not published",
            "limits": "; ".join([", ".join(degrees), limits.note] if degrees else [limits.note]),
            "recognised by": ", ".join(f"{k} ~ {v}" for k, v in entry.recognise.items())
            or "any machine",
        }
    )
    typer.echo("\nformats, best first")
    for taken in entry.formats:
        precisions = ", ".join(taken.precisions)
        typer.echo(f"  {taken.format} ({precisions}) by {taken.runtime}: {taken.why}")
    typer.echo("\nsettings")
    for setting in entry.settings:
        typer.echo(f"  {setting.name}: {setting.why}\n    $ {setting.command}")
    typer.echo("\npublished by others, not measured here")
    known = list(entry.sources)
    for figure in entry.published:
        typer.echo(f"  {_figure(figure)} [{known.index(figure.source) + 1}]")
    for number, source in enumerate(entry.sources.values(), 1):
        typer.echo(f"  [{number}] {_source(source)}")
    typer.echo("\nmeasured with edgesmith")
    for cell in on_device.cells:
        mark = "" if cell.current else f", {_OTHER}"
        typer.echo(f"  {_fastest(cell)} ({cell.bench.fingerprint}{mark})")
    if not on_device.cells:
        typer.echo(f"  nothing yet: docs/devices, or dvc repro devices/{entry.name}/dvc.yaml")


def _json(entry: Entry, on_device: OnDevice) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude_none=True) | {
        "measured_by": on_device.device.model_dump(mode="json") if on_device.device else None,
        "measured": [
            {
                "variant": cell.bench.variant,
                "format": cell.bench.format,
                "precision": cell.bench.precision,
                "latency_ms_p50": cell.bench.latency_ms.p50,
                "fps": cell.bench.fps,
                "fingerprint": cell.bench.fingerprint,
                "current": cell.current,
            }
            for cell in on_device.cells
        ],
    }


def _figure(figure: Figure) -> str:
    unit = "FPS" if figure.unit == "fps" else "ms"
    about = "~" if figure.note.startswith("about") else ""
    size = figure.input.replace("x", "×")
    batch = f"batch {figure.batch}" if figure.batch > 1 else ""
    note = figure.note.removeprefix("about").lstrip("; ")
    details = [size, figure.precision.upper(), batch, figure.runtime, note]
    said = ", ".join(detail for detail in details if detail)
    return f"{figure.model} {about}{figure.value:g} {unit} ({said})"


def _source(source: Source) -> str:
    return ", ".join(part for part in (source.title, source.date, source.url) if part)


def _fastest(cell: Measured | None) -> str:
    if cell is None:
        return ""
    bench = cell.bench
    return f"{bench.variant}.{bench.format} {bench.latency_ms.p50:.2f} ms, {bench.fps:.0f} FPS"


def _count(cells: list[Measured]) -> str:
    stale = sum(not cell.current for cell in cells)
    if not cells:
        return ""
    return f"{len(cells) - stale}" + (f" + {stale} {_OTHER}" if stale else "")


def _machine(on_device: OnDevice) -> str:
    return on_device.device.fingerprint_id if on_device.device else ""


def _range(values: tuple[float, ...]) -> str:
    return "/".join(f"{value:g}" for value in values)


def _print_table(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """The whole table where it fits or no one sees the edge; else names and figures alone."""
    from rich.console import Console

    # Square brackets would be markup otherwise, and they are numbers of sources here.
    console = Console(markup=False)
    whole = _table(headers, rows)
    width = console.measure(whole, options=console.options.update(max_width=10_000)).maximum
    if not console.is_terminal:
        console.width = max(console.width, width)
    if width <= console.width:
        console.print(whole)
    else:
        console.print(_table(_figures(headers), [_figures(row) for row in rows]))


def _figures(row: tuple[str, ...]) -> tuple[str, ...]:
    return row[0], *row[5:]


def _table(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for header in headers:
        table.add_column(header)
    for row in rows:
        table.add_row(*row)
    return table
