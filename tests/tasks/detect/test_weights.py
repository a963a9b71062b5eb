"""Start weights of detectors from files: read, fitted, refused, and never run."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from ultralytics.nn.tasks import DetectionModel

from edgesmith.errors import ModelError
from edgesmith.params import Model
from edgesmith.tasks.detect import networks, task, weights
from tests import tiny_detector as tiny

KEY = "params.yaml: models.net.weights"


@pytest.fixture(scope="module")
def model() -> DetectionModel:
    torch.manual_seed(1)
    net = DetectionModel("yolo26n.yaml", nc=2, verbose=False)
    for tensor in net.state_dict().values():
        if tensor.dtype.is_floating_point:
            tensor.add_(torch.rand_like(tensor) * 0.1)
    return net


@pytest.fixture(scope="module")
def stored(model: DetectionModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "yolo.safetensors"
    # Copies: safetensors refuses tensors that share memory.
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    safetensors.torch.save_file(state, path)
    return path


def start(path: Path, classes: int = 2, **keys: Any) -> networks.Detector:
    keys = {"architecture": "yolo26n", "dataset": "any", "input": tiny.SPEC, **keys}
    return task.start(Model(task="detect", weights=str(path), **keys), "net", classes)


def wrapped(model: DetectionModel) -> dict[str, torch.Tensor]:
    return networks.wrap(copy.deepcopy(model), "one-to-one").state_dict()


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> list[bool]:
    assert found.keys() == expected.keys()
    return [
        found[key].shape == tensor.shape and torch.equal(found[key], tensor)
        for key, tensor in expected.items()
    ]


def test_tensors_of_safetensors_are_taken(model: DetectionModel, stored: Path) -> None:
    assert all(same(start(stored).state_dict(), wrapped(model)))


def test_a_checkpoint_of_ultralytics_is_read(model: DetectionModel, tmp_path: Path) -> None:
    """As its trainer writes them: layers in half precision, what it averaged in `ema`."""
    path = tmp_path / "yolo.pt"
    half = copy.deepcopy(model).half()
    torch.save({"model": None, "epoch": -1, "train_args": {"epochs": 3}, "ema": half}, path)
    expected = wrapped(copy.deepcopy(half).float())

    assert all(same(start(path).state_dict(), expected))


def test_a_checkpoint_without_an_average_is_read(model: DetectionModel, tmp_path: Path) -> None:
    path, result = tmp_path / "yolo.pt", tmp_path / "yolo.safetensors"
    torch.save({"model": model, "ema": None}, path)
    weights.convert(path, result)

    assert all(same(safetensors.torch.load_file(result), dict(model.state_dict())))


def test_other_classes_start_afresh_and_all_else_is_kept(
    model: DetectionModel, stored: Path
) -> None:
    net = start(stored, classes=5)
    before, after = wrapped(model), net.state_dict()
    fresh = {key for key in before if before[key].shape != after[key].shape}

    assert {key.split(".")[0] for key in fresh} == {"scores", "other_scores"}
    assert len(fresh) == 2 * 3 * 2 and all(".2." in key for key in fresh)
    assert all(torch.equal(before[key], after[key]) for key in before.keys() - fresh)


def test_the_head_to_deploy_is_the_one_asked_for(model: DetectionModel, stored: Path) -> None:
    net = start(stored, head="one-to-many")

    assert torch.equal(net.boxes[0][2].weight, model.model[-1].cv2[0][2].weight)
    assert torch.equal(net.other_boxes[0][2].weight, model.model[-1].one2one_cv2[0][2].weight)


def test_weights_of_another_architecture_are_refused(stored: Path) -> None:
    with pytest.raises(ModelError) as caught:
        start(stored, architecture="yolo26s")

    assert str(caught.value).startswith(f"{KEY}: ")
    assert "do not fit yolo26s, first 'model.0.bn.bias'" in str(caught.value)


def test_weights_without_the_second_head_are_refused(stored: Path, tmp_path: Path) -> None:
    state = {k: t for k, t in safetensors.torch.load_file(stored).items() if "one2one" not in k}
    path = tmp_path / "single.safetensors"
    safetensors.torch.save_file(state, path)

    with pytest.raises(ModelError, match=r"first 'model\.23\.one2one_cv2.*with both of its heads"):
        start(path)


@pytest.mark.parametrize("name", ["absent.pt", "absent.safetensors", "folder.pt"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.pt").mkdir()

    with pytest.raises(ModelError, match=rf"{KEY}: .*{name} is not a file; give none, or the path"):
        start(tmp_path / name)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.safetensors"
    path.write_bytes(b"no weights, just some text" * 20)

    with pytest.raises(ModelError, match=rf"{KEY}: .*noise.safetensors is not a readable"):
        start(path)


class Malicious:
    """A pickle that leaves a file behind when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.trace}",))


@pytest.mark.parametrize("kind", ["zip", "plain pickle"])
def test_a_pickle_that_would_run_a_command_is_refused_by_name_and_does_not(
    model: DetectionModel, tmp_path: Path, kind: str
) -> None:
    path, trace = tmp_path / "yolo.pt", tmp_path / "it-ran"
    content = {"model": model, "extra": Malicious(trace)}
    if kind == "zip":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps({"extra": Malicious(trace)}))

    with pytest.raises(ModelError, match=rf"{KEY}: .*yolo\.pt") as caught:
        start(path)
    assert not trace.exists()
    assert "cannot be read" in str(caught.value)
    assert kind != "zip" or f"{os.system.__module__}.system" in str(caught.value)
    pickle.loads(pickle.dumps(Malicious(trace)))
    assert trace.exists()


class Layer(torch.nn.Module):
    """Not one of torch or Ultralytics."""


def test_a_layer_of_nobody_known_is_refused(model: DetectionModel, tmp_path: Path) -> None:
    path = tmp_path / "yolo.pt"
    torch.save({"model": torch.nn.Sequential(Layer())}, path)

    with pytest.raises(ModelError, match=r"wants to call .*test_weights\.Layer"):
        weights.convert(path, tmp_path / "out.safetensors")


def test_a_checkpoint_of_no_detector_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "linear.pt"
    torch.save({"model": torch.nn.Linear(2, 2)}, path)

    with pytest.raises(ModelError, match="holds no detection model"):
        weights.convert(path, tmp_path / "out.safetensors")


def test_the_reader_sees_nothing_of_the_environment(
    model: DetectionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, str]] = []

    def run(*_: object, env: dict[str, str], **__: object) -> None:
        given.append(env)
        raise KeyboardInterrupt

    path = tmp_path / "yolo.pt"
    path.touch()
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setattr("subprocess.run", run)
    with pytest.raises(KeyboardInterrupt):
        start(path)

    assert set(given[0]) <= {"PATH", "PYTHONPATH", "HOME"}
    assert given[0]["HOME"] != os.environ.get("HOME")
