from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith import contract as contracts
from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.ranges import Range
from edgesmith.data.classify.store import Split, load_split
from edgesmith.errors import ExportError, ParityError
from edgesmith.formats import tflite
from edgesmith.formats.tflite import FILE
from edgesmith.formats.tflite_check import examine
from edgesmith.formats.tflite_graph import Graph
from edgesmith.report.accuracy import sqnr_db
from edgesmith.runtimes import session
from edgesmith.tasks.store import load_reference, read_card
from tests import tiny

NAMES = ("base", "half", "ptq")
PRECISIONS = {"base": "fp32", "half": "fp16", "ptq": "int8"}


@pytest.fixture(scope="module")
def test_split(exported_tflite: Path) -> Split:
    return load_split(exported_tflite / "data/tints", "test", tiny.SPEC)


def graph_of(folder: Path, name: str) -> Graph:
    return Graph((folder / "artifacts" / name / "tflite" / FILE).read_bytes(), name)


@pytest.mark.parametrize("name", NAMES)
def test_an_artifact_runs_as_its_variant_does(
    exported_tflite: Path, test_split: Split, name: str
) -> None:
    opened = session.load(exported_tflite / "artifacts" / name / "tflite")
    logits = session.predict(opened, test_split.images)
    reference = load_reference(exported_tflite / "models" / name)["self"]

    assert sqnr_db(logits, reference) > {"fp32": 80, "fp16": 35, "int8": 20}[PRECISIONS[name]]
    assert opened.contract.precision == PRECISIONS[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_contract_describes_channel_last_tensors(exported_tflite: Path, name: str) -> None:
    contract = contracts.verify(exported_tflite / "artifacts" / name / "tflite")
    integer = PRECISIONS[name] == "int8"
    (output,) = contract.outputs

    assert (contract.format, contract.target, contract.variant) == ("tflite", "any", name)
    assert (contract.input.layout, contract.input.name, output.name) == ("NHWC", "input", "logits")
    assert contract.input.shape == [1, tiny.SIZE, tiny.SIZE, 3]
    assert contract.input.dtype == output.dtype == ("int8" if integer else "float32")
    assert (contract.input.quantization is not None) == integer
    assert contract.parity.images == 32
    assert list(contract.files) == [FILE]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_changes_the_layout_and_padding_is_left_to_strides_alone(
    exported_tflite: Path, name: str
) -> None:
    graph = graph_of(exported_tflite, name)
    kinds = examine(graph.pack(), name).counts
    readers = {int(op.inputs[0]): op for op in graph.operators}

    assert "TRANSPOSE" not in kinds
    # torch pads the first row of an even map, TFLite's SAME the last: those of stride 2 stay.
    for pad in (op for op in graph.operators if graph.kind(op) == "PAD"):
        assert readers[int(pad.outputs[0])].builtinOptions.strideH == 2


def test_weights_are_held_in_the_precision_of_the_variant(exported_tflite: Path) -> None:
    size, held = {}, {}
    for name in NAMES:
        graph = graph_of(exported_tflite, name)
        size[name] = (exported_tflite / "artifacts" / name / "tflite" / FILE).stat().st_size
        stored = [graph.constant(k) for k in range(len(graph.subgraph.tensors))]
        held[name] = {str(v.dtype) for v in stored if v is not None and v.size > 16}

    assert held == {
        "base": {"float32"},
        "half": {"float16"},
        "ptq": {"int8", "int32"},
    }
    assert size["half"] < 0.6 * size["base"] and size["ptq"] < 0.5 * size["base"]


@pytest.mark.parametrize("name", NAMES)
def test_an_artifact_does_not_know_where_it_was_made(exported_tflite: Path, name: str) -> None:
    content = (exported_tflite / "artifacts" / name / "tflite" / FILE).read_bytes()

    for text in (str(Path.home()), str(exported_tflite), "site-packages", "litert_torch"):
        assert text.encode() not in content


@pytest.mark.slow
def test_converting_again_gives_the_same_bytes(exported_tflite: Path, tmp_path: Path) -> None:
    variant = exported_tflite / "models/ptq"
    images = load_split(exported_tflite / "data/tints", "calibration", tiny.SPEC).images
    tflite.write(tflite.convert(variant), tmp_path, images)

    expected = (exported_tflite / "artifacts/ptq/tflite" / FILE).read_bytes()
    assert (tmp_path / FILE).read_bytes() == expected


def test_logits_are_read_with_the_range_of_the_calibration_images(exported_tflite: Path) -> None:
    contract = contracts.read(exported_tflite / "artifacts/ptq/tflite")
    held = contract.outputs[0].quantization
    logits = load_reference(exported_tflite / "models/ptq")["self"]
    low, high = ((limit - held.zero_point) * held.scale for limit in (-128, 127))

    # Of the same distribution as the test images, and no wider than twice what they need.
    assert low < np.percentile(logits, 1) and high > np.percentile(logits, 99)
    assert high - low < 2 * (logits.max() - logits.min())


def test_logits_that_are_all_zero_are_refused(exported_tflite: Path) -> None:
    zeroed = graph_of(exported_tflite, "base")
    for index, tensor in enumerate(zeroed.subgraph.tensors):
        values = zeroed.constant(index)
        if values is not None and values.dtype == np.float32:
            zeroed.model.buffers[tensor.buffer].data = np.zeros(values.nbytes, np.uint8)

    card = read_card(exported_tflite / "models/base")
    with pytest.raises(ExportError, match=r"logits on 4 calibration images span \[0.0, 0.0\]"):
        tflite.logits_range(zeroed.pack(), tiny.noise(4), card)


@pytest.mark.slow
def test_an_artifact_outside_its_tolerance_is_not_written(
    exported_tflite: Path, checkout: Path
) -> None:
    shutil.copytree(exported_tflite / "models/ptq", "models/ptq")
    unreachable = {"max_abs_diff": 9, "min_sqnr_db": 190, "min_agreement": 0, "max_metric_drop": 1}
    tiny.write_params(
        checkout,
        variants=tiny.CHAIN,
        tolerances={"classify": {**tiny.TOLERANCES, "int8": unreachable}},
    )

    with pytest.raises(ParityError) as caught:
        tiny.run("export_tflite", "ptq")
    message = str(caught.value)
    levels = [float(line.split()[0]) for line in message.splitlines() if " dB  " in line]

    assert message.startswith("artifacts/ptq/tflite differs from models/ptq on 32 images: sqnr_db")
    assert "features." in message
    assert len(levels) == 10 and levels == sorted(levels)
    assert not list(Path("artifacts/ptq").iterdir())


def test_what_tflite_cannot_express_is_an_export_error() -> None:
    class Bessel(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(x)

    with pytest.raises(ExportError, match="tflite: LiteRT's converter cannot express"):
        tflite._through_converter(Bessel().eval(), 8, 8, 0)


def test_a_weight_beyond_half_precision_is_named(exported_tflite: Path) -> None:
    graph = graph_of(exported_tflite, "base")
    layer = next(op for op in graph.operators if graph.kind(op) == "FULLY_CONNECTED")
    weight = graph.constant(layer.inputs[1]).copy()
    weight[0, 0] = 1e5
    layer.inputs[1] = graph.add_tensor("classifier.weight", "float32", weight.shape, weight)

    with pytest.raises(ExportError, match=r"classifier\.weight holds a value beyond 65504"):
        tflite._halve(graph)


def test_ranges_of_a_variant_are_those_of_its_tensors(exported_tflite: Path) -> None:
    quantization = ranges.read(exported_tflite / "models/ptq")
    graph = graph_of(exported_tflite, "ptq")
    held = {t.name.decode(): t.quantization for t in graph.subgraph.tensors}

    for key, values in quantization.activations.items():
        scale, zero_point = Range(low=values.low, high=values.high).affine()
        assert held[key].scale == [np.float32(scale)]
        assert held[key].zeroPoint == [zero_point]
    for layer, scales in quantization.weights.items():
        np.testing.assert_array_equal(held[f"{layer}.weight"].scale, np.float32(scales))
