from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from edgesmith.cli import app
from edgesmith.preprocess import Preprocess, prepare, read_image
from edgesmith.report.accuracy import sqnr_db
from tests.ncnn_int8 import nets

SPEC = Preprocess(height=16, width=16, mean=(127, 127, 127), std=(64, 64, 64))
OPTIONS = ("--size", "16x16", "--mean", "127", "127", "127", "--std", "64", "64", "64")


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, Path]:
    return nets.store(nets.residual(), tmp_path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images of several sizes and types, some in a folder of their own."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(12):
        name = f"{'more/' if number % 3 else ''}{number}.{'png' if number % 2 else 'jpg'}"
        image = rng.integers(0, 256, (16 + number, 20, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / name), image)
    (folder / "notes.txt").write_text("not an image")
    return folder


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["ncnn-quantize", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result.output


@pytest.mark.parametrize("method", ["kl", "absmax"])
def test_a_folder_of_images_makes_an_int8_model(
    stored: tuple[Path, Path], photos: Path, tmp_path: Path, method: str
) -> None:
    prefix = tmp_path / "small"
    output = run(*stored, "--calibration", photos, *OPTIONS, "--method", method, "--output", prefix)
    written = Path(f"{prefix}.param"), Path(f"{prefix}.bin")
    images = prepare([read_image(path) for path in sorted(photos.rglob("*g"))], SPEC)
    found = np.stack([nets.run(*written, image) for image in images])
    expected = np.stack([nets.run(*stored, image) for image in images])

    assert f"5 layers in INT8 from 12 image(s) by {method}" in output
    assert sqnr_db(found, expected) > 20
    assert written[1].stat().st_size < 0.4 * stored[1].stat().st_size


def test_the_default_output_lies_beside_the_model(
    stored: tuple[Path, Path], photos: Path, tmp_path: Path
) -> None:
    run(*stored, "--calibration", photos, *OPTIONS)
    assert {path.name for path in tmp_path.glob("model-int8.*")} == {
        "model-int8.param",
        "model-int8.bin",
    }


def test_preprocessing_decides_the_ranges(
    stored: tuple[Path, Path], photos: Path, tmp_path: Path
) -> None:
    for name, options in (("right", OPTIONS), ("raw", ("--size", "16x16"))):
        run(*stored, "--calibration", photos, *options, "--output", tmp_path / name)
    assert (tmp_path / "right.bin").read_bytes() != (tmp_path / "raw.bin").read_bytes()


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--calibration", "nowhere", *OPTIONS), 1, "nowhere: no such folder"),
        (("--calibration", "empty", *OPTIONS), 1, "empty: no image below it"),
        (("--calibration", "photos", "--size", "16"), 2, "write --size 224x224"),
        (("--calibration", "photos", *OPTIONS, "--std", "1", "0", "1"), 2, "--std"),
        (("--calibration", "photos", *OPTIONS, "--output", "model"), 2, "would overwrite"),
    ],
)
def test_a_mistake_is_explained_and_nothing_written(
    stored: tuple[Path, Path],
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    output = run("model.param", "model.bin", *options, status=status)

    assert message in " ".join(output.replace("│", " ").split())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_image_is_named_and_nothing_written(
    stored: tuple[Path, Path], photos: Path, tmp_path: Path
) -> None:
    damaged = photos / "0.jpg"
    damaged.write_bytes(damaged.read_bytes()[:200])
    output = run(*stored, "--calibration", photos, *OPTIONS, status=1)
    assert f"error: {damaged}: truncated JPEG" in output
    assert not list(tmp_path.glob("model-int8*"))


def test_the_command_needs_no_torch(
    stored: tuple[Path, Path], photos: Path, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['onnx'] = sys.modules['tqdm'] = None\n"
        "from edgesmith.cli import app\n"
        "app()"
    )
    arguments = ["ncnn-quantize", *stored, "--calibration", photos, *OPTIONS]
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True, cwd=tmp_path)
    assert (tmp_path / "model-int8.param").is_file()
