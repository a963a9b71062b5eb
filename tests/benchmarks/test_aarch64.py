import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from benchmarks.aarch64 import compare, machine, trial
from edgesmith import contract as contracts
from edgesmith.errors import DataError
from tests.artifacts import LABELS


def _outputs(logits: np.ndarray) -> compare.Outputs:
    count = len(logits)
    return compare.Outputs(
        np.zeros((count, 8, 12, 3), np.uint8),
        logits.astype(np.float32),
        np.full((count, 2), 8),
        "onnxruntime 1 on somewhere, numpy 2",
    )


def test_equal_outputs_are_within_bounds(artifact: Path) -> None:
    logits = np.eye(len(LABELS))
    row = compare.compare(contracts.read(artifact), _outputs(logits), _outputs(logits))
    assert row.cosine == pytest.approx(1) and row.largest == 0
    assert row.top1 == 1 and row.boxes is None and row.faults == ()
    assert compare.cells(row)[-1] == "yes"


def test_outputs_of_another_machine_that_differ_are_named(artifact: Path) -> None:
    logits = np.eye(len(LABELS))
    row = compare.compare(
        contracts.read(artifact), _outputs(np.roll(logits, 1, axis=1)), _outputs(logits)
    )
    assert row.top1 == 0 and len(row.faults) == 2
    assert "cosine" in compare.cells(row)[-1] and "agreement" in compare.cells(row)[-1]


def test_outputs_that_are_no_numbers_are_out_of_bounds(artifact: Path) -> None:
    logits = np.eye(len(LABELS))
    broken = np.where(logits > 0, np.nan, logits)
    row = compare.compare(contracts.read(artifact), _outputs(broken), _outputs(logits))
    assert row.faults


def test_images_are_spread_over_the_split(tmp_path: Path) -> None:
    tar = tmp_path / "test.tar"
    with tarfile.open(tar, "w") as archive:
        for name in ("a/1.png", "labels/1.txt", "a/2.png", "b/3.png", "b/4.png"):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            archive.addfile(info, BytesIO(name.encode()))
    paths = trial.images(tar, 2, tmp_path)
    assert [path.read_text() for path in paths] == ["a/1.png", "b/3.png"]
    with pytest.raises(DataError, match="4 images, 5 wanted"):
        trial.images(tar, 5, tmp_path)


def test_machine_without_emulator_and_without_apt_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    assert "install qemu-user-static mmdebstrap" in machine.why_not()
