from pathlib import Path

import numpy as np
import pytest

from edgesmith import contract as contracts
from edgesmith.errors import ContractError, ModelError
from edgesmith.intervals import Bounds
from edgesmith.report import accuracy
from edgesmith.report.classify.assess import assess
from edgesmith.scoring.classify import agreement


def _assess(artifact: Path, logits: np.ndarray, labels: np.ndarray, **references: np.ndarray):
    return assess(
        contracts.read(artifact),
        logits,
        labels,
        references,
        runtime="onnxruntime 1",
        providers=("cpu",),
        threads=1,
    )


def _logits(classes: list[int]) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[classes]


def test_wilson_interval_of_published_examples() -> None:
    # Newcombe (1998), Statistics in Medicine 17:857, table I, method 3.
    assert accuracy.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert accuracy.wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert accuracy.wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert accuracy.wilson_interval(29, 29) == pytest.approx((0.8830, 1.0), abs=1e-4)


def test_unpaired_interval_of_a_published_example() -> None:
    # Newcombe (1998), Statistics in Medicine 17:873, table II, method 10: 56/70 - 48/80.
    one = Bounds.of(accuracy.wilson_interval(56, 70), 8)
    other = Bounds.of(accuracy.wilson_interval(48, 80), 8)
    difference, interval = accuracy.unpaired_difference(56 / 70, one, 48 / 80, other)
    assert difference == pytest.approx(0.2)
    assert interval == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_paired_difference_counts_only_images_on_which_the_two_differ() -> None:
    right = np.array([True] * 90 + [False] * 6 + [True] * 4)
    reference = np.array([True] * 96 + [False] * 4)
    difference, interval = accuracy.paired_difference(right, reference)
    assert difference == pytest.approx(-0.02)
    # Bonett and Price: (5 - 7) / 102 -+ 1.96 * sqrt((12/102 - (2/102)^2) / 102).
    assert interval == pytest.approx((-0.0861, 0.0468), abs=1e-4)


def test_equal_predictions_leave_an_interval_around_zero() -> None:
    right = np.ones(500, bool)
    difference, interval = accuracy.paired_difference(right, right)
    assert difference == 0
    assert interval.low < 0 < interval.high < 0.01


def test_sqnr_of_a_tenth_of_the_signal_is_twenty_decibels() -> None:
    reference = np.ones((4, 3), np.float32)
    assert accuracy.sqnr_db(reference * np.float32(1.1), reference) == pytest.approx(20, abs=1e-3)
    assert accuracy.sqnr_db(reference, reference) == 200


def test_agreement_is_about_the_class_and_not_the_value() -> None:
    assert agreement(_logits([0, 1, 2, 2]) * 5, _logits([0, 1, 2, 0])) == 0.75


def test_record_holds_every_comparison_with_a_reference(artifact: Path, tmp_path: Path) -> None:
    labels = np.array([0, 1, 2, 0])
    record = _assess(
        artifact,
        _logits([0, 1, 2, 1]),
        labels,
        self=_logits([0, 1, 2, 1]),
        parent=_logits([0, 1, 1, 1]),
        baseline=_logits([0, 1, 2, 0]),
    )
    assert record.value == 0.75
    assert record.delta_vs_baseline == -0.25
    assert record.agreement_vs_self == 1 and record.value_of_self == 0.75
    assert record.agreement_vs_parent == 0.75
    assert record.images == 4
    assert record.size_bytes == (artifact / "model.onnx").stat().st_size
    path = tmp_path / "a.json"
    accuracy.write(record, path)
    assert accuracy.read(path) == record
    assert "null" not in path.read_text() and "[" not in path.read_text()


def test_comparison_without_reference_is_absent_from_the_file(
    artifact: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    accuracy.write(_assess(artifact, _logits([0]), np.array([0])), path)
    text = path.read_text()
    assert "delta" not in text and "sqnr" not in text and "agreement" not in text


def test_reference_of_another_test_split_is_refused(artifact: Path) -> None:
    with pytest.raises(ModelError, match=r"parent is \(2, 3\)"):
        _assess(artifact, _logits([0]), np.array([0]), parent=_logits([0, 1]))


def test_artifact_that_overflows_is_refused(artifact: Path) -> None:
    logits = _logits([0, 1])
    logits[1, 2] = np.inf
    with pytest.raises(ModelError, match="NaN or infinity for 1 of 2 images"):
        _assess(artifact, logits, np.array([0, 1]))


def test_damaged_record_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(ContractError, match=r"x\.json"):
        accuracy.read(path)
