"""`python -m edgesmith.bench.worker`: one network in one fresh process, timed on command.

Reads one JSON object per line from standard input and answers each with one on standard output:

    {"do": "prepare", "by": module}
    {"do": "load", "by": module, "folder": …, "threads": …, "batch": …, "providers": […],
     "frame": base64}
    {"do": "warm_up", "max_seconds": …}
    {"do": "sample", "what": "infer" | "end_to_end", "min_runs": …, "min_seconds": …,
     "settle_seconds": …, "max_seconds": …}
    {"do": "stream", "what": …, "seconds": …}
    {"do": "finish"}

`by` names the module whose `load` gives the network as a `Subject`: `edgesmith.bench.artifact`, or
one of the build side, which this module never imports itself.

It ends at the end of its input, so that a killed parent leaves no process behind. Peak memory, load
time and the first inference are those of a device that runs this network and nothing else.
"""

from __future__ import annotations

import base64
import importlib
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

from edgesmith.bench import timing
from edgesmith.bench.memory import peak_rss_mb
from edgesmith.errors import EdgesmithError


class Subject(Protocol):
    """A loaded network and what can be timed of it.

    `engine` names what executes it and its version ("onnxruntime 1.31.1"), `providers` what it
    executes on, best first; `load_ms` leaves out the import of the engine. `calls` holds `infer`,
    the network alone, and may hold `end_to_end`, from an encoded image to a label.
    """

    engine: str
    providers: Sequence[str]
    load_ms: float
    calls: Mapping[str, Callable[[], object]]


class Loader(Protocol):
    """A module that `by` may name."""

    def load(
        self,
        folder: Path,
        threads: int,
        providers: Sequence[str],
        frame: bytes,
        **batch: int,
    ) -> Subject:
        """The network in `folder`, ready to run on `frame`, an encoded image.

        A loader that can put several images into one call takes `batch`; others need not.
        """
        ...


def serve(commands: TextIO, answers: TextIO) -> None:
    """Answer commands until the input ends."""
    subject: Subject | None = None
    for line in commands:
        command = json.loads(line)
        try:
            if command["do"] == "prepare":
                importlib.import_module(command["by"])
                answer = {}
            elif command["do"] == "load":
                subject = _load(command)
                answer = _describe(subject)
            elif subject is None:
                raise ValueError("nothing is loaded: 'load' comes first")
            else:
                answer = _obey(subject, command)
        except EdgesmithError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _load(command: dict[str, Any]) -> Subject:
    loader: Loader = importlib.import_module(command["by"])
    frame = base64.b64decode(command["frame"])
    # Only loaders that know of batches are asked for one.
    batch = {} if command.get("batch", 1) == 1 else {"batch": command["batch"]}
    return loader.load(
        Path(command["folder"]), command["threads"], command["providers"], frame, **batch
    )


def _describe(subject: Subject) -> dict[str, Any]:
    return {
        "load_ms": subject.load_ms,
        "first_ms": timing.time_once(subject.calls["infer"]),
        "engine": subject.engine,
        "providers": list(subject.providers),
        "calls": sorted(subject.calls),
        "pid": os.getpid(),
    }


def _obey(subject: Subject, command: dict[str, Any]) -> dict[str, Any]:
    if command["do"] == "warm_up":
        warm = timing.warm_up(subject.calls["infer"], command["max_seconds"])
        return {"runs": warm.runs, "steady": warm.steady}
    if command["do"] == "sample":
        samples = timing.sample(
            subject.calls[command["what"]],
            command["min_runs"],
            command["min_seconds"],
            command["settle_seconds"],
            command.get("max_seconds", math.inf),
        )
        return {"samples_ms": [round(value, 6) for value in samples]}
    if command["do"] == "stream":
        return {"ends_s": timing.stream(subject.calls[command["what"]], command["seconds"])}
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
