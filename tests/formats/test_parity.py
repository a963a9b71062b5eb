from __future__ import annotations

import numpy as np
import pytest

from edgesmith.contract import Parity
from edgesmith.data.classify.store import Split
from edgesmith.errors import ParityError
from edgesmith.formats import parity
from edgesmith.params import Tolerance

TOLERANCE = Tolerance(max_abs_diff=0.5, min_sqnr_db=20, min_agreement=0.9, max_metric_drop=0.05)
REFERENCE = np.random.default_rng(0).normal(0, 3, (40, 5)).astype(np.float32)
SPLIT = Split(np.zeros((40, 8, 8, 3), np.uint8), REFERENCE.argmax(1), ["x"] * 40)


def refuse() -> parity.Ranking:
    raise AssertionError("layers are compared for an artifact that is within tolerance")


def measure(artifact: np.ndarray, tolerance: Tolerance) -> Parity:
    return parity.measure(artifact, REFERENCE, SPLIT, "classify", None, "models/x", tolerance)


def message(artifact: np.ndarray, tolerance: Tolerance = TOLERANCE) -> str:
    measured = measure(artifact, tolerance)
    with pytest.raises(ParityError) as caught:
        parity.check(measured, tolerance, "artifacts/x/onnx", lambda: [("a.b", 3.0), ("c", 9.0)])
    return str(caught.value)


def test_equal_logits_pass() -> None:
    measured = parity.measure(
        REFERENCE.copy(), REFERENCE, SPLIT, "classify", None, "models/x", TOLERANCE
    )
    parity.check(measured, TOLERANCE, "artifacts/x/onnx", refuse)

    assert (measured.max_abs_diff, measured.agreement, measured.metric_drop) == (0, 1, 0)
    assert measured.cosine == pytest.approx(1)
    assert measured.tolerance["min_sqnr_db"] == 20


def test_a_difference_within_tolerance_passes() -> None:
    shifted = REFERENCE + np.float32(0.1)
    measured = measure(shifted, TOLERANCE)
    parity.check(measured, TOLERANCE, "artifacts/x/onnx", refuse)

    assert measured.max_abs_diff == pytest.approx(0.1, rel=1e-3)
    assert measured.sqnr_db == pytest.approx(20 * np.log10(REFERENCE.std() / 0.1), abs=0.5)


def test_what_is_wrong_is_said_with_its_figure_and_the_worst_layers() -> None:
    one = REFERENCE.copy()
    one[0, 0] += 0.7
    text = message(one)

    assert "artifacts/x/onnx differs from models/x on 40 images: max_abs_diff is 0.7" in text
    assert "above 0.5" in text and "params.yaml: tolerances" in text
    assert text.index("3.0 dB  a.b") < text.index("9.0 dB  c")
    assert "agreement" not in text


@pytest.mark.parametrize(
    ("name", "limit"),
    [("min_sqnr_db", 60.0), ("min_agreement", 1.0), ("max_metric_drop", 0.0)],
)
def test_every_tolerance_can_refuse_alone(name: str, limit: float) -> None:
    artifact = REFERENCE.copy()
    artifact[0] = np.roll(artifact[0], 1)  # one image gets another class
    tolerance = Tolerance(
        max_abs_diff=100, min_sqnr_db=-100, min_agreement=0, max_metric_drop=1
    ).model_copy(update={name: limit})

    assert f"{name[4:]} is " in message(artifact, tolerance)


@pytest.mark.parametrize("fault", [np.nan, np.inf])
def test_an_artifact_without_numbers_is_refused(fault: float) -> None:
    broken = REFERENCE.copy()
    broken[3, 2] = fault

    with np.errstate(all="ignore"):
        text = message(broken)
    assert "max_abs_diff is " in text
    assert "sqnr_db is -200" in text


def test_a_constant_artifact_is_refused() -> None:
    assert "agreement" in message(np.zeros_like(REFERENCE))
