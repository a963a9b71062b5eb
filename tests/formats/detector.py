"""A quantized detector that the tests of its formats share, and its networks run by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import ncnn
import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from edgesmith.contract import Description
from edgesmith.preprocess import Float32Array, normalise
from edgesmith.runtimes import tensors
from edgesmith.tasks.detect.networks import Detector
from tests import tiny_detector as tiny

Maps = list[Float32Array]


@dataclass
class Made:
    """`floats`: the folded network; `net`: with biases rounded; `variant`: its quantization."""

    floats: Detector
    net: Detector
    variant: Path
    inputs: Float32Array
    simulated: Float32Array

    @cached_property
    def expected(self) -> Float32Array:
        """What the network gives in float."""
        return tiny.compute(self.floats, self.inputs)


def make(folder: Path, keep_float: Sequence[str] = ()) -> Made:
    """A detector quantized below `folder`, and two images that it did not see."""
    net = tiny.folded(tiny.network())
    floats = copy.deepcopy(net)
    variant = folder / "models/tiny-ptq"
    graph = tiny.quantize(net, tiny.SPEC, variant, keep_float)
    inputs = normalise(tiny.images(2, seed=9), tiny.SPEC)
    return Made(floats, net, variant, inputs, tiny.compute(graph, inputs))


def one_by_one(run: Callable[[Float32Array], Maps], inputs: Float32Array) -> Float32Array:
    """Predictions (N, cells, 4 + classes) of what takes one image."""
    return np.concatenate([tiny.predictions(run(image[None])) for image in inputs])


def by_onnxruntime(model: Path, optimised: Path | None = None) -> Callable[[Float32Array], Maps]:
    """Run `model`; the graph as ONNX Runtime runs it goes to `optimised`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if optimised:
        options.optimized_model_filepath = str(optimised)
    opened = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda images: opened.run(None, {"input": images})


def by_ncnn(folder: Path, described: Description) -> Callable[[Float32Array], Maps]:
    """Run an NCNN model, whose maps have to have the shapes that its contract says."""
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    assert net.load_param(str(folder / "model.param")) == 0
    assert net.load_model(str(folder / "model.bin")) == 0

    def run(images: Float32Array) -> Maps:
        single = np.ascontiguousarray(images[0])
        extractor = net.create_extractor()
        extractor.input(described.input.name, ncnn.Mat(single))
        found = [np.array(extractor.extract(o.name)[1])[None] for o in described.outputs]
        assert [list(value.shape) for value in found] == [o.shape for o in described.outputs]
        return found

    return run


def by_litert(model: Path, described: Description) -> Callable[[Float32Array], Maps]:
    """Run a .tflite file, whose tensors have to be what its contract says."""
    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    details = {entry["name"]: entry for entry in interpreter.get_output_details()}

    def run(images: Float32Array) -> Maps:
        interpreter.set_tensor(source["index"], tensors.encode(images, described.input))
        interpreter.invoke()
        found = [interpreter.get_tensor(details[o.name]["index"]) for o in described.outputs]
        assert [list(value.shape) for value in found] == [o.shape for o in described.outputs]
        return [value.transpose(0, 3, 1, 2) for value in found]

    return run
