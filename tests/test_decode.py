from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgesmith import contract as contracts
from edgesmith.contract import Boxes, Output
from edgesmith.decode.classify import top_k
from edgesmith.decode.detect import detect, objects, strides
from edgesmith.errors import ContractError, ModelError

SINGLE = Boxes(head="one-to-one")
MANY = Boxes(head="one-to-many", iou_threshold=0.5)
# A 64 × 32 image (height, width): 8×4 cells of 8 px, 4×2 of 16, 2×1 of 32.
HEIGHT, WIDTH, CELLS = 64, 32, 42


def nothing(classes: int = 3) -> np.ndarray:
    """Predictions that find no object."""
    predictions = np.zeros((CELLS, 4 + classes), np.float32)
    predictions[:, 4:] = -20
    return predictions


def logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


def put(predictions: np.ndarray, cell: int, box: list[float], kind: int, score: float) -> None:
    predictions[cell, :4], predictions[cell, 4 + kind] = box, logit(score)


def test_a_box_is_measured_from_its_cells_centre_in_strides() -> None:
    predictions = nothing()
    put(predictions, 6, [1, 0.5, 2, 1.5], 0, 0.6)  # stride 8: row 1, column 2
    put(predictions, 32 + 5, [0, 0, 1, 1], 2, 0.9)  # stride 16: row 2, column 1
    put(predictions, 32 + 8 + 1, [0.5, 0.5, 0.5, 0.5], 1, 0.7)  # stride 32: row 1, column 0
    found = detect(predictions, SINGLE, HEIGHT, WIDTH)
    assert found.boxes.tolist() == [[24, 40, 40, 56], [0, 32, 32, 64], [12, 8, 36, 24]]
    assert found.classes.tolist() == [2, 1, 0]
    assert found.scores == pytest.approx([0.9, 0.7, 0.6])
    assert [part.dtype for part in found] == [np.float32, np.float32, np.int64]


@pytest.mark.parametrize("boxes", [SINGLE, MANY])
def test_an_empty_image_has_no_detections(boxes: Boxes) -> None:
    found = detect(nothing(), boxes, HEIGHT, WIDTH)
    assert found.boxes.shape == (0, 4) and len(found.scores) == len(found.classes) == 0


@pytest.mark.parametrize("boxes", [SINGLE, MANY])
def test_the_threshold_and_the_limit_are_the_contracts(boxes: Boxes) -> None:
    predictions = nothing()
    for cell, score in enumerate([0.3, 0.5, 0.7, 0.9]):
        put(predictions, 8 * cell, [0.1] * 4, 0, score)

    def scores(**update: float) -> list[float]:
        rule = boxes.model_copy(update=update)
        return [round(float(s), 3) for s in detect(predictions, rule, HEIGHT, WIDTH).scores]

    assert scores() == [0.9, 0.7, 0.5, 0.3]
    assert scores(score_threshold=0.6) == [0.9, 0.7]
    assert scores(score_threshold=1.0) == []
    assert scores(max_detections=3) == [0.9, 0.7, 0.5]


def test_one_cell_may_hold_two_classes() -> None:
    predictions = nothing()
    predictions[0, :4] = 1
    predictions[0, [4, 6]] = logit(0.8), logit(0.9)
    for boxes in (SINGLE, MANY):
        assert detect(predictions, boxes, HEIGHT, WIDTH).classes.tolist() == [2, 0]


def test_a_one_to_many_head_keeps_the_best_box_of_an_object() -> None:
    predictions = nothing()
    put(predictions, 0, [0, 0, 2, 2], 0, 0.6)
    put(predictions, 1, [1, 0, 1, 2], 0, 0.9)  # the same box from the next cell
    put(predictions, 4, [0, 0, 2, 2], 0, 0.8)  # half a cell lower: IoU 1/3
    put(predictions, 5, [1, 1, 1, 1], 1, 0.7)  # the first box again, of another class
    found = detect(predictions, MANY, HEIGHT, WIDTH)
    assert found.scores == pytest.approx([0.9, 0.8, 0.7]) and found.classes.tolist() == [0, 0, 1]
    assert len(detect(predictions, SINGLE, HEIGHT, WIDTH).scores) == 4
    loose = MANY.model_copy(update={"iou_threshold": 1.0})
    assert len(detect(predictions, loose, HEIGHT, WIDTH).scores) == 4


def test_boxes_without_area_do_not_cover_each_other() -> None:
    predictions = nothing()
    put(predictions, 0, [-1, 0, 0, 0], 0, 0.9)
    put(predictions, 1, [0, -1, 0, 0], 0, 0.8)
    assert len(detect(predictions, MANY, HEIGHT, WIDTH).scores) == 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 5])
def test_what_is_no_number_is_refused(value: float, column: int) -> None:
    predictions = nothing()
    predictions[7, column] = value
    with pytest.raises(ModelError, match=r"NaN or infinity.*wider"):
        detect(predictions, SINGLE, HEIGHT, WIDTH)


def test_objects_name_the_artifact_that_fails(artifact: Path) -> None:
    classifier = contracts.read(artifact)
    with pytest.raises(ContractError, match="artifacts/tiny/onnx: its contract has no `boxes`"):
        objects(nothing(), classifier, 10, 10)
    size = classifier.input.preprocess.model_copy(update={"height": HEIGHT, "width": WIDTH})
    source = classifier.input.model_copy(update={"preprocess": size})
    level = Output(
        name="a", meaning="boxes", dtype="float32", shape=[1, 4, 8, 4], decode="ltrb", stride=8
    )
    outputs = [level.model_copy(update={"stride": stride}) for stride in (32, 8, 16)]
    assert strides(outputs) == (8, 16, 32)
    update = {"boxes": SINGLE, "input": source, "outputs": outputs}
    with pytest.raises(ModelError, match="artifacts/tiny/onnx: the detector gives NaN"):
        objects(nothing() * np.nan, classifier.model_copy(update=update), 10, 10)


def test_the_largest_numbers_are_numbers() -> None:
    predictions = nothing()
    predictions[:, 4:] = -3e38
    assert len(detect(predictions, SINGLE, HEIGHT, WIDTH).scores) == 0


@pytest.mark.parametrize("shape", [(41, 7), (42, 4), (1, 42, 7)])
def test_predictions_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ContractError, match=r"64×32 pixels at strides 8, 16, 32 take \(42, 4 \+"):
        detect(np.zeros(shape, np.float32), SINGLE, HEIGHT, WIDTH)


def test_levels_are_those_that_are_given() -> None:
    predictions = nothing()[:40]
    put(predictions, 39, [0.5] * 4, 0, 0.9)
    assert detect(predictions, SINGLE, HEIGHT, WIDTH, (8, 16)).boxes.tolist() == [[16, 48, 32, 64]]


def random_predictions(seed: int, classes: int, size: int = 64) -> np.ndarray:
    cells = sum((size // stride) ** 2 for stride in (8, 16, 32))
    random = np.random.default_rng(seed)
    boxes = random.uniform(-0.5, 3, (cells, 4))
    return np.concatenate([boxes, random.normal(-1, 2, (cells, classes))], 1).astype(np.float32)


def overlaps(centred: np.ndarray) -> np.ndarray:
    """IoU of all pairs of (N, 4) boxes: cx, cy, width, height."""
    centre, half = centred[:, :2].astype(np.float64), centred[:, 2:].astype(np.float64) / 2
    low = np.maximum((centre - half)[:, None], (centre - half)[None])
    high = np.minimum((centre + half)[:, None], (centre + half)[None])
    shared = (high - low).clip(0).prod(axis=2)
    areas = (2 * half).prod(axis=1)
    return shared / (areas[:, None] + areas[None] - shared)


def ultralytics(predictions: np.ndarray, size: int, end2end: bool) -> tuple[object, object]:
    """Its head and its decoded predictions (1, cells, 4 + classes) of the same maps."""
    import edgesmith.tasks.detect  # noqa: F401, PLC0415 (keeps Ultralytics off the net)

    torch = pytest.importorskip("torch", reason="needs the extra `build`")
    head_module = pytest.importorskip("ultralytics.nn.modules.head", reason="needs `detect`")
    head = head_module.Detect(predictions.shape[1] - 4, 1, end2end, (8, 8, 8)).eval()
    head.xyxy = end2end
    head.stride = torch.tensor([8.0, 16.0, 32.0])
    rows = torch.from_numpy(predictions.T[None])
    maps = [torch.zeros(1, 8, size // stride, size // stride) for stride in (8, 16, 32)]
    decoded = head._inference({"boxes": rows[:, :4], "scores": rows[:, 4:], "feats": maps})
    return head, decoded


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), classes=st.sampled_from([1, 3, 80]))
def test_one_to_one_is_what_ultralytics_finds(seed: int, classes: int) -> None:
    predictions = random_predictions(seed, classes)
    head, decoded = ultralytics(predictions, 64, end2end=True)
    expected = head.postprocess(decoded.permute(0, 2, 1))[0].numpy()
    rule = Boxes(head="one-to-one", score_threshold=0, max_detections=len(predictions))
    found = detect(predictions, rule, 64, 64)
    np.testing.assert_allclose(found.boxes, expected[:, :4], atol=1e-4)
    np.testing.assert_allclose(found.scores, expected[:, 4], atol=1e-4)
    assert found.classes.tolist() == expected[:, 5].tolist()


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), classes=st.sampled_from([1, 3]))
def test_one_to_many_is_what_ultralytics_keeps(seed: int, classes: int) -> None:
    predictions = random_predictions(seed, classes)
    _, decoded = ultralytics(predictions, 64, end2end=False)
    # It moves each class by thousands of pixels before it compares boxes, which costs it digits.
    assume(np.abs(overlaps(decoded[0, :4].numpy().T) - 0.5).min() > 1e-4)
    nms = pytest.importorskip("ultralytics.utils.nms")
    expected = nms.non_max_suppression(decoded, 0.25, 0.5, multi_label=True)[0].numpy()
    found = detect(predictions, MANY, 64, 64)
    np.testing.assert_allclose(found.boxes, expected[:, :4], atol=1e-3)
    np.testing.assert_allclose(found.scores, expected[:, 4], atol=1e-4)
    assert found.classes.tolist() == expected[:, 5].tolist()


def test_the_most_probable_classes_come_first() -> None:
    best = top_k(np.array([[0, 2, 1]], np.float32), ["a", "b", "c"], 2)[0]
    assert [prediction.label for prediction in best] == ["b", "c"]
    assert best[0].probability == pytest.approx(0.6652, abs=1e-4)
