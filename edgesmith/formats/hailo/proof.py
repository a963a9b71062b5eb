"""The chip's part of a graph and the host's decoding against the whole graph, in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime

from edgesmith.boxes import Boxes
from edgesmith.errors import ExportError
from edgesmith.formats.hailo.contents import Proof
from edgesmith.formats.hailo.graph import INPUT, Cut
from edgesmith.preprocess import Float32Array, Preprocess, UInt8Array, normalise
from edgesmith.runtimes.tensors import unpack

# What float arithmetic in another order may make of a probability, and of an edge in pixels.
_SCORE_TOLERANCE, _PIXEL_TOLERANCE = 1e-5, 1e-2


def run(model: onnx.ModelProto, images: Float32Array) -> list[Float32Array]:
    """Outputs of a graph of batch 1 for (N, 3, H, W) float32, each (N, …)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    each = [session.run(None, {INPUT: image[None]}) for image in images]
    return [np.concatenate(values) for values in zip(*each, strict=True)]


def prove(cut: Cut, spec: Preprocess, boxes: Boxes | None, images: UInt8Array) -> Proof:
    """Differences for (N, H, W, 3) uint8 images; ExportError where they are more than rounding."""
    inputs = normalise(images, spec)
    whole = run(cut.whole, inputs)
    predictions = unpack(run(cut.chip, inputs), cut.results)
    decode = _decoder("classify" if boxes is None else "detect")
    if boxes is None:
        proof = Proof(
            images=len(images),
            max_score_diff=float(np.abs(decode.softmax(predictions) - whole[0]).max()),
            max_box_diff_px=None,
        )
    else:
        strides = sorted({output.stride for output in cut.results if output.stride})
        pairs = [
            _differences(decode, found, edges, scores, spec, strides)
            for found, edges, scores in zip(predictions, *whole, strict=True)
        ]
        score, box = (max(values) for values in zip(*pairs, strict=True))
        proof = Proof(images=len(images), max_score_diff=score, max_box_diff_px=box)
    if proof.max_score_diff > _SCORE_TOLERANCE or (proof.max_box_diff_px or 0.0) > _PIXEL_TOLERANCE:
        raise ExportError(
            f"hailo: the cut graph and the host's decoding depart from the whole graph: {proof}; "
            "the graph was cut in the wrong place"
        )
    return proof


def _differences(
    decode: Any,
    found: Float32Array,
    edges: Float32Array,
    scores: Float32Array,
    spec: Preprocess,
    strides: Sequence[int],
) -> tuple[float, float]:
    """Largest difference of scores and of edges of one image, over every cell and class."""
    everything = Boxes(head="one-to-one", score_threshold=0, max_detections=len(found))
    of_scores, of_edges = 0.0, 0.0
    for kind in range(scores.shape[1]):
        single = found[:, [0, 1, 2, 3, 4 + kind]]
        order = np.argsort(-single[:, 4], kind="stable")  # as `detect` gives them
        decoded = decode.detect(single, everything, spec.height, spec.width, strides)
        if len(decoded.scores) != len(found):
            raise ExportError("hailo: the host's decoding lost cells at a threshold of 0")
        of_scores = max(of_scores, float(np.abs(decoded.scores - scores[order, kind]).max()))
        of_edges = max(of_edges, float(np.abs(decoded.boxes - edges[order]).max()))
    return of_scores, of_edges


def _decoder(task: Literal["classify", "detect"]) -> Any:
    """The device's decoding of a task; by name, for a change of one's is none of the other's."""
    return import_module(f"edgesmith.decode.{task}")
