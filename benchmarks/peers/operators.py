"""What a runtime executes of a file: the reason behind a latency."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import onnx
import onnxruntime

from benchmarks.peers.artifact import SUFFIX
from edgesmith.contract import Contract
from edgesmith.formats import tflite_check


def executed(folder: Path, contract: Contract) -> dict[str, int]:
    """How often each operator runs, most frequent first.

    Of ONNX files after ONNX Runtime's own optimisation for this CPU, in the settings of
    `edgesmith.runtimes.onnxruntime`; of TFLite files as stored, which is what LiteRT plans from.
    """
    path = contract.model_file(folder, SUFFIX[contract.format])
    if contract.format == "tflite":
        counts = Counter(tflite_check.examine(path.read_bytes(), contract.variant).counts)
        return dict(counts.most_common())
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # it warns that the file it writes is for this machine: it is
    with tempfile.TemporaryDirectory() as temporary:
        options.optimized_model_filepath = str(Path(temporary) / "optimised.onnx")
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(options.optimized_model_filepath).graph
    return dict(Counter(node.op_type for node in graph.node).most_common())
