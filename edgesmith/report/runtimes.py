"""The same network in every runtime: a table per chain, and the whole way in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgesmith.bench import record
from edgesmith.bench.record import RuntimeCell, RuntimesBench
from edgesmith.device.fingerprint import Device
from edgesmith.params import RuntimePair
from edgesmith.report.markdown import table

HEADERS = (
    *("runtime", "precision", "mode", "p50 / p90 / p99, ms"),
    *("× PyTorch eager FP32", "peak, MB", "runs"),
)
_ENGINES = {"onnxruntime": "ONNX Runtime", "torch": "PyTorch", "ai-edge-litert": "LiteRT"}
# Where the whole way ends.
_GOAL = "onnx-int8"


def read_runtimes(
    pairs: Mapping[str, RuntimePair], metrics: Path, device: Device
) -> dict[str, RuntimesBench]:
    """What was measured of `params.yaml: runtimes`, in its order; on which machine, each says."""
    paths = {key: metrics / "bench" / device.name / f"{key}.runtimes.json" for key in pairs}
    return {key: record.read_runtimes(path) for key, path in paths.items() if path.is_file()}


def markdown(benches: Mapping[str, RuntimesBench], device: Device) -> list[str]:
    """Lines of Markdown: the whole way, a table per chain, and how; empty without measurements."""
    if not benches:
        return []
    lines = [*sentences(benches, device), ""]
    for key, bench in benches.items():
        if _elsewhere(bench, device):
            continue
        lines += [
            f"### {key}: `{bench.cells[bench.reference].variant}` and {', '.join(_others(bench))}",
            "",
            *table(HEADERS, table_rows(bench)),
            "",
            *(f"- Not built: {name}: {why}." for name, why in bench.not_built.items()),
        ]
        lines += [""] if bench.not_built else []
    return lines[:-1]


def table_rows(bench: RuntimesBench) -> list[tuple[str, ...]]:
    """The cells as text, one tuple in the order of HEADERS each."""
    return [_texts(bench, key, cell) for key, cell in bench.cells.items()]


def sentences(benches: Mapping[str, RuntimesBench], device: Device) -> list[str]:
    """One Markdown bullet per chain, and one that says how; empty when nothing was measured."""
    if not benches:
        return []
    return [
        *(_whole_way(key, bench, device) for key, bench in benches.items()),
        "- Every cell in a process of its own, batch 1, on the CPU; all take turns in one run, so "
        "that each round gives a ratio against PyTorch eager FP32 (`eval()`, `inference_mode()`, "
        "one contiguous NCHW image, no compilation). Brackets are Student's t over rounds.",
    ]


def _whole_way(key: str, bench: RuntimesBench, device: Device) -> str:
    if _elsewhere(bench, device):
        return (
            f"- {key}: measured on another machine ({bench.fingerprint}) and therefore left out. "
            "Run `dvc repro` to measure here."
        )
    start, end = bench.cells[bench.reference], bench.cells[_GOAL]
    return (
        f"- PyTorch eager FP32 → {_name(end)} {end.precision.upper()}: "
        f"**{end.speedup:.1f}×** [{end.speedup_ci95.low:.1f}, {end.speedup_ci95.high:.1f}]"
        f"{_doubt(start, end)} (`{start.variant}` {start.latency_ms.p50:.2f} ms, `{end.variant}` "
        f"{end.latency_ms.p50:.2f} ms; {bench.threads} thread{'s' * (bench.threads > 1)}; "
        f"{start.runtime}, {end.runtime}; {start.rss_mb:.0f} and {end.rss_mb:.0f} MB at the peak)."
    )


def _texts(bench: RuntimesBench, key: str, cell: RuntimeCell) -> tuple[str, ...]:
    own, reference = cell.latency_ms, bench.cells[bench.reference]
    ratio = f"{cell.speedup:.2f}"
    if key != bench.reference:
        ratio += f" [{cell.speedup_ci95.low:.2f}, {cell.speedup_ci95.high:.2f}]"
        ratio += _doubt(reference, cell)
    return (
        " ".join([_name(cell), *cell.runtime.split()[1:]]),
        cell.precision,
        cell.mode or "—",
        f"{own.p50:.2f} / {own.p90:.2f} / {own.p99:.2f}",
        ratio,
        f"{cell.rss_mb:.0f}",
        str(cell.runs),
    )


def _elsewhere(bench: RuntimesBench, device: Device) -> bool:
    return bench.fingerprint != device.fingerprint_id


def _others(bench: RuntimesBench) -> list[str]:
    first = bench.cells[bench.reference].variant
    names = dict.fromkeys(cell.variant for cell in bench.cells.values())
    return [f"`{name}`" for name in names if name != first]


def _name(cell: RuntimeCell) -> str:
    engine = cell.runtime.split()[0]
    return _ENGINES.get(engine, engine)


def _doubt(*cells: RuntimeCell) -> str:
    return "" if all(cell.steady and not cell.noisy for cell in cells) else " ~"
