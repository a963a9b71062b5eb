"""A folder as `dvc repro` leaves it: params.yaml, device record and metrics of invented cells."""

from pathlib import Path

from edgesmith.bench import record as bench_record
from edgesmith.bench.record import (
    Bench,
    EndToEndLatency,
    ModelLatency,
    RuntimeCell,
    RuntimesBench,
)
from edgesmith.device import fingerprint
from edgesmith.device.fingerprint import Device
from edgesmith.intervals import Bounds
from edgesmith.report import accuracy
from edgesmith.report.accuracy import Accuracy, wilson_interval

IMAGES = 1000

PARAMS = """\
# Read by every stage.
seed: 0
build_threads: 1
datasets:
  signs: {source: signs, path: "", size: 64, calibration: 32}  # the default
models:
  net:
    task: classify
    architecture: mobilenet_v2
    dataset: signs
    input: &input {height: 64, width: 64, mean: [127, 127, 127], std: [128, 128, 128]}
  net-narrow:
    {task: classify, architecture: mobilenet_v2, width: 0.75, dataset: signs, input: *input}
schedules:
  full: {epochs: 3, batch: 8, learning_rate: 0.001}
  none: {epochs: 0, batch: 8, learning_rate: 0.001}
variants:
  # The network that everything is compared with.
  base:
    {task: classify, step: train, parent: net, teacher: base, baseline: base, dataset: signs,
     schedule: full}
  longer:
    {task: classify, step: train, parent: base, teacher: base, baseline: base, dataset: signs,
     schedule: full}
  narrow:
    {task: classify, step: train, parent: net-narrow, teacher: base, baseline: base,
     dataset: signs, schedule: full}
  pruned:
    {task: classify, step: prune, parent: base, teacher: base, baseline: base, dataset: signs,
     schedule: full, ratio: 0.3}
  ptq:
    {task: classify, step: quantize, parent: base, teacher: base, baseline: base, dataset: signs,
     schedule: none, method: ptq}
  qat:
    {task: classify, step: quantize, parent: base, teacher: base, baseline: base, dataset: signs,
     schedule: full, method: qat}
  pruned-ptq:
    {task: classify, step: quantize, parent: pruned, teacher: base, baseline: base, dataset: signs,
     schedule: none, method: ptq}
  distilled:
    {task: classify, step: distill, parent: net, teacher: longer, baseline: base, dataset: signs,
     schedule: full}
tolerances:
  classify:
    fp32: &tolerance {max_abs_diff: 1, min_sqnr_db: 1, min_agreement: 0.5, max_metric_drop: 0.5}
    fp16: *tolerance
    int8: *tolerance
  detect: {fp32: *tolerance, fp16: *tolerance, int8: *tolerance}
export: {opset: 21, batch: "1", parity_images: 8}
runtime: {threads: 1, providers: [cpu]}
bench: {rounds: 2, min_runs: 5, min_seconds: 0.01, max_warmup_seconds: 0.1}
formats:
  tflite: &both
    {base: &base {task: classify, dataset: signs, baseline: base}, ptq: *base, pruned: *base}
  ncnn: *both
  torchscript: *both
runtimes:
  net: {fp32: base, int8: ptq}
active: {variant: pruned, format: onnx}  # for dvc metrics diff
"""


def make_checkout(folder: Path) -> Path:
    """Everything but metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(PARAMS)
    fingerprint.write(make_device(), folder / "devices/host/device.json")
    return folder


def make_device() -> Device:
    """An invented machine."""
    found = {"cpu": "Abacus 9000", "cores": "2 cores, 2 threads", "memory_gib": "8"}
    return Device(name="host", fingerprint=found, fingerprint_id=fingerprint.fingerprint_id(found))


def add_cell(
    folder: Path,
    variant: str,
    right: int,
    *,
    size_bytes: int = 1_000_000,
    macs: int = 10_000_000,
    latency_ms: float = 10.0,
    speedup: float = 1.0,
    delta: float | None = None,
    machine: str | None = None,
    noisy: bool = False,
    format_name: str = "onnx",
    self_right: int | None = None,
) -> None:
    """Accuracy (`right` of 1000 images) and latency of one invented cell."""
    record = Accuracy(
        variant=variant,
        format=format_name,
        precision="fp32",
        task="classify",
        metric="top1",
        value=right / IMAGES,
        value_ci95=Bounds.of(wilson_interval(right, IMAGES)),
        delta_vs_baseline=delta,
        delta_ci95=None if delta is None else Bounds(low=delta - 0.01, high=delta + 0.01),
        value_of_self=None if self_right is None else self_right / IMAGES,
        images=IMAGES,
        size_bytes=size_bytes,
        params=macs // 10,
        macs=macs,
        runtime="onnxruntime 1",
        providers="cpu",
        threads=1,
    )
    accuracy.write(record, folder / f"metrics/accuracy/{variant}.{format_name}.json")
    bench = Bench(
        device="host",
        fingerprint=machine or make_device().fingerprint_id,
        variant=variant,
        format=format_name,
        precision="fp32",
        runtime="onnxruntime 1",
        providers="cpu",
        threads=1,
        latency_ms=ModelLatency(
            p50=latency_ms, p90=latency_ms * 1.1, p99=latency_ms * 1.2, mean=latency_ms
        ),
        latency_ms_ci95=Bounds(low=latency_ms * 0.99, high=latency_ms * 1.01),
        end_to_end_ms=EndToEndLatency(p50=latency_ms + 2, p90=latency_ms + 3, p99=latency_ms + 4),
        fps=1000 / latency_ms,
        rss_mb=100,
        load_ms=20,
        first_ms=latency_ms * 2,
        baseline="base",
        speedup_vs_baseline=speedup,
        speedup_ci95=Bounds(low=speedup * 0.98, high=speedup * 1.02),
        runs=100,
        warmup_runs=20,
        rounds=2,
        steady=True,
        noisy=noisy,
    )
    bench_record.write(bench, folder / f"metrics/bench/host/{variant}.{format_name}.json")


def add_runtimes(folder: Path, *, machine: str | None = None, noisy: bool = False) -> None:
    """`base` in PyTorch eager, 20 ms, and `ptq` in ONNX Runtime, 4 ms; no compiler."""

    def cell(variant: str, precision: str, mode: str, runtime: str, p50: float) -> RuntimeCell:
        speedup = 20 / p50
        return RuntimeCell(
            variant=variant,
            precision=precision,
            mode=mode,
            runtime=runtime,
            providers="cpu",
            latency_ms=ModelLatency(p50=p50, p90=p50 * 1.1, p99=p50 * 1.2, mean=p50),
            rss_mb=500,
            load_ms=20,
            speedup=speedup,
            speedup_ci95=Bounds(low=speedup - 0.2, high=speedup + 0.2),
            runs=100,
            warmup_runs=20,
            steady=True,
            noisy=noisy,
        )

    bench = RuntimesBench(
        device="host",
        fingerprint=machine or make_device().fingerprint_id,
        reference="torch-eager-fp32",
        threads=1,
        rounds=2,
        cells={
            "torch-eager-fp32": cell("base", "fp32", "eager", "torch 2", 20.0),
            "onnx-int8": cell("ptq", "int8", "", "onnxruntime 1", 4.0),
        },
        not_built={"torch-aotinductor-fp32": "no C++ compiler"},
    )
    bench_record.write(bench, folder / "metrics/bench/host/net.runtimes.json")
