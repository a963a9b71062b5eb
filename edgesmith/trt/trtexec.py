"""`trtexec`, NVIDIA's own timing of an engine, as a cross-check of ours."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from edgesmith.errors import RuntimeUnavailableError

# Where JetPack and the Debian packages put it, which is not on the PATH.
_ELSEWHERE = Path("/usr/src/tensorrt/bin/trtexec")
_FIGURE = re.compile(r"(\w+|percentile\(\d+%\)) = ([\d.eE+-]+) ms")


class Timed(NamedTuple):
    """What trtexec measured, in milliseconds; `compute_ms` is the GPU's time without copies."""

    version: str
    throughput_qps: float
    latency_ms: dict[str, float]
    compute_ms: dict[str, float]


def find() -> Path:
    """Where trtexec is; RuntimeUnavailableError says how to get it."""
    found = shutil.which("trtexec")
    if found:
        return Path(found)
    if _ELSEWHERE.is_file():
        return _ELSEWHERE
    raise RuntimeUnavailableError(
        f"trtexec is neither on the PATH nor at {_ELSEWHERE}; on a Jetson: "
        "apt-get install libnvinfer-bin"
    )


def run(engine: Path, seconds: int = 3) -> Timed:
    """Time an engine with CUDA graphs; RuntimeUnavailableError with trtexec's reason else."""
    command = [str(find()), f"--loadEngine={engine}", "--useCudaGraph", f"--duration={seconds}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        errors = [line for line in done.stdout.splitlines() if "[E]" in line]
        raise RuntimeUnavailableError(
            f"{engine}: trtexec ended with status {done.returncode}: "
            f"{(errors or ['no message'])[0]}; build the engine here again"
        )
    return parse(done.stdout)


def parse(output: str) -> Timed:
    """The performance summary of trtexec 8.4 to 10; RuntimeUnavailableError where there is none."""
    version = re.search(r"\[TensorRT v(\d+)\]", output)
    throughput = re.search(r"\[I\] Throughput: ([\d.eE+-]+) qps", output)
    if throughput is None:
        raise RuntimeUnavailableError("trtexec printed no throughput: it timed nothing")
    return Timed(
        version=version[1] if version else "",
        throughput_qps=float(throughput[1]),
        latency_ms=_figures(output, "Latency"),
        compute_ms=_figures(output, "GPU Compute Time"),
    )


def _figures(output: str, title: str) -> dict[str, float]:
    line = re.search(rf"\[I\] {title}: (.*)", output)
    if line is None:
        raise RuntimeUnavailableError(f"trtexec printed no line {title!r}; its format has changed")
    names = {"median": "p50", "percentile(90%)": "p90", "percentile(99%)": "p99"}
    return {names.get(name, name): float(value) for name, value in _FIGURE.findall(line[1])}
