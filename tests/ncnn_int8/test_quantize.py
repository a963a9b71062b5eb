from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesmith.errors import ExportError
from edgesmith.ncnn_int8.model import Model
from edgesmith.ncnn_int8.quantize import Scales, quantize
from edgesmith.report.accuracy import sqnr_db
from tests.ncnn_int8 import nets

# Larger than what `nets.images` reach, and all different: one at the wrong place shows.
LARGEST = {"stem": 8.0, "depthwise": 4.0, "project": 5.0, "dense": 3.0, "linear": 1.0}
SCALES = {name: Scales(largest) for name, largest in LARGEST.items()}


def single(weight: np.ndarray, **options: int) -> Model:
    """One convolution."""
    return Model((nets.INPUT, nets.conv("conv", "in0", "out0", weight, **options)))


def rounded(values: np.ndarray, scale: float) -> np.ndarray:
    return np.clip(np.rint(values * scale), -127, 127)


def convolved(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A dense convolution of odd kernel, stride 1 and zero padding, in float64."""
    edge = weight.shape[-1] // 2
    padded = np.pad(image, ((0, 0), (edge, edge), (edge, edge)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows, weight.astype(np.float64))


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_computes_what_its_integers_say(tmp_path: Path, kernel: int) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(8, 16, kernel, kernel)).astype(np.float32)
    image = rng.normal(size=(16, 10, 10)).astype(np.float32)
    paths = nets.store(quantize(single(weight), {"conv": Scales(2.0)}), tmp_path)

    per_channel = 127 / np.abs(weight).max(axis=(1, 2, 3))
    integers = convolved(
        rounded(image, 127 / 2.0), rounded(weight, per_channel[:, None, None, None])
    )
    expected = integers / (127 / 2.0) / per_channel[:, None, None] + 0.1
    np.testing.assert_allclose(nets.run(*paths, image), expected, rtol=1e-5, atol=1e-4)


def test_sums_of_a_dense_3x3_convolution_do_not_overflow(tmp_path: Path) -> None:
    """Winograd's would: the corners of its transformed weights and images are 144 times as large.

    Left on, ncnn was off by 462 here.
    """
    signs = np.array([[1, -1, 1], [-1, 1, -1], [1, -1, 1]], np.float32)
    weight = np.tile(signs, (64, 64, 1, 1))
    checks = (-1.0) ** np.add.outer(np.arange(48), np.arange(48))
    image = np.tile(checks.astype(np.float32), (64, 1, 1))
    paths = nets.store(quantize(single(weight), {"conv": Scales(1.0)}), tmp_path)

    np.testing.assert_allclose(nets.run(*paths, image), convolved(image, weight) + 0.1, atol=0.01)


def test_a_depthwise_convolution_has_one_scale_per_channel(tmp_path: Path) -> None:
    magnitudes = np.array([1, 0.1, 0.01, 0.001], np.float32)
    weight = np.tile(magnitudes[:, None, None, None], (1, 1, 3, 3))
    paths = nets.store(quantize(single(weight, groups=4), {"conv": Scales(1.0)}), tmp_path)
    image = np.ones((4, 5, 5), np.float32)

    # With one scale for all, the last channels would be rounded to nothing.
    centre = nets.run(*paths, image)[:, 2, 2] - 0.1
    np.testing.assert_allclose(centre, 9 * magnitudes, rtol=1e-3)


def test_a_grouped_convolution_has_one_scale_per_group(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).normal(size=(8, 4, 3, 3)).astype(np.float32)
    image = np.random.default_rng(1).normal(size=(8, 6, 6)).astype(np.float32)
    model = single(weight, groups=2)
    float_paths = nets.store(model, tmp_path)
    paths = nets.store(quantize(model, {"conv": Scales(4.0)}), tmp_path, "int8")

    assert sqnr_db(nets.run(*paths, image), nets.run(*float_paths, image)) > 30


def test_a_whole_network_keeps_its_results_at_a_quarter_of_the_size(tmp_path: Path) -> None:
    model = nets.residual()
    float_paths = nets.store(model, tmp_path)
    paths = nets.store(quantize(model, SCALES), tmp_path, "int8")
    found = np.stack([nets.run(*paths, image) for image in nets.images(8)])
    expected = np.stack([nets.run(*float_paths, image) for image in nets.images(8)])

    assert sqnr_db(found, expected) > 20
    assert paths[1].stat().st_size < 0.4 * float_paths[1].stat().st_size


def test_a_convolution_read_by_one_other_writes_integers(tmp_path: Path) -> None:
    integers = quantize(nets.residual(), SCALES)
    terms = {layer.name: layer.integer(8) for layer in integers.weighted()}
    paths = nets.store(integers, tmp_path)
    between = nets.run(*paths, nets.images(1)[0], "a")

    # `project` is read by an addition too, `dense` by the addition alone: they stay float.
    assert terms == {"stem": 102, "depthwise": 101, "project": 2, "dense": 2, "linear": 2}
    np.testing.assert_array_equal(between, np.rint(between))
    assert 10 < between.max() <= 127
    after = nets.run(*paths, nets.images(1)[0], "c")
    assert not np.array_equal(after, np.rint(after))


def test_given_weight_steps_are_used(tmp_path: Path) -> None:
    weight = np.array([[1.0], [1.0]], np.float32).reshape(2, 1, 1, 1)
    steps = np.array([1 / 127, 0.4], np.float32)
    paths = nets.store(quantize(single(weight), {"conv": Scales(1.0, steps)}), tmp_path)

    # 1 is 2.5 steps of 0.4, and rounds to 2 of them.
    found = nets.run(*paths, np.ones((1, 1, 1), np.float32)).ravel() - 0.1
    np.testing.assert_allclose(found, [1.0, 0.8], atol=1e-5)


def test_a_channel_of_zeros_gives_its_bias(tmp_path: Path) -> None:
    weight = np.zeros((2, 1, 1, 1), np.float32)
    paths = nets.store(quantize(single(weight), {"conv": Scales(1.0)}), tmp_path)
    found = nets.run(*paths, np.ones((1, 2, 2), np.float32))
    np.testing.assert_allclose(found, 0.1, atol=1e-6)


def test_a_missing_range_is_refused_with_the_tensor() -> None:
    scales = {name: scale for name, scale in SCALES.items() if name != "dense"}
    with pytest.raises(ExportError, match="layer dense: no range for the tensor c1 that it reads"):
        quantize(nets.residual(), scales)


@pytest.mark.parametrize("largest", [0.0, -1.0, float("nan"), float("inf")])
def test_a_range_that_covers_nothing_is_refused(largest: float) -> None:
    with pytest.raises(ExportError, match="layer dense: the range of the tensor c1 is"):
        quantize(nets.residual(), SCALES | {"dense": Scales(largest)})


def test_weight_steps_of_another_layer_are_refused() -> None:
    steps = np.ones(15, np.float32)
    with pytest.raises(ExportError, match="layer dense: 15 weight scales for 16 channels"):
        quantize(nets.residual(), SCALES | {"dense": Scales(1.0, steps)})
