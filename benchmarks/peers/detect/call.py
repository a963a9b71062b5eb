"""`python -m benchmarks.peers.detect.call REQUEST`: one call of `YOLO.export`, in its own process.

It changes global state of torch and of its converters, and one that crashes must not end the rest.
The request is a JSON object with `weights` (a .pt) and the arguments; the answer is written beside
it, as `answer.json`: where the export lies, and the versions of what made it.
"""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path

from ultralytics import YOLO

_TOOLS = {
    "onnx": ("onnx", "onnxslim", "onnxruntime"),
    "litert": ("litert-torch", "ai-edge-quantizer"),
    "ncnn": ("pnnx", "ncnn"),
}


def main() -> None:
    """Obey the request in the file of the command line."""
    asked = Path(sys.argv[1])
    said = json.loads(asked.read_text())
    written = YOLO(said["weights"], task="detect").export(**said["arguments"])
    tools = ("ultralytics", "torch", *_TOOLS[said["arguments"]["format"]])
    answer = {"path": str(written), "versions": {name: metadata.version(name) for name in tools}}
    asked.with_name("answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
