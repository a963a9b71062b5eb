"""`python -m benchmarks.serve.theirs THREADS STAMPS ARGUMENT…`: `yolo predict`, with times.

The command itself (`ultralytics.cfg.entrypoint`), in a process of its own. It has no option for
threads and takes every core: here its runtimes are given as many as ours. Afterwards `STAMPS` holds
JSON: seconds on the monotonic clock at the end of every frame, and how many boxes were in each.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Obey the command line."""
    threads, stamps, arguments = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    kind = next(value for value in arguments if value.startswith("model="))
    if kind.endswith(".onnx"):
        _onnxruntime(threads)
    else:
        _ncnn(threads)
    import torch  # noqa: PLC0415 (after the patches, as Ultralytics does)
    from ultralytics.cfg import entrypoint  # noqa: PLC0415
    from ultralytics.utils import callbacks  # noqa: PLC0415

    torch.set_num_threads(threads)
    seconds: list[float] = []
    boxes: list[int] = []

    def note(predictor: Any) -> None:
        seconds.append(time.monotonic())
        boxes.append(len(predictor.results[0].boxes))

    callbacks.default_callbacks["on_predict_batch_end"].append(note)
    entrypoint(" ".join(["yolo", "predict", *arguments]))
    stamps.write_text(json.dumps({"seconds": seconds, "boxes": boxes}))


def _onnxruntime(threads: int) -> None:
    import onnxruntime  # noqa: PLC0415

    made = onnxruntime.InferenceSession

    def session(path: Any, sess_options: Any = None, **named: Any) -> Any:
        options = sess_options or onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return made(path, options, **named)

    onnxruntime.InferenceSession = session


def _ncnn(threads: int) -> None:
    import ncnn  # noqa: PLC0415

    made = ncnn.Net

    def net() -> Any:
        new = made()
        new.opt.num_threads = threads
        return new

    ncnn.Net = net


if __name__ == "__main__":
    main()
