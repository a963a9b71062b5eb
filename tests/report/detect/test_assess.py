from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("faster_coco_eval", reason="needs the extra `build`")

from edgesmith import contract as contracts
from edgesmith.decode.detect import Detections
from edgesmith.errors import DataError, ModelError
from edgesmith.preprocess import normalise
from edgesmith.report import accuracy
from edgesmith.report.accuracy import Accuracy
from edgesmith.report.detect import assess as detection
from edgesmith.report.detect.plot import pr_plot
from edgesmith.runtimes import session as runtimes
from edgesmith.scoring import detect as scoring
from edgesmith.scoring.detect import Truth
from tests.detector import SPEC, images, make_detector
from tests.report.scenes import box, found, scenes, truth_of


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return make_detector(tmp_path / "onnx")


def assess(
    detector: Path, own: list[Detections], truth: list[Truth], **references: list[Detections]
) -> Accuracy:
    return detection.assess(
        contracts.read(detector),
        own,
        truth,
        references,
        runtime="onnxruntime 1",
        providers=("cpu",),
        threads=2,
        sqnr_db=31.25,
    )


def test_record_holds_every_comparison_with_a_reference(detector: Path, tmp_path: Path) -> None:
    own, truth = scenes(0, noise=1.5)
    better, _ = scenes(0, noise=0.3)
    blind = [found(np.zeros((0, 4), np.float32), [], []), *better[1:]]
    record = assess(detector, own, truth, self=own, parent=blind, baseline=better)
    assert (record.task, record.metric, record.images) == ("detect", "map50_95", 30)
    assert record.value_ci95.low < record.value < record.value_ci95.high
    assert record.map50 > record.value
    assert record.delta_vs_baseline < 0 and record.delta_ci95.high < 0
    assert record.agreement_vs_self == 1 and record.value_of_self == pytest.approx(record.value)
    assert 0.9 < record.agreement_vs_parent < 1
    assert (record.sqnr_db, record.threads, record.providers) == (31.25, 2, "cpu")
    accuracy.write(record, tmp_path / "record.json")
    assert accuracy.read(tmp_path / "record.json") == record


def test_pairing_makes_the_interval_of_a_difference_narrower(detector: Path) -> None:
    own, truth = scenes(1, noise=5)
    slightly = [d._replace(boxes=d.boxes + np.float32(0.3)) for d in own]
    record = assess(detector, slightly, truth, baseline=own)
    wide = record.value_ci95.high - record.value_ci95.low
    assert record.delta_ci95.high - record.delta_ci95.low < wide / 3


def test_same_detections_make_the_same_record(detector: Path) -> None:
    own, truth = scenes(2)
    record = assess(detector, own, truth, baseline=own)
    assert record == assess(detector, own, truth, baseline=own)
    assert record.delta_vs_baseline == 0 and record.agreement_vs_parent is None


def test_sizes_without_an_object_are_left_out_of_the_file(detector: Path, tmp_path: Path) -> None:
    truth = [truth_of(box(0, 0, 20, 20), [0])]
    record = assess(detector, [found(truth[0].boxes, [0.9], [0])], truth)
    assert (record.value, record.map_small, record.map_large) == (1, 1, None)
    accuracy.write(record, tmp_path / "record.json")
    assert "map_small" in (tmp_path / "record.json").read_text()
    assert "map_large" not in (tmp_path / "record.json").read_text()


def test_a_reference_of_other_images_is_refused(detector: Path) -> None:
    own, truth = scenes(3)
    with pytest.raises(ModelError, match="parent has detections of 29 images, the test split"):
        assess(detector, own, truth, parent=own[1:])


def test_images_without_an_object_are_refused(detector: Path) -> None:
    own, _ = scenes(4, images=2)
    empty = truth_of(np.zeros((0, 4), np.float32), [])
    with pytest.raises(DataError, match="none of 2 test images holds an object"):
        assess(detector, own, [empty, empty])
    assert scoring.mean_average_precision(own, [empty, empty], 3) == 0


def test_predictions_are_decoded_down_to_the_floor(detector: Path) -> None:
    contract = contracts.read(detector)
    session = runtimes.load(detector)
    pictures = images(3)
    pictures[:2, 8:16, 16:24] = (255, 0, 0)
    predictions = session.run(normalise(pictures, SPEC))
    decoded = detection.decode_all(contract, predictions)
    assert len(decoded) == 3
    floor = np.log(detection.SCORE_FLOOR / (1 - detection.SCORE_FLOOR))
    assert [len(d.scores) for d in decoded] == list((predictions[..., 4:] >= floor).sum((1, 2)))
    assert [len(d.scores) for d in decoded] == [1, 1, 0]
    predictions[1, 2, 3] = np.nan
    with pytest.raises(ModelError, match="NaN or infinity for 1 of 3 images"):
        detection.decode_all(contract, predictions)


def test_the_plot_shows_the_curves_and_is_repeatable() -> None:
    good, truth = scenes(5, noise=1)
    bad, _ = scenes(5, noise=12)
    picture = pr_plot({"onnx": good, "ncnn": bad}, truth, 3, "yolo26n-qat")
    assert picture == pr_plot({"onnx": good, "ncnn": bad}, truth, 3, "yolo26n-qat")
    assert picture != pr_plot({"onnx": good, "ncnn": good}, truth, 3, "yolo26n-qat")
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), 1).shape[0] > 300
