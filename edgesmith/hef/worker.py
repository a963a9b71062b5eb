"""`python3 worker.py`: a HEF on the chip by pyHailoRT, for a parent that has another numpy.

pyHailoRT needs numpy below 2 and is installed for the system's Python: this file imports numpy,
hailo_platform and the standard library alone, and runs on Python 3.8 and newer. It reads one JSON
object per line from standard input and answers each with one on standard output:

    {"do": "hello"}
        -> {"protocol": 1, "hailort": …, "numpy": …, "python": …}
    {"do": "scan"}
        -> {"devices": [address, …]}
    {"do": "open", "hef": path}
        -> {"inputs": [tensor], "outputs": [tensor]}, each {"name", "shape", "quantization":
           [[scale, zero point], …]}
    {"do": "configure", "memory": descriptor, "bytes": …, "input": place, "outputs": [place]}
        -> {"queue": frames that may wait at once}; a place is {"name", "dtype", "shape", "offset"}
    {"do": "run"}
        -> {}: the outputs are in the shared memory
    {"do": "latency", "seconds": …, "min_runs": …}
        -> {"samples_ms": […]}: one frame after the other
    {"do": "throughput", "seconds": …}
        -> {"frames": …, "seconds": …}: as many frames at once as the queue holds

What fails is answered with {"error": …, "status": HailoRT's number or null}. It ends at the end of
its input, so that a killed parent leaves no process behind.
"""

# ruff: noqa: PLC0415 (`hello` answers for a Python that lacks them)

from __future__ import annotations

import json
import mmap
import os
import platform
import re
import sys
import time
from collections import deque
from typing import Any

PROTOCOL = 1
# What a frame may take; networks of many contexts need some 100 ms.
TIMEOUT_MS = 10_000


def hello(_: dict[str, Any]) -> dict[str, Any]:
    """Which versions are here."""
    import hailo_platform
    import numpy as np

    return {
        "protocol": PROTOCOL,
        "hailort": hailo_platform.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def scan(_: dict[str, Any]) -> dict[str, Any]:
    """Which chips are here; none of them is opened."""
    from hailo_platform import Device

    return {"devices": [str(device) for device in Device.scan()]}


class Network:
    """One HEF on the chip. Device and model are held: HailoRT frees them with their last name."""

    def __init__(self, hef: str) -> None:
        """Open the chip and the file; HailoRT's exceptions where it cannot."""
        from hailo_platform import HailoSchedulingAlgorithm, VDevice

        params = VDevice.create_params()
        params.scheduling_algorithm = HailoSchedulingAlgorithm.ROUND_ROBIN
        self.device = VDevice(params)
        self.model = self.device.create_infer_model(hef)

    def describe(self) -> dict[str, Any]:
        """Inputs and outputs as HailoRT has them."""
        return {"inputs": _tensors(self.model.inputs), "outputs": _tensors(self.model.outputs)}

    def configure(self, command: dict[str, Any]) -> dict[str, Any]:
        """Take the parent's memory for frames, and load the network."""
        from hailo_platform import FormatType

        self.memory = mmap.mmap(command["memory"], command["bytes"])
        os.close(command["memory"])
        self.source = command["input"]
        self.places = command["outputs"]
        types = {"uint8": FormatType.UINT8, "uint16": FormatType.UINT16}
        self.model.set_batch_size(1)
        self.model.input(self.source["name"]).set_format_type(types[self.source["dtype"]])
        for place in self.places:
            # As the chip gives them: fewer bytes than float32, and the parent has the scales.
            self.model.output(place["name"]).set_format_type(types[place["dtype"]])
        self.configured = self.model.configure()
        self.shared = [_array(self.memory, place) for place in self.places]
        self.frame = _array(self.memory, self.source)
        return {"queue": self.configured.get_async_queue_size()}

    def bind(self, outputs: list[Any]) -> Any:
        """Bindings of one frame, which hold its buffers while it is under way."""
        results = {
            place["name"]: array
            for place, array in zip(self.places, outputs)  # noqa: B905 (3.8)
        }
        return self.configured.create_bindings(
            input_buffers={self.source["name"]: self.frame}, output_buffers=results
        )

    def run(self, _: dict[str, Any]) -> dict[str, Any]:
        """One frame, from and to the shared memory."""
        self.configured.run([self.bind(self.shared)], TIMEOUT_MS)
        return {}

    def latency(self, command: dict[str, Any]) -> dict[str, Any]:
        """Times of single frames, each waited for."""
        samples: list[float] = []
        end = time.perf_counter() + command["seconds"]
        while time.perf_counter() < end or len(samples) < command["min_runs"]:
            started = time.perf_counter()
            self.run({})
            samples.append(round(1000 * (time.perf_counter() - started), 4))
        return {"samples_ms": samples}

    def throughput(self, command: dict[str, Any]) -> dict[str, Any]:
        """Frames finished while the queue was kept full."""
        depth = max(1, self.configured.get_async_queue_size())
        slots = [[_own(place) for place in self.places] for _ in range(depth)]
        waiting: deque[Any] = deque()
        sent = 0
        started = time.perf_counter()
        while time.perf_counter() - started < command["seconds"]:
            if len(waiting) == depth:
                waiting.popleft().wait(TIMEOUT_MS)
            self.configured.wait_for_async_ready(timeout_ms=TIMEOUT_MS)
            waiting.append(self.configured.run_async([self.bind(slots[sent % depth])]))
            sent += 1
        while waiting:
            waiting.popleft().wait(TIMEOUT_MS)
        return {"frames": sent, "seconds": time.perf_counter() - started}


def _tensors(streams: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": stream.name,
            "shape": [int(size) for size in stream.shape],
            "quantization": [
                [float(info.qp_scale), float(info.qp_zp)] for info in stream.quant_infos
            ],
        }
        for stream in streams
    ]


def _array(memory: Any, place: dict[str, Any]) -> Any:
    import numpy as np

    count = int(np.prod(place["shape"]))
    flat = np.frombuffer(memory, place["dtype"], count, place["offset"])
    return flat.reshape(place["shape"])


def _own(place: dict[str, Any]) -> Any:
    """A buffer that begins and ends with a page, as HailoRT wants outputs."""
    import numpy as np

    size = int(np.prod(place["shape"])) * np.dtype(place["dtype"]).itemsize
    return _array(mmap.mmap(-1, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE), {**place, "offset": 0})


def status_of(error: BaseException) -> int | None:
    """HailoRT's number: pyHailoRT raises its own exceptions from one that holds it."""
    cause = error.__cause__
    if cause is not None and cause.args and str(cause.args[0]).isdigit():
        return int(str(cause.args[0]))
    named = re.search(r"error: (\d+) \(HAILO_", str(error))
    return int(named[1]) if named else None


def main() -> None:
    """Serve on the standard streams; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    network: Network | None = None
    for line in sys.stdin:
        command = json.loads(line)
        answer: dict[str, Any]
        try:
            if command["do"] in ("hello", "scan"):
                answer = {"hello": hello, "scan": scan}[command["do"]](command)
            elif command["do"] == "open":
                network = Network(command["hef"])
                answer = network.describe()
            elif network is not None and command["do"] in _COMMANDS:
                answer = getattr(network, command["do"])(command)
            else:
                answer = {"error": f"no command {command['do']!r} now", "status": None}
        except Exception as error:  # HailoRT's exceptions share no base class that can be had here
            answer = {"error": f"{type(error).__name__}: {error}", "status": status_of(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


_COMMANDS = ("configure", "run", "latency", "throughput")

if __name__ == "__main__":
    main()
