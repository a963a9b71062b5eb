"""What tests of several packages share."""

from pathlib import Path

import pytest

from tests.artifacts import make_artifact


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """An intact artifact of a tiny network, fixed batch 1."""
    return make_artifact(tmp_path / "artifacts/tiny/onnx")
