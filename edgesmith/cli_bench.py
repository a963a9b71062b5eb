"""`edgesmith bench`: latency, memory and load time of an artifact on this machine."""

# ruff: noqa: PLC0415

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesmith import cli_remote
from edgesmith.cli_options import (
    JsonOption,
    ProviderOption,
    ThreadsOption,
    print_pairs,
)
from edgesmith.errors import RuntimeUnavailableError

if TYPE_CHECKING:
    from edgesmith.bench.process import Loadable, Settings
    from edgesmith.bench.record import Bench

EXAMPLE = (
    "Example: edgesmith bench artifacts/mobilenetv2-qat/onnx --threads 2 "
    "--baseline artifacts/mobilenetv2-baseline/onnx"
)


Output = Annotated[Path | None, typer.Option(help="Write the JSON to this file.")]


def bench(
    artifacts: Annotated[
        list[Path], typer.Argument(help="Folders of artifacts; several take turns in one run.")
    ],
    baseline: Annotated[
        Path | None,
        typer.Option(help="Artifact to measure in turns with it, for a speed-up with interval."),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Encoded image for the end-to-end figure (a 640×480 JPEG).")
    ] = None,
    threads: ThreadsOption = 1,
    provider: ProviderOption = [],  # noqa: B006 (typer copies it)
    rounds: Annotated[int, typer.Option(min=1, help="Turns of artifact and baseline.")] = 5,
    max_rounds: Annotated[
        int | None,
        typer.Option(min=0, help="More while they disagree, up to so many (default: three times)."),
    ] = None,
    device: cli_remote.DeviceOption = None,
    remote_python: cli_remote.PythonOption = None,
    remote_folder: cli_remote.FolderOption = cli_remote.FOLDER,
    remote_timeout: cli_remote.TimeoutOption = cli_remote.TIMEOUT_S,
    percentile: Annotated[
        str, typer.Option(help="p90 or p99: as many runs as MLPerf asks for to state it.")
    ] = "p90",
    batch: Annotated[
        int, typer.Option(min=1, help="Images per call, where the artifact's batch is free.")
    ] = 1,
    sweep_threads: Annotated[
        str, typer.Option(help="Counts such as 1,2,4: the artifact with each, in turns.")
    ] = "",
    streams: Annotated[
        int, typer.Option(min=0, help="So many processes at once: images per second of all.")
    ] = 0,
    plot: Annotated[
        Path | None, typer.Option(help="PNG of the sweep over threads (needs matplotlib).")
    ] = None,
    output: Output = None,
    as_json: JsonOption = False,
) -> None:
    """Measure latency, memory and load time in a fresh process, here or on a device."""
    from edgesmith.bench.measure import Settings, measure_pair
    from edgesmith.device import fingerprint
    from edgesmith.preprocess import read_image

    frame = None
    if image is not None:
        read_image(image)  # names the file if it is damaged; the worker could not
        frame = image.read_bytes()
    if percentile not in ("p90", "p99"):
        raise typer.BadParameter("p90 or p99", param_hint="--percentile")
    if plot and not sweep_threads:
        raise typer.BadParameter("draws a sweep: add --sweep-threads 1,2,4", param_hint="--plot")
    settings = Settings(
        threads=threads,
        providers=tuple(provider),
        rounds=rounds,
        max_rounds=3 * rounds if max_rounds is None else max_rounds,
        percentile="p99" if percentile == "p99" else "p90",
    )
    several = bool(sweep_threads) or len(artifacts) > 1 or batch > 1
    if device is not None and (several or streams):
        raise typer.BadParameter(
            "measures one artifact, with or without a baseline: leave out --sweep-threads, "
            "--streams, --batch and further artifacts",
            param_hint="--device",
        )
    if streams:
        _bench_streams(artifacts, streams, batch, settings, frame, output, as_json)
        return
    if several:
        networks, reference = _networks(artifacts, baseline, sweep_threads, batch)
        _bench_several(networks, reference, settings, frame, plot, output, as_json)
        return
    artifact = artifacts[0]
    if device is not None:
        measured, machine = cli_remote.bench(
            cli_remote.target_of(device, remote_python),
            artifact,
            baseline or artifact,
            settings,
            frame,
            cli_remote.options_of(remote_folder, remote_timeout),
        )
    else:
        machine = fingerprint.probe("here")
        measured = measure_pair(
            artifact,
            baseline or artifact,
            settings,
            device=machine.name,
            fingerprint=machine.fingerprint_id,
            frame=frame,
        )
    _save(measured.model_dump(mode="json"), output)
    if as_json:
        typer.echo(measured.model_dump_json(indent=2))
    else:
        described = fingerprint.describe(machine.fingerprint)
        print_pairs({"machine": described, **_describe_bench(measured, baseline is not None)})


def _networks(
    artifacts: list[Path], baseline: Path | None, sweep_threads: str, batch: int
) -> tuple[list[Loadable], int]:
    """What takes turns, and which of them the others are compared with."""
    from edgesmith.bench.process import Loadable

    if sweep_threads:
        if len(artifacts) > 1:
            raise typer.BadParameter("takes one artifact", param_hint="--sweep-threads")
        counts = sweep_threads.split(",")
        if not all(count.strip().isdigit() and int(count) for count in counts):
            raise typer.BadParameter("counts such as 1,2,4", param_hint="--sweep-threads")
        return [Loadable(artifacts[0], threads=int(n), batch=batch) for n in counts], 0
    paths = [path.resolve() for path in artifacts]
    named = (baseline or artifacts[0]).resolve()
    if named not in paths:
        artifacts, paths = [*artifacts, named], [*paths, named]
    return [Loadable(path, batch=batch) for path in artifacts], paths.index(named)


def _bench_several(
    networks: list[Loadable],
    reference: int,
    settings: Settings,
    frame: bytes | None,
    plot: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    from edgesmith.bench.measure import measure_networks
    from edgesmith.device import fingerprint
    from edgesmith.throughput import tables

    if plot and importlib.util.find_spec("matplotlib") is None:
        raise RuntimeUnavailableError(
            "--plot draws with matplotlib, which is not installed here; pip install matplotlib, "
            "or draw elsewhere from --output"
        )
    device = fingerprint.probe("here")
    found = measure_networks(
        networks,
        reference,
        settings,
        device=device.name,
        fingerprint=device.fingerprint_id,
        frame=frame,
    )
    records = [bench.model_dump(mode="json") for bench in found]
    _save(records, output)
    if plot:
        from edgesmith.report import sweep_plot

        sweep_plot.write(found, plot)
    if as_json:
        typer.echo(json.dumps(records, indent=2))
        return
    typer.echo(fingerprint.describe(device.fingerprint))
    swept = any(network.threads for network in networks)
    headers, rows = (
        (tables.SWEPT, tables.swept(found)) if swept else (tables.COMPARED, tables.compared(found))
    )
    columns = list(zip(headers, *rows, strict=True))
    widths = [max(len(text) for text in column) for column in columns]
    for row in (headers, *rows):
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


def _bench_streams(
    artifacts: list[Path],
    streams: int,
    batch: int,
    settings: Settings,
    frame: bytes | None,
    output: Path | None,
    as_json: bool,
) -> None:
    from edgesmith.bench.process import Loadable
    from edgesmith.throughput.streams import measure_streams

    if len(artifacts) > 1:
        raise typer.BadParameter("takes one artifact", param_hint="--streams")
    network = Loadable(artifacts[0], batch=batch)
    alone = measure_streams(network, streams, settings, frame)
    whole = measure_streams(network, streams, settings, frame, "end_to_end")
    records = {"infer": alone.model_dump(mode="json"), "end_to_end": whole.model_dump(mode="json")}
    _save(records, output)
    if as_json:
        typer.echo(json.dumps(records, indent=2))
        return
    for name, found in (("network", alone), ("end to end", whole)):
        typer.echo(
            f"{name}: {found.fps:.1f} images/s [{found.fps_ci95.low:.1f}, "
            f"{found.fps_ci95.high:.1f}] of {found.streams} streams with {found.threads} "
            "thread(s), "
            f"{found.scaling:.2f} times one stream [{found.scaling_ci95.low:.2f}, "
            f"{found.scaling_ci95.high:.2f}]"
        )


def _save(records: Any, output: Path | None) -> None:
    from edgesmith import files

    if output is not None:
        files.write_json(output, records)


def _describe_bench(measured: Bench, with_baseline: bool) -> dict[str, str]:
    latency, end_to_end = measured.latency_ms, measured.end_to_end_ms
    found = {
        "artifact": f"{measured.variant}.{measured.format} ({measured.precision})",
        "engine": f"{measured.runtime} on {measured.providers}, {measured.threads} thread(s)",
        "latency": (
            f"p50 {latency.p50:.3f} ms [{measured.latency_ms_ci95.low:.3f}, "
            f"{measured.latency_ms_ci95.high:.3f}], p90 {latency.p90:.3f}, p99 {latency.p99:.3f}"
            f" ({measured.runs} runs back a {measured.stated})"
        ),
        "end to end": (
            f"p50 {end_to_end.p50:.3f} ms, p90 {end_to_end.p90:.3f}, p99 {end_to_end.p99:.3f}"
        ),
        "frames": f"{measured.fps:.1f} per second",
        "load": f"{measured.load_ms:.1f} ms, first inference {measured.first_ms:.2f} ms",
        "memory": f"{measured.rss_mb:.0f} MB at the peak",
        "runs": f"{measured.runs} in {measured.rounds} rounds, warm-up {measured.warmup_runs}",
    }
    if with_baseline:
        found["speed-up"] = (
            f"{measured.speedup_vs_baseline:.2f}× [{measured.speedup_ci95.low:.2f}, "
            f"{measured.speedup_ci95.high:.2f}] over {measured.baseline}"
        )
    if measured.noisy:
        found["caution"] = "noisy: another measurement may give a p50 more than 3 % away"
    if measured.throttled_rounds:
        found["throttled"] = (
            f"{measured.throttled_rounds} round(s), {measured.retried} repeated without"
        )
    if measured.power_w is not None:
        found["power"] = (
            f"{measured.power_w:.2f} W, {measured.fps_per_watt or 0:.1f} images/s per W"
        )
    return found
