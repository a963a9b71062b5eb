from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from edgesmith import contract as contracts
from edgesmith.bench.artifact import Artifact
from edgesmith.bench.frame import camera_frame
from edgesmith.cli import app
from tests.detector import make_detector


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def _fail(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)])
    assert result.exit_code == 1 and result.stderr.startswith("error: ")
    return result.stderr


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return make_detector(tmp_path / "artifacts/tiny-detector/onnx")


def write(path: Path, *cells: tuple[int, int, tuple[int, int, int]]) -> Path:
    """A grey 96 × 64 image with coloured (RGB) cells of 16 pixels: row, column, colour."""
    image = np.full((64, 96, 3), 114, np.uint8)
    for row, column, colour in cells:
        image[16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = colour[::-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
    return path


RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A red and a blue square, 16 pixels wide, at (32, 16) and (80, 48)."""
    return write(tmp_path / "scene.png", (1, 2, RED), (3, 5, BLUE))


def test_objects_are_told_in_pixels_of_the_image(detector: Path, scene: Path) -> None:
    found = json.loads(_run(detector, scene, "--json"))[str(scene)]
    boxes = {entry["label"]: entry["box"] for entry in found}
    # Bilinear sampling of every other pixel mixes nothing: the squares' edges lie between pixels.
    assert boxes["red"] == pytest.approx([32, 16, 48, 32], abs=0.01)
    # Blue moves the edges above and below by a tenth and a fifth of a cell; here the image ends.
    assert boxes["blue"] == pytest.approx([80, 46.4, 96, 64], abs=0.01)
    assert all(entry["score"] > 0.99 for entry in found)


def test_objects_are_printed_best_first(detector: Path, scene: Path) -> None:
    lines = _run(detector, scene).splitlines()
    assert lines[0] == str(scene)
    assert "100.0 %  red      32.0    16.0    48.0    32.0" in "\n".join(lines)


def test_nothing_found_says_how_to_see_more(detector: Path, tmp_path: Path) -> None:
    grey = write(tmp_path / "grey.png")
    assert "nothing with a score of 0.25 or more; --threshold" in _run(detector, grey)
    assert json.loads(_run(detector, grey, "--json")) == {str(grey): []}
    assert len(json.loads(_run(detector, grey, "--json", "--threshold", 0))[str(grey)]) == 90


def test_boxes_are_drawn_into_a_copy(detector: Path, scene: Path, tmp_path: Path) -> None:
    before = scene.read_bytes()
    out = tmp_path / "new/found.png"
    assert f"drawn into {out}" in _run(detector, scene, "--save", out)
    drawn = cv2.imread(str(out)).astype(int) - cv2.imread(str(scene))
    assert drawn[32, 33:47].any(axis=1).all(), "the red square's lower edge"
    assert not drawn[:, :16].any(), "left of both boxes and their labels"
    assert scene.read_bytes() == before


def test_several_images_are_drawn_into_a_folder(detector: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    one, two = write(folder / "1.png", (0, 0, RED)), write(folder / "2.jpg")
    _run(detector, folder, "--save", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.png", "2.jpg"]
    assert cv2.imread(str(tmp_path / "out/1.png")).shape == (64, 96, 3)
    assert "name a folder" in _fail(detector, one, two, "--save", tmp_path / "one.png")


def test_no_image_is_written_over(detector: Path, scene: Path, tmp_path: Path) -> None:
    before = scene.read_bytes()
    assert "would be written over" in _fail(detector, scene, "--save", scene)
    assert "would be written over" in _fail(detector, scene, "--save", tmp_path)
    other = write(tmp_path / "other/scene.png")
    assert "would be written over" in _fail(detector, scene, other, "--save", tmp_path / "out")
    assert scene.read_bytes() == before and not (tmp_path / "out").exists()


def test_a_format_that_cannot_be_written_is_refused(detector: Path, scene: Path) -> None:
    assert "'.gif' is none of .jpg" in _fail(detector, scene, "--save", scene.with_suffix(".gif"))


def test_a_folder_without_images_is_named(detector: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty: no .jpg" in _fail(detector, tmp_path / "empty")


def test_inspect_tells_how_boxes_are_made(detector: Path) -> None:
    output = CliRunner().invoke(app, ["inspect", str(detector)]).stdout
    assert "one-to-one head, score of at least 0.25, 300 at most" in output
    assert "scores16: scores float32" in output


@pytest.mark.parametrize("task", ["detect", "classify"])
def test_the_benchmark_goes_from_the_encoded_image_to_the_result(
    detector: Path, artifact: Path, task: str
) -> None:
    bench = Artifact(detector if task == "detect" else artifact, 1, ["cpu"], camera_frame(320, 240))
    for call in bench.calls.values():
        call()
    assert bench.engine.startswith("onnxruntime") and bench.load_ms > 0


@pytest.mark.parametrize("option", [("--save", "x.jpg"), ("--threshold", "0.5")])
def test_a_classifier_has_nothing_to_draw(
    artifact: Path, scene: Path, option: tuple[str, str]
) -> None:
    assert f"{option[0]} is for detectors; leave it out" in _fail(artifact, scene, *option)


def test_a_detector_without_a_rule_for_boxes_is_refused(detector: Path, scene: Path) -> None:
    contract = contracts.read(detector)
    contracts.write(contract.model_copy(update={"boxes": None}), detector)
    assert "a detector without `boxes`" in _fail(detector, scene)


def test_predict_runs_without_torch(detector: Path, scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.jpg"
    code = (
        "import sys\n"
        "from edgesmith.cli import app\n"
        f"app(['predict', {str(detector)!r}, {str(scene)!r}, '--save', {str(out)!r}],"
        " standalone_mode=False)\n"
        "build = {'torch', 'ultralytics', 'onnx', 'faster_coco_eval', 'matplotlib'}\n"
        "print('loaded:', sorted(build & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
    assert out.is_file()
