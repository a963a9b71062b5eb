"""`edgesmith …`: the command line, on the build host and on the device.

Commands import what they need when they run, so that `--help` is instant and a device needs no
more than its runtime.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from edgesmith import (
    cli_bench,
    cli_devices,
    cli_events,
    cli_grouped,
    cli_hailo,
    cli_lint,
    cli_ncnn,
    cli_predict,
    cli_profile,
    cli_publish,
    cli_pull,
    cli_remote,
    cli_sensors,
    cli_serve,
    cli_service,
    cli_slim,
    cli_soak,
    cli_suite,
    cli_sync,
)
from edgesmith.cli_options import ArtifactArgument, JsonOption, print_pairs
from edgesmith.errors import EdgesmithError, RuntimeUnavailableError

if TYPE_CHECKING:
    from rich.table import Table

    from edgesmith.contract import Contract

# Read when numpy is imported: its wheel starts a thread per core for products of matrices, which no
# command computes. On two cores that took 0.1 of the 0.6 s of CPU until the first prediction.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class _Commands(TyperGroup):
    """Ends with one message on standard error and status 1 when a user can mend the cause."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EdgesmithError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From a trained vision model to small, fast, verified artifacts for every edge device.",
    rich_markup_mode=None,  # plain help reads the same in a log and on a serial console
)


@app.command(epilog="Example: edgesmith inspect artifacts/mobilenetv2-qat/onnx")
def inspect(artifact: ArtifactArgument, as_json: JsonOption = False) -> None:
    """Show what an artifact, or a Hailo executable (.hef), is, takes and gives."""
    if artifact.suffix == ".hef":
        from edgesmith.cli_hef import inspect_hef

        inspect_hef(artifact, as_json)
        return
    from edgesmith import contract as contracts

    contract = contracts.read(artifact)
    if as_json:
        typer.echo(contract.model_dump_json(indent=2))
    else:
        print_pairs(_describe_contract(contract))


@app.command(epilog="Example: edgesmith verify artifacts/mobilenetv2-qat/onnx && echo intact")
def verify(artifact: ArtifactArgument) -> None:
    """Check an artifact against its contract.

    Status 1 if a file is missing, extra, or of another content.
    """
    from edgesmith import contract as contracts

    contract = contracts.verify(artifact)
    typer.echo(f"{artifact}: {len(contract.files)} file(s) match the contract")


@app.command(epilog="Example: edgesmith compare")
def compare(
    folder: Annotated[
        Path, typer.Option(help="Checkout with params.yaml, metrics/ and devices/.")
    ] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Print the comparison that `dvc repro` measured."""
    _require_build_side("compare", "yaml")
    from edgesmith.device import fingerprint
    from edgesmith.params import load_params
    from edgesmith.report import compare as report
    from edgesmith.report import runtimes, sizes
    from edgesmith.report.cells import read_cells

    params = load_params(folder / "params.yaml")
    device = fingerprint.read(folder / "devices/host/device.json")
    cells = read_cells(params, folder / "metrics", device)
    if as_json:
        typer.echo(json.dumps(report.strategies(cells), indent=2))
        return
    for baseline, members in report.families(cells).items():
        rows = report.table_rows(members)
        _print_table(f"against {baseline}", report.headers(members), rows)
    for baseline, lines in sizes.find(cells, params).items():
        _print_table(f"sizes of {baseline}", sizes.HEADERS, sizes.table_rows(lines))
    compared = runtimes.read_runtimes(params.runtimes, folder / "metrics", device)
    for key, bench in compared.items():
        if bench.fingerprint == device.fingerprint_id:
            _print_table(f"{key} in every runtime", runtimes.HEADERS, runtimes.table_rows(bench))
    for line in [*runtimes.sentences(compared, device), *report.notes(cells, device)]:
        typer.echo(line.replace("`", "").replace("**", ""))


@app.command(epilog="Example: edgesmith doctor")
def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine can run and build, and how it is set up.

    And what to install for the rest, and which setting costs speed.
    """
    from edgesmith.device import doctor as checks

    found = checks.examine()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        print_pairs(found)


@app.command(epilog="Example: edgesmith overlay params/cifar10.yaml && dvc repro")
def overlay(
    file: Annotated[Path, typer.Argument(help="Overlay, such as params/cifar10.yaml.")],
    params: Annotated[Path, typer.Option(help="The file to change.")] = Path("params.yaml"),
) -> None:
    """Merge an overlay into params.yaml, keeping its comments.

    The result is checked first; a faulty one changes nothing.
    """
    _require_build_side("overlay", "ruamel.yaml")
    from edgesmith import overlay as overlays

    overlays.apply(file, params)
    typer.echo(f"{params}: merged {file}; `git diff {params}` shows what changed")


app.command(epilog=cli_devices.EXAMPLE)(cli_devices.devices)
app.command(epilog=cli_remote.EXAMPLE)(cli_remote.probe)
app.command(cls=cli_suite.Command, epilog=f"{cli_bench.EXAMPLE}; {cli_suite.EXAMPLE[9:]}")(
    cli_bench.bench
)
app.add_typer(cli_hailo.app, name="hailo")
app.command(epilog=cli_lint.EXAMPLE)(cli_lint.lint)
app.command(epilog=cli_predict.EXAMPLE)(cli_predict.predict)
app.command(epilog=cli_profile.EXAMPLE)(cli_profile.profile)
app.command(epilog=cli_publish.EXAMPLE)(cli_publish.publish)
app.command(epilog=cli_pull.EXAMPLE)(cli_pull.pull)
app.command(epilog=cli_pull.EXAMPLE_RELEASES)(cli_pull.releases)
app.command(epilog=cli_pull.EXAMPLE_ROLLBACK)(cli_pull.rollback)
app.command("ncnn-quantize", epilog=cli_ncnn.EXAMPLE)(cli_ncnn.ncnn_quantize)
app.command(epilog=cli_sensors.EXAMPLE)(cli_sensors.sensors)
app.command(epilog=cli_slim.EXAMPLE)(cli_slim.slim)
app.command(cls=cli_grouped.Command, epilog=cli_serve.EXAMPLE)(cli_serve.serve)
app.command("install-service", epilog=cli_service.EXAMPLE, context_settings=cli_service.CONTEXT)(
    cli_service.install_service
)
app.command(epilog=cli_soak.EXAMPLE)(cli_soak.soak)
app.command(epilog=cli_events.EXAMPLE)(cli_events.events)
app.command(epilog=cli_sync.EXAMPLE)(cli_sync.sync)


def _require_build_side(command: str, module: str) -> None:
    """Refuse a command that reads params.yaml where only the device side is installed."""
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package of a dotted name
        found = False
    if not found:
        raise RuntimeUnavailableError(
            f"`edgesmith {command}` is for the build host (no module {module} here); "
            "pip install edgesmith[build]"
        )


def _describe_contract(contract: Contract) -> dict[str, str]:
    spec, parity = contract.input, contract.parity
    shape = "×".join("N" if size < 0 else str(size) for size in spec.shape)
    sqnr = "identical" if parity.sqnr_db is None else f"SQNR {parity.sqnr_db:.1f} dB"
    return {
        "variant": f"{contract.variant} (model {contract.model}, parent {contract.parent})",
        "task": f"{contract.task}, {len(contract.labels)} labels",
        "format": f"{contract.format}, {contract.precision}, for {contract.target}",
        "input": f"{spec.name}: {shape} {spec.layout} {spec.dtype} {spec.preprocess.colour}",
        "preprocessing": (
            f"{spec.preprocess.resize}, {spec.preprocess.interpolation}, mean "
            f"{list(spec.preprocess.mean)}, std {list(spec.preprocess.std)}"
            + (", inside the network" if spec.normalised_inside else "")
        ),
        "outputs": ", ".join(f"{out.name}: {out.meaning} {out.dtype}" for out in contract.outputs),
        **_describe_boxes(contract),
        "size": f"{sum(file.size_bytes for file in contract.files.values()) / 1e6:.3f} MB",
        "parameters": f"{contract.params:,}",
        "MACs": f"{contract.macs:,}",
        "parity": (
            f"against {parity.against} on {parity.images} images: {sqnr}, agreement "
            f"{parity.agreement:.3f}, largest difference {parity.max_abs_diff:.3g}"
        ),
        "made with": ", ".join(f"{tool} {version}" for tool, version in contract.tools.items()),
        "files": ", ".join(contract.files),
    }


def _describe_boxes(contract: Contract) -> dict[str, str]:
    rule = contract.boxes
    if rule is None:
        return {}
    nms = (
        "" if rule.head == "one-to-one" else f", overlap of a class at most {rule.iou_threshold:g}"
    )
    return {
        "boxes": f"{rule.head} head, score of at least {rule.score_threshold:g}{nms}, "
        f"{rule.max_detections} at most"
    }


def _print_table(title: str, headers: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """The whole table where it fits or no one sees the edge; else the main figures alone."""
    from rich.console import Console

    console = Console()
    whole = _table(title, headers, rows)
    width = console.measure(whole, options=console.options.update(max_width=10_000)).maximum
    if not console.is_terminal:
        console.width = max(console.width, width)
    if width <= console.width:
        console.print(whole)
    else:
        console.print(_table(title, _main_figures(headers), [_main_figures(row) for row in rows]))


def _main_figures(row: tuple[str, ...]) -> tuple[str, ...]:
    """Variant, format, accuracy, change, size, ratio, p50 and speed-up, without intervals."""
    return tuple(row[column].split(" [")[0].split(" /")[0] for column in (0, 1, 3, 4, 5, 6, 9, 10))


def _table(title: str, headers: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, header in enumerate(headers):
        # Names are read from the left, figures compared by their right ends.
        table.add_column(header, justify="left" if number < 2 else "right")
    for row in rows:
        table.add_row(*row)
    return table
