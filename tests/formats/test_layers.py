from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgesmith.compress.quantize import ranges
from edgesmith.formats import layers
from edgesmith.formats.onnx import FILE
from tests import tiny
from tests.formats.conftest import Case, Quantized

# resnet18 adds in place.
ARCHITECTURE = "resnet18"


def rank(case: Case, folder: Path) -> list[tuple[str, float]]:
    values = case.written["onnxruntime"].layers
    return layers.rank(case.variant, folder / FILE, values, tiny.noise(2))


def test_every_tensor_is_compared_worst_first(quantized: Quantized) -> None:
    case = quantized(ARCHITECTURE)
    ranking = rank(case, case.folders["onnxruntime"])
    levels = [level for _, level in ranking]

    assert {key for key, _ in ranking} == set(ranges.read(case.variant).activations)
    assert levels == sorted(levels)
    # Nothing is wrong with this artifact: its additions are as close as its convolutions.
    assert levels[0] > 15


def test_the_layer_at_fault_comes_before_those_that_it_spoils(
    quantized: Quantized, tmp_path: Path
) -> None:
    case = quantized(ARCHITECTURE)
    model = onnx.load(case.folders["onnxruntime"] / FILE)
    scale = next(t for t in model.graph.initializer if t.name == "layer3.0.conv1.weight_scale")
    broken = numpy_helper.to_array(scale) * np.float32(3)
    scale.CopyFrom(numpy_helper.from_array(broken, scale.name))
    onnx.save(model, tmp_path / FILE)
    levels = dict(rank(case, tmp_path))

    assert levels["layer3.0.conv1"] < 5
    assert min(levels[key] for key in levels if key.startswith(("layer1", "layer2"))) > 15
    assert levels["layer3.0.conv1"] < levels["layer3.0.downsample.0"]
