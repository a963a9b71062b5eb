from pathlib import Path

import numpy as np
import pytest

from edgesmith.decode.detect import objects
from edgesmith.errors import ContractError
from edgesmith.preprocess import fit
from edgesmith.runtimes import session as runtimes
from edgesmith.serve.model import Model
from edgesmith.serve.result import Seen
from edgesmith.serve.track import FAINT
from tests.artifacts import LABELS
from tests.detector import make_detector


def _load(artifact: Path, threshold: float | None = None) -> Model:
    return Model(artifact, 1, ("cpu",), threshold)


def _seen(model: Model, frame: np.ndarray) -> tuple[tuple[Seen, ...], dict[str, float]]:
    return model.decode(model.look(model.prepare(frame)))


def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_detector_finds_in_bgr_frames_what_predict_finds_in_rgb_images(tmp_path: Path) -> None:
    artifact = make_detector(tmp_path / "detector")
    frame = _noise(120, 160)
    frame[30:115, 10:100] = (0, 0, 255)  # red
    frame[0:40, 120:160] = (255, 0, 0)  # blue
    session = runtimes.load(artifact)
    rgb = fit(frame[:, :, ::-1], session.contract.input.preprocess)
    expected = objects(runtimes.predict(session, rgb[None])[0], session.contract, 120, 160)
    model = _load(artifact)
    seen, ms = _seen(model, frame)
    assert all(one.score >= FAINT for one in seen)
    found = [one for one in seen if one.score >= model.least]
    assert [seen.label for seen in found] == expected.classes.tolist()
    assert {LABELS[seen.label] for seen in found} >= {"red", "blue"}
    assert np.allclose([seen.box for seen in found], expected.boxes)
    assert [seen.score for seen in found] == pytest.approx(expected.scores)
    assert set(ms) == {"preprocess", "infer", "decode"} and min(ms.values()) > 0


def test_classifier_names_the_best_class_if_it_is_sure_enough(artifact: Path) -> None:
    frame = np.full((24, 32, 3), (0, 200, 0), np.uint8)
    (best,), _ = _seen(_load(artifact), frame)
    assert LABELS[best.label] == "green" and best.box is None
    assert _seen(_load(artifact, threshold=best.score + 0.01), frame)[0] == ()


def test_threshold_stands_in_for_the_contracts(tmp_path: Path) -> None:
    artifact = make_detector(tmp_path / "detector")
    frame = _noise(32, 48)
    everything, nothing = _load(artifact, 0.0), _load(artifact, 1.0)
    assert len(_seen(everything, frame)[0]) > 0
    assert not [seen for seen in _seen(nothing, frame)[0] if seen.score >= nothing.least]


def test_model_knows_its_name_and_its_usual_time(artifact: Path) -> None:
    model = _load(artifact)
    assert model.name == "tiny/onnx" and not model.detects and 0 < model.usual_s < 5


def test_damaged_artifact_is_refused(artifact: Path) -> None:
    (artifact / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ContractError, match=r"does not match contract\.json"):
        _load(artifact)
