from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgesmith.compress.quantize.fake import TensorRange
from edgesmith.compress.quantize.ranges import BINS, Quantization, Range, choose, read
from edgesmith.errors import ModelError

Samples = npt.NDArray[np.float64]
lows = st.floats(-1e4, 0, width=32)
highs = st.floats(0, 1e4, width=32)


def chosen(samples: Samples, observer: str, percentile: float = 99.9) -> Range:
    histogram, edges = np.histogram(samples, BINS)
    return choose(
        histogram.astype(np.float64), float(edges[0]), float(edges[-1]), observer, percentile
    )


def error(samples: Samples, values: Range) -> float:
    """Mean squared error of rounding the samples themselves to the range's levels."""
    scale, zero_point = values.affine()
    integers = np.clip(np.rint(samples / scale) + zero_point, -128, 127)
    return float(np.mean((scale * (integers - zero_point) - samples) ** 2))


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (0, 255, 1, -128),
        (-255, 0, 1, 127),
        (-1.28, 1.27, 0.01, 0),
        (-1, 3, 4 / 255, -64),
        (0, 6, 6 / 255, -128),
    ],
)
def test_affine_scale_and_zero_point(
    low: float, high: float, scale: float, zero_point: int
) -> None:
    found = Range(low=low, high=high).affine()

    assert found == (pytest.approx(scale), zero_point)


@pytest.mark.parametrize(("low", "high"), [(-2.54, 1), (-1, 2.54), (0, 2.54), (-2.54, 0)])
def test_symmetric_scale_is_the_larger_side_over_127(low: float, high: float) -> None:
    assert Range(low=low, high=high).symmetric() == pytest.approx(0.02)


def test_an_empty_range_has_a_scale_that_can_be_divided_by() -> None:
    scale, zero_point = Range(low=0, high=0).affine()

    assert np.float32(scale) > 0
    assert np.float32(Range(low=0, high=0).symmetric()) > 0
    assert zero_point == -128


@given(low=lows, high=highs)
def test_zero_is_a_level_of_every_range(low: float, high: float) -> None:
    assert error(np.zeros(1), Range(low=low, high=high)) == 0.0


@given(low=lows, high=highs)
def test_levels_reach_both_ends(low: float, high: float) -> None:
    values = Range(low=low, high=high)
    scale, zero_point = values.affine()

    assert scale * (-128 - zero_point) <= low + scale
    assert scale * (127 - zero_point) >= high - scale
    assert 127 * values.symmetric() >= max(-low, high) * (1 - 1e-9)


@given(low=lows, high=highs, scheme=st.sampled_from(["affine", "symmetric"]))
def test_the_simulation_rounds_to_the_same_levels(low: float, high: float, scheme: str) -> None:
    """A zero point may differ by one where the division ends halfway: the levels are the same."""
    symmetric = scheme == "symmetric"
    tensor = TensorRange(
        key="x",
        dtype=torch.int8,
        quant_min=-127 if symmetric else -128,
        quant_max=127,
        qscheme=torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine,
    )
    tensor.low.fill_(low)
    tensor.high.fill_(high)
    scale, zero_point = tensor.calculate_qparams()
    values = Range(low=low, high=high)
    expected = (values.symmetric(), 0) if symmetric else values.affine()

    assert scale.item() == pytest.approx(expected[0], rel=1e-6)
    assert abs(zero_point.item() - expected[1]) <= (0 if symmetric else 1)
    assert tensor(torch.zeros(1)).item() == 0.0


@pytest.mark.parametrize(("low", "high"), [(0.5, 1), (-1, -0.5)])
def test_a_range_without_zero_is_refused(low: float, high: float) -> None:
    with pytest.raises(ValidationError, match="equal to 0"):
        Range(low=low, high=high)


@pytest.fixture
def tailed() -> Samples:
    """Most values lie near 0, a few far away, as activations do."""
    rng = np.random.default_rng(0)
    return np.concatenate([rng.laplace(0, 1, 100_000), [40.0, -25.0]])


def test_minmax_keeps_everything(tailed: Samples) -> None:
    assert chosen(tailed, "minmax") == Range(low=-25, high=40)


def test_minmax_takes_in_zero() -> None:
    assert choose(np.ones(BINS), 2, 5, "minmax", 99) == Range(low=0, high=5)
    assert choose(np.ones(BINS), -5, -2, "minmax", 99) == Range(low=-5, high=0)


@pytest.mark.parametrize("observer", ["percentile", "mse", "entropy"])
def test_every_range_holds_zero(observer: str) -> None:
    assert choose(np.ones(BINS), 2, 5, observer, 99).low == 0
    assert choose(np.ones(BINS), -5, -2, observer, 99).high == 0


def test_a_percentile_is_cut_from_both_ends() -> None:
    even = choose(np.ones(BINS), -1, 1, "percentile", 90)

    assert even.low == pytest.approx(-0.8, abs=2 / BINS)
    assert even.high == pytest.approx(0.8, abs=2 / BINS)


def test_a_percentile_of_one_hundred_keeps_everything(tailed: Samples) -> None:
    assert chosen(tailed, "percentile", 100) == Range(low=-25, high=40)


def test_a_percentile_follows_the_samples(tailed: Samples) -> None:
    found = chosen(tailed, "percentile", 99)

    low, high = np.quantile(tailed, [0.01, 0.99])
    assert found.low == pytest.approx(low, abs=2 * 65 / BINS)
    assert found.high == pytest.approx(high, abs=2 * 65 / BINS)


def test_the_smallest_error_is_found(tailed: Samples) -> None:
    found = error(tailed, chosen(tailed, "mse"))
    candidates = [
        error(tailed, Range(low=-low, high=high))
        for low in np.linspace(5, 25, 15)
        for high in np.linspace(5, 40, 15)
    ]

    assert found <= 1.05 * min(candidates)
    assert found < 0.9 * error(tailed, chosen(tailed, "minmax"))


@pytest.mark.parametrize("observer", ["mse", "entropy"])
def test_what_has_no_tail_is_not_cut(observer: str) -> None:
    even = np.random.default_rng(0).uniform(-1, 1, 200_000)
    found = chosen(even, observer)

    assert found.low == pytest.approx(-1, abs=0.02)
    assert found.high == pytest.approx(1, abs=0.02)


def test_entropy_cuts_a_far_outlier(tailed: Samples) -> None:
    found = chosen(tailed, "entropy")

    assert -20 < found.low < -3
    assert 3 < found.high < 30


@pytest.mark.parametrize("observer", ["minmax", "percentile", "mse", "entropy"])
def test_values_that_are_all_equal_have_a_range(observer: str) -> None:
    spike = np.zeros(BINS)
    spike[-1] = 1000

    assert choose(spike, 0, 3, observer, 99.9).high == pytest.approx(3, rel=0.02)


def test_a_missing_file_says_which_variants_have_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"quantization\.json: cannot be read .*step `quantize`"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"conv": [0.1, 0.0]}, r"weights\.conv: every scale"), ({"conv": []}, r"weights\.conv")],
)
def test_scales_must_be_positive(
    tmp_path: Path, weights: dict[str, list[float]], message: str
) -> None:
    content = Quantization(
        method="ptq", scheme="affine", observer="mse", images=1, activations={}, weights={}
    )
    text = content.model_copy(update={"weights": weights}).model_dump_json()
    (tmp_path / "quantization.json").write_text(text)

    with pytest.raises(ModelError, match=message):
        read(tmp_path)
