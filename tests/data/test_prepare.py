from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from edgesmith.data.index import read_index
from tests.checkout import PARAMS

ROOT = Path(__file__).parents[2]


def prepare(folder: Path, name: str, **changes: str) -> subprocess.CompletedProcess[str]:
    text = PARAMS
    for old, new in changes.items():
        text = text.replace(f"{old}: ", f"{new}, {old}: ", 1)
    (folder / "params.yaml").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "stages.prepare", name],
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_the_stage_writes_the_dataset_and_says_what_is_in_it(tmp_path: Path) -> None:
    done = prepare(tmp_path, "signs", size="train: 40, val: 20, test: 20")

    assert done.stdout == "data/signs: 20 classes; 40 train, 20 val, 20 test, 32 calibration\n"
    assert read_index(tmp_path / "data" / "signs").counts["calibration"] == 32


def test_the_stage_fails_with_one_line_and_writes_nothing(tmp_path: Path) -> None:
    for name, message in (
        ("signs", "error: params.yaml: datasets.signs.train is 0 (all there are), but"),
        ("pets", "error: params.yaml: datasets.pets is not defined; known: signs"),
    ):
        done = prepare(tmp_path, name)

        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith(message)
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "data").exists()
