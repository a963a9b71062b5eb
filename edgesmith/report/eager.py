"""The whole way of a chain: PyTorch eager FP32 against the artifact that it became."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgesmith.bench import record
from edgesmith.bench.record import EagerBench
from edgesmith.device.fingerprint import Device
from edgesmith.params import Eager

_ENGINES = {"onnxruntime": "ONNX Runtime"}


def read_eager(pairs: Mapping[str, Eager], metrics: Path, device: Device) -> list[EagerBench]:
    """What was measured of `params.yaml: eager`, in its order; on which machine, each says."""
    paths = [metrics / "bench" / device.name / f"{key}.eager.json" for key in pairs]
    return [record.read_eager(path) for path in paths if path.is_file()]


def sentences(benches: Sequence[EagerBench], device: Device) -> list[str]:
    """One Markdown bullet per pair, and one that says how; empty when nothing was measured."""
    if not benches:
        return []
    return [
        *(_sentence(bench, device) for bench in benches),
        "- Eager mode as after training: `eval()`, `inference_mode()`, one contiguous NCHW image, "
        "no compilation; both on the CPU, measured in turns like the cells, ratio and interval "
        "alike.",
    ]


def _sentence(bench: EagerBench, device: Device) -> str:
    if bench.fingerprint != device.fingerprint_id:
        return (
            f"- `{bench.network}` → `{bench.artifact}`: measured on another machine "
            f"({bench.fingerprint}) and therefore left out. Run `dvc repro` to measure here."
        )
    engine = bench.runtime.split()[0]
    doubt = "" if bench.steady and not bench.noisy else " ~"
    return (
        f"- PyTorch eager FP32 → {_ENGINES.get(engine, engine)} {bench.precision.upper()}: "
        f"**{bench.speedup:.1f}×** [{bench.speedup_ci95.low:.1f}, {bench.speedup_ci95.high:.1f}]"
        f"{doubt} (`{bench.network}` {bench.eager_ms.p50:.2f} ms, `{bench.artifact}` "
        f"{bench.artifact_ms.p50:.2f} ms; {bench.threads} thread{'s' * (bench.threads > 1)}; "
        f"{bench.engine}, {bench.runtime}; {bench.eager_rss_mb:.0f} and "
        f"{bench.artifact_rss_mb:.0f} MB at the peak)."
    )
