"""Ultralytics' output tensors, recorded in small, and what is made of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.peers.detect import artifact, coco128, compare, make, outputs, plan, predict, table
from benchmarks.peers.detect.compare import Candidate
from benchmarks.peers.detect.outputs import Rule
from benchmarks.peers.detect.plan import Export
from benchmarks.peers.detect.record import GroupResult, NotMeasured, Results, Row
from benchmarks.peers.detect.turns import Timing
from edgesmith import contract as contracts
from edgesmith import overlay
from edgesmith.bench.measure import Loadable
from edgesmith.contract import Contract
from edgesmith.data.detect.store import Scenes
from edgesmith.decode.detect import Detections
from edgesmith.errors import ContractError, ParamsError
from edgesmith.params import load_params
from tests import detector
from tests.artifacts import LABELS
from tests.imports import ROOT

STRICT = Rule(score=0.25, iou=0.5, most=10, every_class=False)
# Centre, size, and three scores; of 32 × 48 pixels. The second is a worse copy of the first, the
# third of its place but of another class, the fourth below the threshold.
RAW = np.array(
    [
        [10, 10, 8, 8, 0.9, 0.3, 0.0],
        [11, 10, 8, 8, 0.8, 0.1, 0.0],
        [10, 10, 8, 8, 0.0, 0.0, 0.7],
        [30, 20, 6, 4, 0.2, 0.1, 0.1],
        [36, 20, 12, 4, 0.1, 0.6, 0.1],
    ],
    np.float32,
).T
SINGLE = np.array(
    [[6, 6, 14, 14, 0.9, 0], [30, 18, 42, 22, 0.6, 1], [0, 0, 9, 9, 0.2, 2]], np.float32
)


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    return contracts.read(detector.make_detector(tmp_path / "onnx"))


def as_rows(found: Detections) -> list[tuple[float, ...]]:
    joined = zip(found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True)
    return [(*box, round(score, 4), kind) for box, score, kind in joined]


def test_raw_outputs_lose_copies_and_keep_other_classes(contract: Contract) -> None:
    found = outputs.detections(RAW, contract, STRICT)
    assert as_rows(found) == [
        (6, 6, 14, 14, 0.9, 0),
        (6, 6, 14, 14, 0.7, 2),
        (30, 18, 42, 22, 0.6, 1),
    ]
    every = outputs.detections(RAW, contract, STRICT._replace(every_class=True))
    assert as_rows(every)[-1] == (6, 6, 14, 14, 0.3, 1)


def test_raw_boxes_of_tflite_are_shares_of_the_input(contract: Contract) -> None:
    shares = RAW.copy()
    shares[[0, 2]] /= detector.SPEC.width
    shares[[1, 3]] /= detector.SPEC.height
    lite = contract.model_copy(update={"format": "tflite"})
    pixels, kept = (
        outputs.detections(values, described, STRICT)
        for values, described in ((RAW, contract), (shares, lite))
    )
    np.testing.assert_allclose(kept.boxes, pixels.boxes, atol=1e-4)
    np.testing.assert_array_equal(kept.scores, pixels.scores)


def test_free_of_nms_only_the_threshold_counts(contract: Contract) -> None:
    for described in (contract, contract.model_copy(update={"format": "tflite"})):
        found = outputs.detections(SINGLE, described, STRICT)
        assert as_rows(found) == [(6, 6, 14, 14, 0.9, 0), (30, 18, 42, 22, 0.6, 1)]


def test_boxes_go_back_to_the_image(contract: Contract) -> None:
    # 48 × 24 in 48 × 32: four rows of border above and below.
    found = outputs.in_image(SINGLE, contract, STRICT, 48, 96)
    assert found.boxes.tolist() == [[12, 4, 28, 20], [60, 28, 84, 36]]


def test_an_output_of_neither_form_is_refused() -> None:
    assert outputs.is_single([300, 6], 3) and not outputs.is_single([7, 30], 3)
    with pytest.raises(ContractError, match="look at its options"):
        outputs.is_single([8, 30], 3)


def test_an_export_is_described_and_runs_as_it_comes(
    tmp_path: Path, contract: Contract, onnx_export: Callable[[Path], None]
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    onnx_export(folder / "model.onnx")
    described = artifact.describe(folder, contract, "onnx-fp32", "onnx", "fp32", {"tool": "1"})
    assert described.outputs[0].shape == [1, 7, 5] and described.boxes == contract.boxes
    session = artifact.load(folder, 1, ("cpu",))
    images = np.full((2, 3, detector.SPEC.height, detector.SPEC.width), 0.5, np.float32)
    np.testing.assert_allclose(session.run(images), np.stack([RAW + 0.5] * 2))

    odd = contract.input.preprocess.model_copy(update={"mean": (1.0, 1.0, 1.0)})
    other = contract.model_copy(
        update={"input": contract.input.model_copy(update={"preprocess": odd})}
    )
    with pytest.raises(ContractError, match="Ultralytics feeds RGB"):
        artifact.describe(folder, other, "onnx-fp32", "onnx", "fp32", {})


@pytest.fixture
def onnx_export() -> Callable[[Path], None]:
    """Writes a network that adds the mean of the image to RAW."""

    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Add", ["raw", "mean"], ["output0"]),
    ]
    sizes = {"images": [1, 3, detector.SPEC.height, detector.SPEC.width], "output0": [1, 7, 5]}
    source, result = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in sizes.items()
    )
    constants = [numpy_helper.from_array(RAW[None], "raw")]
    graph = helper.make_graph(nodes, "export", [source], [result], constants)

    def write(path: Path) -> None:
        opset = helper.make_opsetid("", 17)
        onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)

    return write


def detections(*rows: tuple[float, ...]) -> Detections:
    values = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(values[:, :4], values[:, 4], values[:, 5].astype(np.int64))


def test_parity_pairs_by_class_and_overlap() -> None:
    one = detections((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.5, 1), (50, 50, 60, 60, 0.3, 0))
    other = detections((0, 0.25, 10, 10, 0.5, 1), (0.5, 0, 10, 10, 0.875, 0))
    pairs = predict.pair(one, other, alone_from=0.3)
    assert pairs.box_px == [0.5, 0.25] and pairs.unmatched == 1
    np.testing.assert_allclose(pairs.score, [0.025, 0], atol=1e-6)
    assert predict.pair(one, other, alone_from=0.31).unmatched == 0
    # Copies overlap alike and are told apart by their scores.
    copies = detections((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.2, 0))
    swapped = Detections(copies.boxes, copies.scores[::-1], copies.classes)
    assert predict.pair(copies, swapped, 0).score == [0, 0]

    record = predict.parity([one], [other], variant="v", epochs=3, size=(32, 48))
    assert (record.matched, record.unmatched, record.max_box_px) == (2, 1, 0.5)
    assert (record.ours, record.theirs, record.confident, record.input) == (3, 2, 3, "48×32")
    with pytest.raises(ContractError, match="train it for longer"):
        predict.parity([one], [detections()], variant="v", epochs=3, size=(32, 48))


def timing(milliseconds: float) -> Timing:
    """Three rounds that drift by half."""
    samples = [[milliseconds * slow] * 4 for slow in (1.0, 1.5, 1.2)]
    end_to_end = [[2 * value for value in turn] for turn in samples]
    return Timing({"infer": samples, "end_to_end": end_to_end}, warmup_runs=9, steady=True)


@pytest.fixture
def rows(contract: Contract) -> list[Row]:
    """Ours in float, ours in integers, which misses one of four, and exports of either."""
    box = np.array([[4, 4, 20, 20]], np.float32)
    split = Scenes(
        images=np.zeros((4, 32, 48, 3), np.uint8),
        boxes=[box] * 4,
        classes=[np.array([0])] * 4,
        sizes=np.full((4, 2), 32),
        names=[f"images/{number}.jpg" for number in range(4)],
    )

    def candidate(name: str, kind: str, precision: str, missed: int) -> Candidate:
        seen = detections((4, 4, 20, 20, 0.9, 0))
        return Candidate(
            name=name,
            kind=kind,
            setting=f"format={name}",
            head="one-to-one",
            network=Loadable(Path(name)),
            description=contract.model_copy(update={"precision": precision, "labels": LABELS}),
            detections=[detections()] * missed + [seen] * (4 - missed),
            engine="onnxruntime 1",
        )

    found = [
        candidate("base", "ours", "fp32", 0),
        candidate("ptq", "ours", "mixed", 1),
        candidate("theirs-int8", "peer", "int8", 2),
        candidate("theirs-fp32", "peer", "fp32", 0),
    ]
    return list(compare.rows(found, split, [timing(value) for value in (4.0, 2.0, 3.0, 5.0)]))


def test_an_export_stands_beside_ours_of_its_precision(rows: list[Row]) -> None:
    assert [row.against for row in rows] == [None, "base", "ptq", "base"]
    base, ptq, integer, plain = rows
    assert base.map50_95 == 1 and base.difference is None and base.infer.ratio is None
    assert ptq.difference is not None and ptq.difference.value < -0.2
    assert integer.difference is not None and plain.difference is not None
    assert integer.difference.value == pytest.approx(integer.map50_95 - ptq.map50_95, abs=2e-6)
    assert integer.difference.ci95.low < integer.difference.value < 0
    assert plain.difference.value == 0 and plain.difference.ci95.high == 0
    # What integers cost is seen against the float network of the same maker.
    assert base.loss is None and plain.loss is None and ptq.loss == ptq.difference
    assert integer.loss is not None and integer.loss.value < integer.difference.value
    # The same slowing in each round leaves ratios exact, however the rounds differ.
    assert [row.infer.ratio for row in rows] == [None, 0.5, 1.5, 1.25]
    assert [row.end_to_end.p50_ms for row in rows] == [9.6, 4.8, 7.2, 12.0]


def test_the_page_keeps_its_text_and_names_what_is_not_built(rows: list[Row]) -> None:
    both = detections((0, 0, 10, 10, 0.9, 0))
    group = GroupResult(
        baseline="base",
        format="ncnn",
        engine="ncnn 1",
        input="48×32",
        test_images=4,
        calibration_images=2,
        rows=rows,
        not_measured=[NotMeasured(name="x", setting="quantize=8", why="quantize=8: refused")],
    )
    found = Results(
        fingerprint={"cpu": "Abacus 9000", "isa": "beads"},
        fingerprint_id="0123456789ab",
        threads=1,
        rounds=3,
        min_runs=4,
        min_seconds=0.01,
        max_warmup_seconds=0.1,
        groups=[group],
        parity=predict.parity([both], [both], variant="v", epochs=3, size=(32, 48)),
    )
    page = table.insert(f"before\n{table.BEGIN}\nold figures\n{table.END}\nafter\n", found)
    assert page.startswith("before\n") and page.endswith("\nafter\n") and "old figures" not in page
    assert "- not built: quantize=8: refused\n" in page
    assert "| `format=theirs-int8` | int8 | one-to-one | 50" in page and "| ptq | -" in page
    assert "**0 px**" in page and "1.50 [1.50, 1.50]" in page
    assert table.insert(page, found) == page
    assert table.BEGIN in (ROOT / table.PAGE).read_text()


def test_groups_follow_the_parameters() -> None:
    params = load_params(ROOT / "params.yaml")
    (name,) = plan.baselines(params)
    groups = plan.groups(params, [name])
    assert [group.name for group in groups] == [f"{name}.{kind}" for kind in plan.FORMATS]
    assert all(group.quantized == ("yolo26n-ptq", "yolo26n-qat") for group in groups)
    settings = [asked.setting for group in groups for asked in group.exports]
    assert "format=litert, quantize=w8a32" in settings and "format=ncnn, quantize=8" in settings
    assert "format=onnx, nms=False" in settings
    names = [(group.name, asked.name) for group in groups for asked in group.exports]
    assert len(set(names)) == len(names)
    with pytest.raises(ParamsError, match="is not a detector"):
        plan.groups(params, ["mobilenetv2-baseline"])


def test_a_refusal_is_recorded_without_marks_and_links() -> None:
    line = "AssertionError: ERROR ❌️ quantize=8 (INT8) is not supported; format='x'. See https://y"
    assert make.reason(line) == "quantize=8 (INT8) is not supported; format='x'."
    assert make.reason("status 139") == "status 139"


def test_the_weights_of_the_parity_fit_the_parameters(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    overlay.apply(coco128.OVERLAY, path)
    assert load_params(path).variants[coco128.VARIANT].task == "detect"


def test_calls_differ_by_all_that_an_export_is_made_of() -> None:
    single, many = (Export("onnx", "int8", 8, single=free) for free in (True, False))
    assert single.name != many.name and single.setting == f"{many.setting}, nms=False"
