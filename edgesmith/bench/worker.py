"""`python -m edgesmith.bench.worker`: one artifact in one fresh process, timed on command.

Reads one JSON object per line from standard input and answers each with one on standard output:

    {"do": "load", "artifact": …, "threads": …, "providers": […], "frame": base64}
    {"do": "warm_up", "max_seconds": …}
    {"do": "sample", "what": "infer" | "end_to_end", "min_runs": …, "min_seconds": …,
     "settle_seconds": …}
    {"do": "finish"}

It ends at the end of its input, so that a killed parent leaves no process behind. Peak memory, load
time and the first inference are those of a device that runs this artifact and nothing else.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from edgesmith import contract as contracts
from edgesmith.bench import timing
from edgesmith.decode import top_k
from edgesmith.errors import EdgesmithError
from edgesmith.preprocess import decode_image, fit
from edgesmith.runtimes import session as runtimes
from edgesmith.runtimes.tensors import network_input


class Worker:
    """The loaded artifact and its two timed calls."""

    def __init__(self, artifact: Path, threads: int, providers: list[str], frame: bytes) -> None:
        """Import the engine, then time the load: hash check, parsing, graph optimisation."""
        runtimes.engine(artifact, contracts.read(artifact))
        loaded: list[runtimes.Session] = []
        self.load_ms = timing.time_once(
            lambda: loaded.append(runtimes.load(artifact, threads, providers))
        )
        self.session = loaded[0]
        self._frame = frame
        spec = self.session.contract.input
        image = fit(decode_image(frame, "the benchmark's frame"), spec.preprocess)
        self._input = network_input(image[None], spec)
        self.first_ms = timing.time_once(self.infer)

    def infer(self) -> None:
        """The network alone, batch 1, on an input that is ready."""
        self.session.run(self._input)

    def end_to_end(self) -> None:
        """From the bytes of an encoded image to a label."""
        contract = self.session.contract
        image = fit(decode_image(self._frame, "the benchmark's frame"), contract.input.preprocess)
        logits = self.session.run(network_input(image[np.newaxis], contract.input))
        top_k(logits, contract.labels, 1)


def peak_rss_mb() -> float:
    """The largest resident memory of this process so far, in 10^6 bytes.

    Linux keeps `ru_maxrss` across fork and exec, so that a small worker would show its parent's
    peak: VmHWM starts anew with the program.
    """
    try:
        status = Path("/proc/self/status").read_text()
        kibibytes = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(kibibytes.split()[1]) * 1024 / 1e6
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def serve(commands: TextIO, answers: TextIO) -> None:
    """Answer commands until the input ends."""
    worker: Worker | None = None
    for line in commands:
        command = json.loads(line)
        try:
            if command["do"] == "load":
                worker = Worker(
                    Path(command["artifact"]),
                    command["threads"],
                    command["providers"],
                    base64.b64decode(command["frame"]),
                )
                answer = _describe(worker)
            elif worker is None:
                raise ValueError("the first command must be 'load'")
            else:
                answer = _obey(worker, command)
        except EdgesmithError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _describe(worker: Worker) -> dict[str, Any]:
    return {
        "load_ms": worker.load_ms,
        "first_ms": worker.first_ms,
        "engine": worker.session.engine,
        "providers": list(worker.session.providers),
        "pid": os.getpid(),
    }


def _obey(worker: Worker, command: dict[str, Any]) -> dict[str, Any]:
    if command["do"] == "warm_up":
        warm = timing.warm_up(worker.infer, command["max_seconds"])
        return {"runs": warm.runs, "steady": warm.steady}
    if command["do"] == "sample":
        calls: dict[str, Callable[[], None]] = {
            "infer": worker.infer,
            "end_to_end": worker.end_to_end,
        }
        samples = timing.sample(
            calls[command["what"]],
            command["min_runs"],
            command["min_seconds"],
            command["settle_seconds"],
        )
        return {"samples_ms": [round(value, 6) for value in samples]}
    if command["do"] == "finish":
        return {"rss_mb": peak_rss_mb()}
    raise ValueError(f"unknown command {command['do']!r}")


def main() -> None:
    """Serve on the standard streams; whatever libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
