"""What a peer's program is asked and answers: numpy and the standard library alone.

A peer's environment holds that peer, not edgesmith: this file and the programs beside it are all
of ours that run there.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Request:
    """Quantize the file `model` to `output` by `options`.

    `images` (N, …) float32 are what the network takes, in its own layout, one image after another;
    `input` names its input.
    """

    model: Path
    output: Path
    images: npt.NDArray[np.float32]
    input: str
    options: dict[str, Any]


def serve(quantize: Callable[[Request], None], *distributions: str) -> None:
    """Obey the request in the file of the command line; answer beside it, as `answer.json`.

    The answer holds the seconds of the call, imports left out, and the versions of what it used.
    """
    asked = Path(sys.argv[1])
    said = json.loads(asked.read_text())
    start = time.perf_counter()
    quantize(
        Request(
            model=Path(said["model"]),
            output=Path(said["output"]),
            images=np.load(said["images"]),
            input=said["input"],
            options=said["options"],
        )
    )
    seconds = time.perf_counter() - start
    versions = {name: metadata.version(name) for name in distributions}
    answer = {"seconds": round(seconds, 2), "versions": versions}
    asked.with_name("answer.json").write_text(json.dumps(answer))
