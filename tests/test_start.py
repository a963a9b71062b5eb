"""What is loaded when edgesmith starts: a board reads each module from its card first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

# Of the build side, and what nothing on a device has a use for; rich is of tables alone.
_NEVER = (
    *("torch", "onnx", "yaml", "ruamel", "dvc", "matplotlib", "timm", "scipy", "pandas", "PIL"),
    *("requests", "urllib3", "tqdm", "edgesmith.params", "edgesmith.tasks", "edgesmith.compress"),
    *("edgesmith.formats", "edgesmith.data", "edgesmith.report", "edgesmith.bench"),
)
_RUN = """
import sys, json
before = set(sys.modules)
{code}
print(json.dumps(sorted(set(sys.modules) - before)), file=sys.stderr)
"""


def _loads(code: str, *arguments: object) -> set[str]:
    """Modules that `code` adds to a fresh interpreter, and the packages that they are of."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN.format(code=code), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"},
    )
    names: list[str] = json.loads(done.stderr.splitlines()[-1])
    parts = [name.split(".") for name in names]
    return {".".join(part[:end]) for part in parts for end in range(1, len(part) + 1)}


def _command(*arguments: object) -> set[str]:
    return _loads(
        "from edgesmith.cli import app; app(sys.argv[1:], standalone_mode=False)", *arguments
    )


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    cv2.imwrite(str(path), np.full((40, 60, 3), (0, 0, 255), np.uint8))
    return path


def test_import_of_edgesmith_loads_nothing_else() -> None:
    assert _loads("import edgesmith") == {"edgesmith"}


def test_help_needs_no_library_but_typer() -> None:
    loaded = _loads("from edgesmith.cli import app; app(['--help'], standalone_mode=False)")
    assert "typer" in loaded
    assert loaded.isdisjoint({*_NEVER, "numpy", "cv2", "pydantic", "psutil", "rich"})


def test_inspect_needs_no_runtime(artifact: Path) -> None:
    loaded = _command("inspect", artifact)
    assert "edgesmith.contract" in loaded
    assert loaded.isdisjoint({*_NEVER, "onnxruntime", "ncnn", "ai_edge_litert", "psutil", "rich"})


def test_first_inference_loads_one_runtime(artifact: Path, image: Path) -> None:
    loaded = _command("predict", artifact, image)
    assert "onnxruntime" in loaded
    assert loaded.isdisjoint({*_NEVER, "ncnn", "ai_edge_litert", "psutil", "rich"})


def test_sensors_need_neither_images_nor_a_runtime() -> None:
    loaded = _command("sensors")
    assert "edgesmith.device.sensors.find" in loaded
    assert loaded.isdisjoint({*_NEVER, "cv2", "onnxruntime", "ncnn", "ai_edge_litert", "rich"})


def test_command_line_starts_no_threads_for_products_of_matrices() -> None:
    code = "import os; from edgesmith import cli; assert os.environ['OPENBLAS_NUM_THREADS'] == '1'"
    _loads(code)
