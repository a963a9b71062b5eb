"""`edgesmith bench`: latency, memory and load time of an artifact on this machine."""

# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgesmith import cli_remote
from edgesmith.cli_options import (
    ArtifactArgument,
    JsonOption,
    ProviderOption,
    ThreadsOption,
    print_pairs,
)

if TYPE_CHECKING:
    from edgesmith.bench.record import Bench

EXAMPLE = (
    "Example: edgesmith bench artifacts/mobilenetv2-qat/onnx --threads 2 "
    "--baseline artifacts/mobilenetv2-baseline/onnx"
)


def bench(
    artifact: ArtifactArgument,
    baseline: Annotated[
        Path | None,
        typer.Option(help="Artifact to measure in turns with it, for a speed-up with interval."),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Encoded image for the end-to-end figure (a 640×480 JPEG).")
    ] = None,
    threads: ThreadsOption = 1,
    provider: ProviderOption = ["cpu"],  # noqa: B006 (typer copies it)
    rounds: Annotated[int, typer.Option(min=1, help="Turns of artifact and baseline.")] = 5,
    device: cli_remote.DeviceOption = None,
    remote_python: cli_remote.PythonOption = None,
    remote_folder: cli_remote.FolderOption = cli_remote.FOLDER,
    remote_timeout: cli_remote.TimeoutOption = cli_remote.TIMEOUT_S,
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
    settings = Settings(threads=threads, providers=tuple(provider), rounds=rounds)
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
    if as_json:
        typer.echo(measured.model_dump_json(indent=2))
    else:
        described = fingerprint.describe(machine.fingerprint)
        print_pairs({"machine": described, **_describe_bench(measured, baseline is not None)})


def _describe_bench(measured: Bench, with_baseline: bool) -> dict[str, str]:
    latency, end_to_end = measured.latency_ms, measured.end_to_end_ms
    found = {
        "artifact": f"{measured.variant}.{measured.format} ({measured.precision})",
        "engine": f"{measured.runtime} on {measured.providers}, {measured.threads} thread(s)",
        "latency": (
            f"p50 {latency.p50:.3f} ms [{measured.latency_ms_ci95.low:.3f}, "
            f"{measured.latency_ms_ci95.high:.3f}], p90 {latency.p90:.3f}, p99 {latency.p99:.3f}"
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
        found["caution"] = "noisy: the two halves of the measurement differ by more than 5 %"
    return found
