"""`edgesmith soak`: an artifact run for minutes or hours, and what heat makes of it."""

# ruff: noqa: PLC0415

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesmith.cli_options import JsonOption, ProviderOption, ThreadsOption, print_pairs
from edgesmith.cli_sensors import MeterOption
from edgesmith.errors import ContractError

if TYPE_CHECKING:
    from edgesmith.soak.rows import Recording, Row
    from edgesmith.soak.summary import Phase, Summary

EXAMPLE = (
    "Example: edgesmith soak artifacts/mobilenetv2-qat/onnx --minutes 10 --threads 4 --out warm; "
    "edgesmith soak --plot warm"
)
_PICTURE = "soak.png"
# A log need not have a line for every row.
_LOG_SECONDS = 30.0


def soak(
    artifact: Annotated[
        Path | None, typer.Argument(help="Folder of an artifact, such as artifacts/mine/onnx.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="How long to run.")] = 10.0,
    threads: ThreadsOption = 1,
    provider: ProviderOption = [],  # noqa: B006 (typer copies it)
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds of one row.")] = 2.0,
    out: Annotated[
        Path | None, typer.Option(help="New folder (default: soak/<variant>.<format>-<time>).")
    ] = None,
    meter: MeterOption = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Run nothing: summarise and draw the run in this folder, even a killed one."
        ),
    ] = None,
    root: Annotated[
        Path, typer.Option(help="Where the machine's file system begins.", hidden=True)
    ] = Path("/"),
    as_json: JsonOption = False,
) -> None:
    """Run an artifact without pause and watch temperature, clock, throttling, power and memory.

    Rows are on the disk as they are measured: a kill or a power cut keeps them. Ctrl-C ends the
    run with a summary. The summary compares the first minute with the steady state, the last third.
    """
    if (artifact is None) == (plot is None):
        raise ContractError("edgesmith soak takes an artifact to run, or --plot FOLDER of a run")
    if plot is not None:
        _again(plot, as_json)
    elif artifact is not None:
        from edgesmith.device.sensors.find import find
        from edgesmith.soak import rows, run

        target = out or _new_folder(artifact)
        with find(root, meter) as sensors:
            plan = run.Plan(minutes, interval, threads, tuple(provider))
            progress = _Progress(minutes)
            try:
                found = run.soak(artifact, plan, sensors, target, progress)
            finally:
                progress.end()
        _show(rows.read(target), found, target, as_json)


def _again(folder: Path, as_json: bool) -> None:
    """Summary and picture of a run that is over, from its rows."""
    from edgesmith.errors import DataError
    from edgesmith.soak import rows, run, summary

    recording = rows.read(folder)
    if not recording.rows:
        raise DataError(f"{folder}: no row: the run ended within its first interval")
    ended = "killed: the run left no summary"
    if (folder / summary.NAME).is_file():
        ended = summary.read(folder).ended
    _show(recording, run.close(folder, recording, ended), folder, as_json)


def _show(recording: Recording, found: Summary, folder: Path, as_json: bool) -> None:
    picture = _draw(recording, folder)
    if as_json:
        typer.echo(found.model_dump_json(indent=2, exclude_none=True))
        return
    from edgesmith.soak import summary

    _print_table(*summary.table(recording.rows))
    print_pairs({**_pairs(found), "written": f"{folder} ({picture})"})


def _draw(recording: Recording, folder: Path) -> str:
    """Draw where matplotlib is; what was drawn, or how to do it later."""
    from edgesmith import files

    try:
        from edgesmith.soak.plot import soak_png
    except ModuleNotFoundError:
        return (
            "no matplotlib here: copy the folder to the build host and draw it there with "
            f"`edgesmith soak --plot {folder.name}`"
        )
    files.write_bytes(folder / _PICTURE, soak_png(recording))
    return f"rows, summary and {_PICTURE}"


def _pairs(found: Summary) -> dict[str, str]:
    bounds = found.fps_change_ci95
    interval = f" [{100 * bounds.low:+.1f}, {100 * bounds.high:+.1f}]" if bounds else ""
    pairs = {
        "run": f"{found.variant}.{found.format}, {found.runtime}, {found.threads} thread(s)",
        "ended": f"{found.ended} after {found.seconds:.0f} s, {found.inferences} inferences",
        "first minute": _phase(found.first_minute),
        "steady state": _phase(found.steady),
        "change": f"{100 * found.fps_change:+.1f} %{interval} in throughput",
        "memory": f"{found.rss_growth_mb:+.1f} MB from the first minute to the steady state",
    }
    if found.temperature_c_max is not None:
        pairs["temperature"] = f"{found.temperature_c_max:.1f} °C at most{_settled(found)}"
    if found.throttled_share is not None:
        reasons = ", ".join(f"{why} {part:.0%}" for why, part in found.throttle_reasons.items())
        pairs["throttled"] = f"{found.throttled_share:.0%} of the time" + (
            f" ({reasons})" if reasons else ""
        )
    return {**pairs, **{f"no {quantity}": reason for quantity, reason in found.absent.items()}}


def _settled(found: Summary) -> str:
    slope = found.temperature_slope_c_per_minute
    if slope is None:
        return ""
    if found.settled:
        return f", settled ({slope:+.2f} °C a minute at the end)"
    return f", NOT settled ({slope:+.2f} °C a minute at the end): run for longer"


def _phase(phase: Phase) -> str:
    text = f"{phase.fps:.1f}/s, p50 {phase.p50_ms:.3f} ms, p99 {phase.p99_ms:.3f}"
    if phase.temperature_c is not None:
        text += f", {phase.temperature_c:.1f} °C"
    if phase.power_w is not None:
        text += f", {phase.power_w:.2f} W, {phase.fps_per_watt} per second and watt"
    return f"{text} ({phase.from_s:.0f}–{phase.to_s:.0f} s)"


def _print_table(headers: tuple[str, ...], lines: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(headers, *lines, strict=True)]
    for line in (headers, *lines):
        typer.echo("  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)))
    typer.echo()


def _new_folder(artifact: Path) -> Path:
    from edgesmith import contract as contracts

    contract = contracts.read(artifact)
    return Path("soak") / f"{contract.variant}.{contract.format}-{time.strftime('%Y%m%d-%H%M%S')}"


class _Progress:
    """One line on standard error: renewed with each row on a terminal, now and then in a log."""

    def __init__(self, minutes: float) -> None:
        import sys

        self._seconds = 60 * minutes
        self._terminal = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, row: Row) -> None:
        if not self._terminal and row.elapsed_s < self._next:
            return
        self._next = row.elapsed_s + _LOG_SECONDS
        heat = "" if row.temperature_c is None else f", {row.temperature_c:.1f} °C"
        slow = f", {', '.join(row.throttle_reasons)}" if row.throttled else ""
        text = f"{row.elapsed_s:6.0f} of {self._seconds:.0f} s: {row.fps:.1f}/s{heat}{slow}"
        typer.echo(f"\r{text:<79}" if self._terminal else text, err=True, nl=not self._terminal)

    def end(self) -> None:
        """Leave the line that was renewed."""
        if self._terminal:
            typer.echo(err=True)
