"""A stand-in for pyHailoRT and a Python that has it: NO VENDOR CODE RUNS and there is no chip.

`make` writes a package `hailo_platform` into a test's temporary folder, and a script that starts
this Python with it, which EDGESMITH_HAILO_PYTHON names. The package takes the calls that the worker
makes, checks the types of their arguments as pybind11 would, and notes them in a file. Names,
arguments and exceptions are those of hailo-ai/hailort 4.23 and 5.2 (platform/hailo_platform). The
network in it takes (H, W, 3) uint8 and gives, by output, what OUTPUTS says.
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

_PACKAGE = """
import json, os, signal, sys, threading
from pathlib import Path
import numpy as np

SETTINGS = json.loads(Path(__file__).with_name("settings.json").read_text())
CALLS = Path(__file__).with_name("calls")
__version__ = SETTINGS["version"]
if SETTINGS["missing"]:
    raise ModuleNotFoundError("No module named 'hailo_platform'")


def note(name, *arguments):
    with CALLS.open("a") as stream:
        stream.write(json.dumps([name, *arguments]) + "\\n")


class HailoRTStatusException(Exception):
    pass


class HailoRTException(Exception):
    pass


class HailoRTHEFNotCompatibleWithDevice(HailoRTException):
    pass


def fail(status):
    cause = HailoRTStatusException(str(status))
    if status == 93:
        text = "HEF file is not compatible with device. See hailort.log for more information"
        raise HailoRTHEFNotCompatibleWithDevice(text) from cause
    name = {74: "HAILO_OUT_OF_PHYSICAL_DEVICES", 76: "HAILO_INVALID_DRIVER_VERSION"}
    text = "libhailort failed with error: {} ({})".format(status, name.get(status, "HAILO_X"))
    raise HailoRTException(text) from cause


class HailoSchedulingAlgorithm:
    ROUND_ROBIN = "round robin"


class FormatType:
    UINT8, UINT16 = "UINT8", "UINT16"


class Params:
    scheduling_algorithm = None


class Device:
    @staticmethod
    def scan():
        note("scan")
        return SETTINGS["devices"]


class VDevice:
    def __init__(self, params=None, *, device_ids=None):
        assert isinstance(params, Params) and device_ids is None
        note("VDevice", params.scheduling_algorithm)
        if SETTINGS["fails"].get("VDevice"):
            fail(SETTINGS["fails"]["VDevice"])
        if not SETTINGS["devices"]:
            fail(74)

    @staticmethod
    def create_params():
        return Params()

    def create_infer_model(self, hef_source, name=""):
        assert type(hef_source) is str and Path(hef_source).is_absolute() and name == ""
        note("create_infer_model", Path(hef_source).name)
        if SETTINGS["fails"].get("create_infer_model"):
            fail(SETTINGS["fails"]["create_infer_model"])
        return InferModel()


class QuantInfo:
    def __init__(self, pair):
        self.qp_scale, self.qp_zp = pair


class InferStream:
    def __init__(self, name, shape, pairs):
        self.name, self.shape = name, shape
        self.quant_infos = [QuantInfo(pair) for pair in pairs]
        self.type = None

    def set_format_type(self, type):
        assert type in ("UINT8", "UINT16")
        self.type = type
        note("set_format_type", self.name, type)


class InferModel:
    def __init__(self):
        first = SETTINGS["input"]
        self.inputs = [InferStream(first["name"], first["shape"], [[1, 0]])]
        self.outputs = [
            InferStream(out["name"], out["shape"], out["quantization"])
            for out in SETTINGS["outputs"]
        ]

    def set_batch_size(self, batch_size):
        assert type(batch_size) is int
        note("set_batch_size", batch_size)

    def input(self, name=""):
        return {stream.name: stream for stream in self.inputs}[name]

    def output(self, name=""):
        return {stream.name: stream for stream in self.outputs}[name]

    def configure(self):
        note("configure")
        return ConfiguredInferModel(self)


class Bindings:
    def __init__(self, model, inputs, outputs):
        self.inputs, self.outputs = inputs, outputs
        for streams, buffers in ((model.inputs, inputs), (model.outputs, outputs)):
            assert {stream.name for stream in streams} == set(buffers)
            for stream in streams:
                buffer = buffers[stream.name]
                assert isinstance(buffer, np.ndarray) and buffer.flags.c_contiguous
                assert buffer.dtype == np.dtype(stream.type.lower())
                assert buffer.size == np.prod(stream.shape)
                assert buffer.ctypes.data % 4096 == 0, "HailoRT wants pages"
        assert all(buffer.flags.writeable for buffer in outputs.values())
        self.used = False

    def compute(self):
        assert not self.used, "every frame has bindings of its own"
        self.used = True
        (frame,) = self.inputs.values()
        for number, (name, buffer) in enumerate(sorted(self.outputs.items())):
            # Every output: the mean of a colour of the frame, in its own integers.
            colours = np.rint(frame.reshape(-1, 3).mean(axis=0)).astype(int)
            flat = buffer.reshape(-1)
            flat[:] = (colours[np.arange(flat.size) % 3] + number).astype(flat.dtype)


class AsyncInferJob:
    def __init__(self, bindings):
        self.bindings = bindings

    def wait(self, timeout_ms):
        assert type(timeout_ms) is int
        self.bindings.compute()


class ConfiguredInferModel:
    def __init__(self, model):
        self.model = model
        self.ready = False

    def get_async_queue_size(self):
        return SETTINGS["queue"]

    def create_bindings(self, input_buffers=None, output_buffers=None):
        return Bindings(self.model, input_buffers, output_buffers)

    def run(self, bindings, timeout):
        assert type(bindings) is list and type(timeout) is int
        (frame,) = bindings
        note("run")
        if SETTINGS["fails"].get("run") == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if SETTINGS["fails"].get("run") == "hang":
            signal.pause()
        if SETTINGS["fails"].get("run"):
            fail(SETTINGS["fails"]["run"])
        print("HailoRT prints what it likes")
        frame.compute()

    def wait_for_async_ready(self, timeout_ms=1000, frames_count=1):
        assert type(timeout_ms) is int
        self.ready = True

    def run_async(self, bindings, callback=None):
        assert self.ready and type(bindings) is list and callback is None
        self.ready = False
        (frame,) = bindings
        note("run_async")
        return AsyncInferJob(frame)
"""


class Vendor(NamedTuple):
    """The stand-in: the package's folder, and what starts a Python with it."""

    package: Path
    python: Path

    def change(self, **settings: Any) -> None:
        """Of `settings.json`, which the package reads when it is imported."""
        path = self.package / "settings.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    def calls(self) -> list[list[Any]]:
        """What was called, in order."""
        path = self.package / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def make(folder: Path, outputs: list[dict[str, Any]], shape: tuple[int, int, int]) -> Vendor:
    """The package, its network and its Python below `folder`.

    `outputs` are {"name", "shape", "quantization": [[scale, zero point], …]} as HailoRT has them.
    """
    package = folder / "system/hailo_platform"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(_PACKAGE)
    settings = {
        "version": "4.23.0",
        "missing": False,
        "devices": ["0000:01:00.0"],
        "fails": {},
        "queue": 4,
        "input": {"name": "net/input_layer1", "shape": list(shape)},
        "outputs": outputs,
    }
    (package / "settings.json").write_text(json.dumps(settings))
    python = folder / "system/python3"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={package.parent} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return Vendor(package, python)
