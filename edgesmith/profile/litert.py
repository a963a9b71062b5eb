"""LiteRT: the profiler of its C interface, which also sees the operators inside XNNPACK."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.contract import Description
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.preprocess import Float32Array
from edgesmith.profile.litert_library import Compiled, Event
from edgesmith.profile.recording import Kernel, Node, Recording, Run
from edgesmith.runtimes import litert as runtime
from edgesmith.runtimes.tensors import encode

_METHOD = (
    "the profiler of LiteRT's CompiledModel (LiteRtCompiledModelGetProfiler), which reports the "
    "operators inside the XNNPACK delegate"
)
_CAVEATS = [
    "the benchmark runs LiteRT's Interpreter, the profiler is CompiledModel's: the same library "
    "and the same XNNPACK kernels through another interface",
    "XNNPACK gives whole microseconds, cut off, and no start times: up to 1 µs of each operator "
    "is missing and counts as time between kernels; the trace lays operators one after another",
    "operators are XNNPACK's: it may fuse or add some; a name is given where its kind occurs as "
    "often as in the .tflite graph",
]
# XNNPACK's operators by how their names begin, and which of the graph they are.
_KINDS = {
    "Convolution (NHWC": ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"),
    "Fully Connected": ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"),
    "Add": ("ADD",),
    "Mean": ("MEAN",),
    "Constant Pad": ("PAD",),
    "Max Pooling": ("MAX_POOL_2D",),
    "Concatenate": ("CONCATENATION",),
}


class LiteRtProfiler:
    """Two compiled models of one network: without the profiler and with it."""

    engine = runtime.ENGINE

    def __init__(
        self, artifact: Path, contract: Description, threads: int, image: Float32Array
    ) -> None:
        """Compile both and write the image into their inputs."""
        model = contract.model_file(artifact, ".tflite")
        batch = np.ascontiguousarray(encode(image, contract.input))
        self._plain = Compiled(model, threads, batch, profile=False)
        self._profiled = Compiled(model, threads, batch, profile=True)
        self._graph = _graph(model)
        self._runs: list[tuple[float, list[Event]]] = []

    def plain(self) -> object:
        """One inference without the profiler."""
        self._plain.run()
        return None

    def profiled(self) -> object:
        """One inference with it, and its events."""
        self._profiled.start()
        begin = time.perf_counter_ns()
        self._profiled.run()
        wall = (time.perf_counter_ns() - begin) / 1e3
        self._profiled.stop()
        self._runs.append((wall, self._profiled.events()))
        return None

    def recording(self) -> Recording:
        """Operators by inference, in the order in which they ran."""
        nodes, runs = assemble(self._runs, self._graph)
        return Recording(
            engine=self.engine,
            method=_METHOD,
            caveats=_CAVEATS,
            starts_known=False,
            nodes=nodes,
            runs=runs,
        )


def assemble(
    taken: Sequence[tuple[float, list[Event]]], graph: Sequence[Node]
) -> tuple[list[Node], list[Run]]:
    """Nodes and inferences of (wall µs, events) each.

    Raises RuntimeUnavailableError where inferences differ in what ran, or hold no operator.
    """
    operators = [[event for event in events if event.operator] for _, events in taken]
    if not operators[0]:
        raise RuntimeUnavailableError(
            f"{runtime.ENGINE}: its profiler reported no operator; nothing can be said of them"
        )
    for one, other in pairwise(operators):
        if [event.tag for event in one] != [event.tag for event in other]:
            raise RuntimeUnavailableError(
                f"{runtime.ENGINE}: two inferences differ in their operators; run it again"
            )
    nodes = _named([event.tag for event in operators[0]], graph)
    runs = []
    for (wall, events), own in zip(taken, operators, strict=True):
        around = {
            event.tag.removeprefix("LiteRT::Run").strip("[]"): event.elapsed_us
            for event in events
            if event.tag.startswith("LiteRT::Run")
        }
        position = around.get("buffer registration", 0.0)
        kernels = []
        for number, event in enumerate(own):
            kernels.append(Kernel(node=number, start_us=position, duration_us=event.elapsed_us))
            position += event.elapsed_us
        # Of two clocks with whole microseconds: never less than what it holds.
        runs.append(
            Run(
                total_us=max(wall, sum(around.values()) + sum(e.elapsed_us for e in own)),
                kernels=kernels,
                overhead_us=around,
            )
        )
    return nodes, runs


def _named(tags: Sequence[str], graph: Sequence[Node]) -> list[Node]:
    """XNNPACK's operators with the names and shapes of the graph's where kinds agree in number."""
    found = [Node(name=f"{tag} #{number}", op=_short(tag)) for number, tag in enumerate(tags)]
    for kinds in dict.fromkeys(_KINDS.values()):
        here = [n for n, tag in enumerate(tags) if _kinds(tag) == kinds]
        there = [node for node in graph if node.op in kinds]
        if len(here) != len(there):
            continue
        for number, node in zip(here, there, strict=True):
            found[number] = Node(name=node.name, op=_short(tags[number]), shape=node.shape)
    return found


def _kinds(tag: str) -> tuple[str, ...]:
    return next((kinds for start, kinds in _KINDS.items() if tag.startswith(start)), ())


def _short(tag: str) -> str:
    """Without layout and data type: operators of two precisions are to be compared."""
    head, _, rest = tag.partition(" (")
    return f"{head} {rest.partition(') ')[2]}".strip()


def _graph(model: Path) -> list[Node]:
    """Nodes of the .tflite graph in order, named by the tensor that each gives."""
    interpreter: Any = vars(runtime)["Interpreter"](model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    found = []
    for operator in interpreter._get_ops_details():
        if operator["op_name"] == "DELEGATE":
            continue
        tensor = interpreter._get_tensor_details(operator["outputs"][0], 0)
        found.append(
            Node(
                name=tensor["name"],
                op=operator["op_name"],
                shape="×".join(map(str, tensor["shape"].tolist())),
            )
        )
    return found


open = LiteRtProfiler
