"""What stands in for an artifact that the publishing host cannot run."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesmith import contract as contracts
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.publish.checkout import Tracked
from edgesmith.publish.describe import Described
from edgesmith.publish.references import References
from tests.artifacts import make_artifact


def _described(folder: Path) -> Described:
    contract = contracts.read(folder)
    return Described(Tracked(contract.variant, contract.format, "stage", ()), contract, (), folder)


@pytest.mark.slow
def test_output_in_onnx_stands_in_for_a_format_that_does_not_run_here(tmp_path: Path) -> None:
    image = cv2.imencode(".png", np.full((9, 9, 3), 77, np.uint8))[1].tobytes()
    foreign = _described(make_artifact(tmp_path / "engine", format_name="engine"))
    references = References(tmp_path / "remote", tmp_path)
    with pytest.raises(RuntimeUnavailableError):
        references.of(foreign, image)
    own = references.of(_described(make_artifact(tmp_path / "onnx")), image)
    lent = references.of(foreign, image)
    assert lent.output == own.output and lent.engine == f"{own.engine} (ONNX)"
    assert (tmp_path / "remote" / own.output.place).stat().st_size == own.output.size_bytes
