from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from edgesmith.params import Params, load_params
from edgesmith.report import sizes
from edgesmith.report.cells import Cell, read_cells
from edgesmith.report.sizes_plot import sizes_png
from tests.checkout import PARAMS, add_cell, make_checkout, make_device

# By variant: parent, step and what else it says, images right of 1000, milliseconds.
CHAIN = {
    "yolo-base": ("yolo", {"step": "train"}, 700, 8.0),
    "yolo-ptq": ("yolo-base", {"step": "quantize", "method": "ptq"}, 690, 5.0),
    "yolo-64": ("yolo-base", {"step": "resize", "size": 64}, 650, 6.0),
    "yolo-ptq-128": ("yolo-ptq", {"step": "resize", "size": 128}, 720, 9.0),
    "yolo-ptq-32": ("yolo-ptq-128", {"step": "resize", "size": 32}, 400, 1.25),
}


def _params(folder: Path) -> Params:
    content = yaml.safe_load(PARAMS)
    source = {"height": 64, "width": 96, "resize": "letterbox"}
    source |= {"mean": [0, 0, 0], "std": [255, 255, 255]}
    content["datasets"]["scenes"] = {"source": "scenes", "path": "", "calibration": 32}
    network = {"task": "detect", "architecture": "yolo26n", "dataset": "scenes", "input": source}
    content["models"]["yolo"] = network
    place = {"task": "detect", "teacher": "yolo", "baseline": "yolo-base", "dataset": "scenes"}
    for name, (parent, step, _, _) in CHAIN.items():
        content["variants"][name] = {**place, **step, "parent": parent, "schedule": "full"}
    listed = {name: {k: place[k] for k in ("task", "dataset", "baseline")} for name in CHAIN}
    content["formats"]["ncnn"] = content["formats"]["ncnn"] | listed
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_params(path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = make_checkout(tmp_path)
    add_cell(folder, "base", 900)
    for name, (_, _, right, latency) in CHAIN.items():
        add_cell(folder, name, right, latency_ms=latency)
    return folder


def _cells(folder: Path) -> list[Cell]:
    """The cells, those of the detector with what a detector's records say."""
    found = []
    for cell in read_cells(_params(folder), folder / "metrics", make_device()):
        change = {"metric": "map50_95", "task": "detect"} if "yolo" in cell.variant else {}
        change |= {"precision": "int8"} if "ptq" in cell.variant else {}
        found.append(replace(cell, accuracy=cell.accuracy.model_copy(update=change)))
    return found


def _lines(folder: Path) -> dict[str, list[sizes.Line]]:
    return sizes.find(_cells(folder), _params(folder))


def test_a_line_is_a_network_at_its_own_size_and_at_those_it_was_resized_to(checkout: Path) -> None:
    found = _lines(checkout)

    assert list(found) == ["yolo-base"]
    described = [
        (line.network, line.format, line.precision, [p.name for p in line.points])
        for line in found["yolo-base"]
    ]
    assert described == [
        ("yolo-base", "onnx", "fp32", ["64", "96×64"]),
        ("yolo-ptq", "onnx", "int8", ["32", "96×64", "128"]),
    ]


def test_formats_have_lines_of_their_own_onnx_first(checkout: Path) -> None:
    for name in ("yolo-ptq", "yolo-ptq-32"):
        add_cell(checkout, name, 600, format_name="ncnn")
    add_cell(checkout, "yolo-base", 700, format_name="ncnn")
    found = _lines(checkout)["yolo-base"]

    assert [(line.network, line.format, len(line.points)) for line in found] == [
        ("yolo-base", "onnx", 2),
        ("yolo-ptq", "onnx", 3),
        ("yolo-ptq", "ncnn", 2),
    ]


def test_every_size_has_a_row_with_what_was_measured_at_it(checkout: Path) -> None:
    add_cell(checkout, "yolo-64", 650, latency_ms=6, noisy=True)
    (checkout / "metrics/bench/host/yolo-ptq-128.onnx.json").unlink()
    text = sizes.markdown(_lines(checkout), _params(checkout)).splitlines()

    assert "`scenes`, 1000 test images." in text
    assert "| yolo-ptq | onnx | int8 | 32 | 40.0 [37.0, 43.1] | 1.25 | 3.25 | 800 |" in text
    assert "| yolo-base | onnx | fp32 | 64 | 65.0 [62.0, 67.9] | 6.00 ~ | 8.00 | 167 |" in text
    assert "| yolo-ptq | onnx | int8 | 128 | 72.0 [69.1, 74.7] | — | — | — |" in text


def test_without_a_resized_variant_there_is_no_section(checkout: Path) -> None:
    cells = [cell for cell in _cells(checkout) if "-base" in cell.variant or "net" in cell.variant]
    params = _params(checkout)
    found = sizes.find(cells, params)

    assert found == {} and sizes.markdown(found, params) == ""


def _picture(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


def test_the_plot_is_the_same_each_time_and_follows_the_figures(checkout: Path) -> None:
    first = sizes_png(_lines(checkout))
    assert first == sizes_png(_lines(checkout))
    add_cell(checkout, "yolo-64", 650, latency_ms=3)

    assert not np.array_equal(_picture(first), _picture(sizes_png(_lines(checkout))))


def test_another_size_alone_is_no_retraining(checkout: Path) -> None:
    retrained = {cell.variant: cell.retraining for cell in _cells(checkout)}

    assert not any(retrained[name] for name in CHAIN)


def test_a_plot_of_nothing_says_why(checkout: Path) -> None:
    undefined = sizes_png({})
    for path in (checkout / "metrics/bench/host").iterdir():
        path.unlink()
    unmeasured = sizes_png(_lines(checkout))

    assert _picture(undefined).std() > 0
    assert not np.array_equal(_picture(undefined), _picture(unmeasured))
