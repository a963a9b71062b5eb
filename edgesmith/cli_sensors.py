"""`edgesmith sensors`: what this machine can measure of itself, and what it says now."""

# ruff: noqa: PLC0415

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith.cli_options import JsonOption, print_pairs

if TYPE_CHECKING:
    from edgesmith.device.sensors.find import Sensors
    from edgesmith.device.sensors.recorder import Reading, Recorder

EXAMPLE = "Example: edgesmith sensors --watch 2; edgesmith sensors --meter meter://10.0.0.9:5025"
MeterOption = Annotated[
    str | None,
    typer.Option(
        help="External power meter, meter://host:port, that sends `unix_seconds,watts` lines."
    ),
]
_UNITS = {"temperature_c": "°C", "clock_mhz": "MHz", "power_w": "W"}
# Two looks are this far apart: a counter of energy has no power of a moment.
_LOOK_SECONDS = 0.5


def sensors(
    watch: Annotated[
        float | None, typer.Option(min=0.1, help="Print a line every so many seconds; Ctrl-C ends.")
    ] = None,
    meter: MeterOption = None,
    root: Annotated[
        Path, typer.Option(help="Where the file system of the machine begins.", hidden=True)
    ] = Path("/"),
    as_json: JsonOption = False,
) -> None:
    """Show temperature, clock, throttling and power.

    Which sensor gives each, its value now and what it does not see; for what is absent the reason
    and the remedy.
    """
    from edgesmith.device.sensors.find import find
    from edgesmith.device.sensors.recorder import Recorder

    with find(root, meter) as found:
        recorder = Recorder(found)
        if watch is not None:
            _watch(recorder, watch, as_json)
            return
        reading = _look(recorder)
        content = _describe(found, reading, recorder.failed)
        if as_json:
            typer.echo(json.dumps(content, indent=2))
        else:
            print_pairs(_as_pairs(content))


def _watch(recorder: Recorder, seconds: float, as_json: bool) -> None:
    import time

    recorder.look()
    try:
        while True:
            time.sleep(seconds)
            reading = recorder.look()
            entry = _entry(reading)
            typer.echo(json.dumps(entry) if as_json else _line(entry))
    except KeyboardInterrupt:
        return


def _look(recorder: Recorder) -> Reading:
    import time

    recorder.look()
    time.sleep(_LOOK_SECONDS)
    return recorder.look()


def _entry(reading: Reading) -> dict[str, Any]:
    """A reading for a script: time of day, figures rounded, null where there is none."""
    import time

    figures = {name: getattr(reading, name) for name in _UNITS}
    return {
        "time": time.strftime("%H:%M:%S"),
        **{k: None if v is None else round(v, 2) for k, v in figures.items()},
        "throttled": reading.throttled,
        "reasons": list(reading.reasons),
    }


def _line(entry: dict[str, Any]) -> str:
    parts = [
        f"{entry[name]:8.2f} {unit}" if entry[name] is not None else f"{'–':>8} {unit}"
        for name, unit in _UNITS.items()
    ]
    return f"{entry['time']}  {'  '.join(parts)}  {_throttling(entry)}"


def _throttling(entry: dict[str, Any]) -> str:
    if entry["throttled"] is None:
        return "throttling unknown"
    return ", ".join(entry["reasons"]) or "not throttled"


def _describe(found: Sensors, reading: Reading, failed: dict[str, str]) -> dict[str, Any]:
    entry = _entry(reading)
    return {
        "now": {**entry, "governor": found.governor},
        "sensors": found.describe(),
        "temperatures": [gauge.name for gauge in found.temperatures],
        "absent": {**failed, **found.absent},
    }


def _as_pairs(content: dict[str, Any]) -> dict[str, str]:
    now, names, absent = content["now"], content["sensors"], content["absent"]
    pairs: dict[str, str] = {}
    for quantity, field in zip(("temperature", "clock", "power"), _UNITS, strict=True):
        if now[field] is not None:
            pairs[quantity] = f"{now[field]:g} {_UNITS[field]} ({names[quantity]})"
    if now["governor"]:
        pairs["governor"] = now["governor"]
    if now["throttled"] is not None:
        pairs["throttling"] = f"{_throttling(now)} ({names['throttling']})"
    if len(content["temperatures"]) > 1:
        pairs["thermometers"] = ", ".join(content["temperatures"])
    return {**pairs, **{f"no {quantity}": reason for quantity, reason in absent.items()}}
