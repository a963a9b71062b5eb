from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("faster_coco_eval", reason="needs the extra `build`")

from edgesmith.report.detect.coco import summarise
from edgesmith.scoring import detect as matching
from edgesmith.scoring.detect import match
from tests.report.scenes import LABELS, box, found, scenes, truth_of


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("noise", [0.5, 4, 20])
def test_without_resampling_it_is_cocos_figure(seed: int, noise: float) -> None:
    detections, truth = scenes(seed, noise=noise)
    own = matching.average_precision(match(detections, truth, 3))
    summary = summarise(detections, truth, LABELS)
    assert own.mean() == pytest.approx(summary.map50_95, abs=1e-6)
    assert own[0, 0] == pytest.approx(summary.map50, abs=1e-6)
    curve = matching.precision_at_recall(match(detections, truth, 3))
    assert curve.mean() == pytest.approx(summary.map50, abs=1e-6)


def test_more_than_a_hundred_of_a_class_count_as_in_coco() -> None:
    random = np.random.default_rng(0)
    corner = random.uniform(0, 500, (130, 2))
    boxes = np.concatenate([corner, corner + 20], 1).astype(np.float32)
    truth = [truth_of(boxes, [0] * 130)]
    detections = [found(boxes, list(random.uniform(0, 1, 130)), [0] * 130)]
    value = matching.average_precision(match(detections, truth, 3)).mean()
    assert value == pytest.approx(summarise(detections, truth, LABELS).map50_95, abs=1e-6)
    assert 0.7 < value < 0.8


def test_a_resampled_set_weighs_images_as_if_they_were_there_so_often() -> None:
    detections, truth = scenes(1, images=12)
    # Scores without ties: COCO orders equal ones by place, which copies change.
    random = np.random.default_rng(0)
    detections = [
        d._replace(scores=random.uniform(0, 1, len(d.scores)).astype(np.float32))
        for d in detections
    ]
    weights = np.array([[2, 0, 1, 3, 0, 0, 1, 1, 1, 2, 0, 1]])
    drawn = np.repeat(np.arange(12), weights[0])
    copies = [
        detections[image]._replace(scores=detections[image].scores - np.float32(1e-6 * n))
        for n, image in enumerate(drawn)
    ]
    expected = summarise(copies, [truth[image] for image in drawn], LABELS).map50_95
    value = matching.average_precision(match(detections, truth, 3), weights).mean()
    # Copies of one detection are steps of one curve there and one step here.
    assert value == pytest.approx(expected, abs=0.01)


def test_samples_are_independent_of_each_other_and_of_the_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    detections, truth = scenes(2)
    matches = match(detections, truth, 3)
    weights = matching.resample(len(truth), 20, seed=0)
    together = matching.average_precision(matches, weights)
    alone = [matching.average_precision(matches, row[None])[0] for row in weights]
    np.testing.assert_array_equal(together, np.array(alone))
    monkeypatch.setattr(matching, "_PIECE", 100)
    np.testing.assert_array_equal(matching.average_precision(matches, weights), together)


def test_resampling_draws_as_many_images_as_there_are_and_is_repeatable() -> None:
    weights = matching.resample(50, 200, seed=3)
    assert (weights.sum(axis=1) == 50).all() and weights.std() == pytest.approx(1, abs=0.05)
    assert np.array_equal(weights, matching.resample(50, 200, seed=3))
    assert not np.array_equal(weights, matching.resample(50, 200, seed=4))


def test_nothing_found_and_nothing_to_find() -> None:
    nothing = found(np.zeros((0, 4), np.float32), [], [])
    empty = truth_of(np.zeros((0, 4), np.float32), [])
    real = truth_of(box(0, 0, 9, 9), [0])
    assert matching.average_precision(match([nothing, nothing], [real, empty], 3)).mean() == 0
    assert summarise([nothing, nothing], [real, empty], LABELS).map50_95 == 0
    assert np.isnan(matching.average_precision(match([nothing], [empty], 3))).all()
    assert summarise([nothing], [empty], LABELS).map50_95 is None


def test_sizes_without_an_object_are_absent() -> None:
    real = truth_of(box(0, 0, 20, 20, 50, 50, 250, 250), [0, 1])
    summary = summarise([found(real.boxes, [0.9, 0.8], [0, 0])], [real], LABELS)
    assert summary.small == 1 and summary.medium is None and summary.large == 0


def test_overlap_of_boxes() -> None:
    overlaps = matching.iou(box(0, 0, 10, 10, 5, 5, 5, 5), box(0, 0, 10, 5, 20, 20, 30, 30))
    assert overlaps.tolist() == [[0.5, 0], [0, 0]]


def test_agreement_counts_confident_detections_of_both_sides() -> None:
    one = found(box(0, 0, 10, 10, 20, 20, 30, 30, 0, 0, 9, 9), [0.9, 0.8, 0.1], [0, 1, 0])
    other = found(box(0, 0, 10, 8, 20, 20, 30, 30), [0.7, 0.9], [0, 2])
    # The first pair agrees; the second is of other classes; the third is below the score.
    assert matching.agreement([one], [other], 0.25) == 0.5
    assert matching.agreement([one], [one], 0.25) == 1
    nothing = found(np.zeros((0, 4), np.float32), [], [])
    assert matching.agreement([nothing], [nothing], 0.25) == 1
    assert matching.agreement([one], [nothing], 0.25) == 0


def test_lists_of_other_lengths_are_a_defect() -> None:
    with pytest.raises(ValueError, match="detections of 1 images, objects of 0"):
        match([found(box(0, 0, 1, 1), [1], [0])], [], 1)
