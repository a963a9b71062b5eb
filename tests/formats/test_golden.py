"""One image through every artifact: the same answer, and scores within the declared tolerance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesmith.data.classify.store import load_split
from edgesmith.runtimes import session
from edgesmith.tasks.store import load_reference
from tests import tiny


@pytest.fixture(scope="module")
def artifacts(exported: Path, exported_tflite: Path, exported_ncnn: Path) -> list[Path]:
    roots = (exported, exported_tflite, exported_ncnn)
    return sorted(path.parent for root in roots for path in root.rglob("contract.json"))


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_every_artifact_says_the_same_of_one_image(
    artifacts: list[Path], exported: Path, number: int
) -> None:
    test = load_split(exported / "data/tints", "test", tiny.SPEC)
    image = test.images[number : number + 1]
    answers = {}
    for artifact in artifacts:
        opened = session.load(artifact)
        variant = opened.contract.variant
        logits = session.predict(opened, image)[0]
        reference = load_reference(exported / "models" / variant)["self"][number]
        tolerance = opened.contract.parity.tolerance["max_abs_diff"]

        assert np.abs(logits - reference).max() <= tolerance, artifact
        answers[variant, artifact.name] = int(logits.argmax())

    assert len(answers) == 3 * 4
    assert set(answers.values()) == {test.labels[number]}
