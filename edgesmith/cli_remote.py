"""Options of commands that may run on another machine, and `edgesmith probe`."""

# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesmith.cli_options import JsonOption, print_pairs

if TYPE_CHECKING:
    from edgesmith.bench.measure import Settings
    from edgesmith.device.fingerprint import Device
    from edgesmith.remote.measure import Measured
    from edgesmith.remote.options import Options
    from edgesmith.remote.target import Target

DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="ssh://user@host[:port]",
        help="Do it on this machine, over SSH (docs/ssh.md); default: here.",
    ),
]
PythonOption = Annotated[
    str | None,
    typer.Option(help="Python on the device, such as ~/edgesmith/bin/python. Default: python3."),
]
FolderOption = Annotated[
    str, typer.Option(help="Work folder on the device; what is put there is removed.")
]
TimeoutOption = Annotated[
    float, typer.Option(min=1, help="Seconds after which a lost device or job is given up.")
]
FOLDER = "~/.cache/edgesmith/remote"
TIMEOUT_S = 1800.0

EXAMPLE = "Example: edgesmith probe --device ssh://pi@raspberrypi.local --name rpi5 --json"


def target_of(device: str, python: str | None) -> Target:
    """The target that the options name."""
    from edgesmith.remote.target import parse

    target = parse(device)
    return target if python is None else target._replace(python=python)


def options_of(folder: str, timeout_s: float) -> Options:
    """How the device is used, from the options."""
    from edgesmith.remote.options import Options

    return Options(folder=folder, timeout_s=timeout_s)


def bench(
    target: Target,
    artifact: Path,
    baseline: Path,
    settings: Settings,
    frame: bytes | None,
    options: Options,
) -> Measured:
    """The measurement of `edgesmith bench` on the device."""
    from edgesmith.remote.measure import measure

    return measure(
        target,
        artifact,
        baseline,
        settings,
        device_name=target.host,
        frame=frame,
        options=options,
    )


def probe(
    device: DeviceOption = None,
    name: Annotated[
        str, typer.Option(help="Name of the device's folder in devices/, for its record.")
    ] = "here",
    remote_python: PythonOption = None,
    remote_folder: FolderOption = FOLDER,
    remote_timeout: TimeoutOption = TIMEOUT_S,
    as_json: JsonOption = False,
) -> None:
    """Say what a machine is, as far as measurements depend on it.

    With --json the record that devices/<name>/device.json holds.
    """
    found = _probe(device, name, remote_python, options_of(remote_folder, remote_timeout))
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        print_pairs({"name": found.name, "id": found.fingerprint_id, **found.fingerprint})


def _probe(device: str | None, name: str, python: str | None, options: Options) -> Device:
    if device is None:
        from edgesmith.device import fingerprint

        return fingerprint.probe(name)
    from edgesmith.remote.probe import probe as probe_there

    return probe_there(target_of(device, python), name, options=options)
