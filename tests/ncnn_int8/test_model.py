from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgesmith.errors import ExportError, ModelError
from edgesmith.ncnn_int8.model import Layer, Model, read
from edgesmith.ncnn_int8.quantize import quantize
from tests.ncnn_int8 import nets
from tests.ncnn_int8.test_quantize import SCALES


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, Path]:
    return nets.store(nets.residual(), tmp_path)


def test_what_was_read_is_written_again_byte_for_byte(
    stored: tuple[Path, Path], tmp_path: Path
) -> None:
    model = read(*stored)
    copy = nets.store(model, tmp_path, "copy")

    assert model == nets.residual()
    for first, second in zip(stored, copy, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_halves_are_read_as_the_floats_that_they_are(tmp_path: Path) -> None:
    # An odd count: the array is filled up to four bytes.
    weight = np.array([[1.5], [-2.0], [0.25]], np.float32)
    layer = nets.weighted("InnerProduct", "linear", "in0", "out0", weight)
    halves = (0x01306B47).to_bytes(4, "little") + weight.astype("<f2").tobytes() + bytes(2)
    paths = nets.store(Model((nets.INPUT, replace(layer, data=halves))), tmp_path)

    read_weight, bias = read(*paths).weighted()[0].weights()
    np.testing.assert_array_equal(read_weight, weight)
    assert bias.size == 0


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.7, 0.9999])
def test_a_cut_bin_is_refused_with_the_layer(stored: tuple[Path, Path], share: float) -> None:
    param, binary = stored
    content = binary.read_bytes()
    binary.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match=r"layer \w+: the file ends \d+ bytes too early"):
        read(param, binary)


def test_a_bin_with_more_than_its_layers_is_refused(stored: tuple[Path, Path]) -> None:
    param, binary = stored
    binary.write_bytes(binary.read_bytes() + bytes(4))
    with pytest.raises(ModelError, match="of different models or damaged"):
        read(param, binary)


def test_weights_of_an_unknown_type_are_refused(stored: tuple[Path, Path]) -> None:
    param, binary = stored
    binary.write_bytes(b"\xff" + binary.read_bytes()[1:])
    with pytest.raises(ModelError, match=r"layer stem: .* unknown tag 0x000000ff"):
        read(param, binary)


def test_weights_that_are_not_finite_are_refused(stored: tuple[Path, Path]) -> None:
    param, binary = stored
    content = bytearray(binary.read_bytes())
    content[4:8] = np.array(np.nan, "<f4").tobytes()
    binary.write_bytes(content)
    with pytest.raises(ModelError, match="layer stem: a weight is not finite"):
        read(param, binary)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("7767517", "7767518", "does not start with 7767517"),
        ("9 10", "9", "line 2: expected the counts"),
        ("9 10", "9 11", "10 blobs where line 2 says 9 and 11"),
        ("BinaryOp  ", "BinaryOp x", "line 9: not a layer"),
        ("c0 d e", "c0 z e", "layer add: no layer before it gives z"),
        ("0=16", "0=x", "parameter 0=x is no integer"),
        ("0=16", "0=0", "layer stem: 432 weights for 0 channels"),
        ("6=432", "6=433", "layer stem: 433 weights for 16 channels"),
    ],
)
def test_a_damaged_param_is_refused_with_its_line_or_layer(
    stored: tuple[Path, Path], before: str, after: str, message: str
) -> None:
    param, binary = stored
    text = param.read_text()
    assert before in text
    param.write_text(text.replace(before, after, 1))
    with pytest.raises(ModelError, match=message):
        read(param, binary)


def test_a_cut_param_is_refused(stored: tuple[Path, Path]) -> None:
    param, binary = stored
    lines = param.read_text().splitlines()
    param.write_text("\n".join(lines[:-1]))
    with pytest.raises(ModelError, match="8 layers and 9 blobs where line 2 says 9 and 10"):
        read(param, binary)


def test_files_in_the_wrong_order_are_refused(stored: tuple[Path, Path]) -> None:
    with pytest.raises(ModelError, match=r"no(t a text| ncnn \.param) file"):
        read(*reversed(stored))


def test_a_layer_without_a_rule_is_refused_by_name_and_type(tmp_path: Path) -> None:
    layers = (nets.INPUT, nets.plain("LSTM", "memory", "in0", "out0"))
    with pytest.raises(ExportError, match=r"layer memory \(LSTM\): no rule for this type; keep"):
        read(*nets.store(Model(layers), tmp_path))


def test_an_integer_model_is_not_read_as_floats(tmp_path: Path) -> None:
    integers = quantize(nets.residual(), SCALES)
    with pytest.raises(ExportError, match="layer stem is int8 already; give the float model"):
        read(*nets.store(integers, tmp_path))


def test_constants_stay_in_the_file(tmp_path: Path) -> None:
    values = np.arange(4, dtype="<f4")
    constant = Layer("MemoryData", "anchors", (), ("k",), {0: "4"}, values.tobytes())
    model = Model((nets.INPUT, constant, nets.plain("BinaryOp", "add", "in0 k", "out0", p0=0)))
    paths = nets.store(model, tmp_path)

    assert read(*paths) == model
    np.testing.assert_array_equal(nets.run(*paths, np.zeros((1, 1, 4), np.float32)).ravel(), values)
