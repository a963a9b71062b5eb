"""Stands where Hailo's module would be: records calls with the types of their arguments.

No vendor code. What it gives as a HEF is none; what it "infers" are the golden outputs.
"""

import enum
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

CALLS = []


class InferenceContext(enum.Enum):
    SDK_FP_OPTIMIZED = 1
    SDK_QUANTIZED = 2


def _say(value):
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__} {value.name}"
    return f"{type(value).__name__} {value}"


def _record(name, *arguments, **named):
    call = [name, *map(_say, arguments)]
    CALLS.append([*call, {key: _say(value) for key, value in named.items()}] if named else call)
    Path(os.environ["CALLS"]).write_text(json.dumps(CALLS))


class ClientRunner:
    def __init__(self, **named):
        _record("ClientRunner", **named)

    def translate_onnx_model(self, *arguments, **named):
        self.folder = Path(arguments[0]).parent
        _record("translate_onnx_model", *arguments, **named)

    def load_model_script(self, text):
        _record("load_model_script", text)

    def optimize_full_precision(self, **named):
        _record("optimize_full_precision", **named)

    @contextmanager
    def infer_context(self, kind):
        _record("infer_context", kind)
        yield kind

    def infer(self, context, images):
        _record("infer", images)
        value = np.load(self.folder / "golden.npz")["output0"]
        wrong = 1.0 if os.environ["MODE"] == "wrong" else 0.0
        return np.repeat(value + wrong * np.abs(value).max(), len(images), axis=0)[:, None, None]

    def optimize(self, images):
        if os.environ["MODE"] == "lowered":
            print("[warning] Reducing optimization level to 0 (the accuracy won't be optimized)")
            time.sleep(30)
        _record("optimize", images)

    def compile(self):
        _record("compile")
        if os.environ["MODE"] == "crash":
            raise RuntimeError("no placement found")
        return b"no executable"
