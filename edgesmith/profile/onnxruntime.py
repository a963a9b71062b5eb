"""ONNX Runtime: its own profiler, `SessionOptions.enable_profiling`."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import onnxruntime

from edgesmith.contract import Description
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.preprocess import Float32Array
from edgesmith.profile.recording import Kernel, Node, Recording, Run
from edgesmith.runtimes import onnxruntime as runtime
from edgesmith.runtimes.tensors import encode

_METHOD = "ONNX Runtime's own profiler (SessionOptions.enable_profiling): one event per kernel"
_SUFFIX = "_kernel_time"


class OnnxRuntimeProfiler:
    """Two sessions of one network: as benchmarked, and with the profiler."""

    engine = runtime.ENGINE

    def __init__(
        self, artifact: Path, contract: Description, threads: int, image: Float32Array
    ) -> None:
        """Load both; the profiler writes into a temporary folder."""
        self._plain = runtime.load(artifact, contract, threads, ("cpu",))
        self._image = image
        # A session that ends its profile later would write where the program was started.
        self._work = tempfile.TemporaryDirectory()
        options = onnxruntime.SessionOptions()
        # As in `runtimes.onnxruntime.load`: the profile is to be of what is benchmarked.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "1" if threads > 1 else "0"
        )
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(self._work.name) / "profile")
        self._session = onnxruntime.InferenceSession(
            str(contract.model_file(artifact, ".onnx")),
            options,
            providers=["CPUExecutionProvider"],
        )
        self._feed = {contract.input.name: encode(image, contract.input)}
        self._outputs = [output.name for output in contract.outputs]
        self._walls_us: list[float] = []

    def plain(self) -> object:
        """One inference of the session without a profiler."""
        return self._plain.run(self._image)

    def profiled(self) -> object:
        """One inference of the session with it."""
        start = time.perf_counter_ns()
        found = self._session.run(self._outputs, self._feed)
        self._walls_us.append((time.perf_counter_ns() - start) / 1e3)
        return found

    def recording(self) -> Recording:
        """What ONNX Runtime wrote, by inference."""
        path = Path(self._session.end_profiling())
        text = path.read_text()
        self._work.cleanup()
        nodes, runs = parse(text, self._walls_us)
        return Recording(
            engine=self.engine,
            method=_METHOD,
            caveats=["ONNX Runtime gives whole microseconds"],
            starts_known=True,
            nodes=nodes,
            runs=runs,
            native=text,
        )


def parse(text: str, walls_us: list[float]) -> tuple[list[Node], list[Run]]:
    """Nodes in order of execution, and the inferences; `walls_us` is what each took its caller.

    Raises RuntimeUnavailableError for JSON that is not a profile of as many inferences.
    """
    try:
        events: list[dict[str, Any]] = json.loads(text)
        sessions = [event for event in events if event["name"] == "model_run"]
        executors = [e for e in events if e["name"] == "SequentialExecutor::Execute"]
        kernels = [
            event
            for event in events
            if event["cat"] == "Node"
            and event["name"].endswith(_SUFFIX)
            and "op_name" in event["args"]
        ]
        if not len(sessions) == len(executors) == len(walls_us):
            raise ValueError(
                f"{len(sessions)} sessions and {len(executors)} executors for "
                f"{len(walls_us)} inferences"
            )
        for found in (sessions, executors, kernels):
            found.sort(key=lambda event: int(event["ts"]))
        nodes: dict[str, int] = {}
        described: list[Node] = []
        runs = []
        for session, executor, measured in zip(sessions, executors, walls_us, strict=True):
            begin, end = session["ts"], session["ts"] + session["dur"]
            own = [event for event in kernels if begin <= event["ts"] <= end]
            if not own:
                raise ValueError("an inference without kernels")
            for event in own:
                key = f"{event['name']} {event['args']['node_index']}"
                if key not in nodes:
                    nodes[key] = len(described)
                    described.append(_node(event))
            # Python's clock and ONNX Runtime's: shorter than what it holds only by rounding.
            wall = max(measured, float(session["dur"]))
            run = Run(
                total_us=wall,
                kernels=[
                    Kernel(
                        node=nodes[f"{event['name']} {event['args']['node_index']}"],
                        start_us=event["ts"] - begin,
                        duration_us=event["dur"],
                    )
                    for event in own
                ],
                overhead_us={
                    "Python binding": wall - session["dur"],
                    "session around the executor": max(0, session["dur"] - executor["dur"]),
                },
            )
            runs.append(run)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RuntimeUnavailableError(
            f"the profile that {runtime.ENGINE} wrote cannot be read "
            f"({type(error).__name__}: {error}); install onnxruntime 1.22 to 1.31"
        ) from error
    return described, runs


def _node(event: dict[str, Any]) -> Node:
    outputs = event["args"].get("output_type_shape") or [{}]
    shape: list[int] = next(iter(outputs[0].values()), [])
    return Node(
        name=event["name"].removesuffix(_SUFFIX),
        op=event["args"]["op_name"],
        shape="×".join(map(str, shape)),
    )


open = OnnxRuntimeProfiler
