from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest
import safetensors.torch
import torch
from pydantic import ValidationError

from edgesmith.errors import ModelError
from edgesmith.params import Model
from edgesmith.preprocess import Preprocess
from edgesmith.tasks.classify.networks import build, head_of, start
from edgesmith.tasks.count import count


def model(architecture: str = "mobilenet_v2", size: int = 32, **keys: object) -> Model:
    spec = Preprocess(height=size, width=size, mean=(127, 127, 127), std=(128, 128, 128))
    return Model(task="classify", architecture=architecture, dataset="any", input=spec, **keys)


def test_counts_of_mobilenet_v2_are_the_published_ones() -> None:
    parameters, macs = count(build(model(), 1000), 224, 224)

    assert parameters == 3_504_872
    assert macs == pytest.approx(300.8e6, rel=1e-3)


def test_counting_leaves_the_mode_of_the_network_alone() -> None:
    net = build(model(width=0.25), 4).train()
    count(net, 32, 32)

    assert net.training
    assert all(module.training for module in net.modules())


@pytest.mark.parametrize(
    "architecture", ["mobilenet_v2", "mobilenet_v3_small", "resnet18", "efficientnet_lite0"]
)
def test_every_architecture_gives_the_classes_that_are_asked_for(architecture: str) -> None:
    net = build(model(architecture), 7).eval()

    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert head_of(net).out_features == 7


def test_a_stem_that_does_not_shrink_keeps_four_times_the_pixels() -> None:
    published = count(build(model(width=0.25), 4), 64, 64)
    kept = count(build(model(width=0.25, stem_stride=1), 4), 64, 64)

    assert kept[0] == published[0]
    assert kept[1] == pytest.approx(4 * published[1], rel=0.01)


def test_a_narrower_network_has_fewer_of_everything() -> None:
    whole, narrow = count(build(model(), 4), 32, 32), count(build(model(width=0.5), 4), 32, 32)

    assert narrow[0] < whole[0] / 2
    assert narrow[1] < whole[1] / 2


def test_width_is_refused_where_there_is_no_multiplier() -> None:
    with pytest.raises(ValidationError, match="only mobilenet_v2 has a width multiplier"):
        model("resnet18", width=0.5)


def test_random_weights_depend_on_the_seed_alone() -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return head_of(start(model(width=0.25), "net", 4)).weight

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_pretrained_features_come_with_a_new_head_for_other_classes() -> None:
    lite = model("efficientnet_lite0", weights="imagenet")
    imagenet = start(lite, "net", 1000).state_dict()
    torch.manual_seed(5)
    ours = start(lite, "net", 10)
    other = ours.state_dict()
    random = build(lite, 10).state_dict()

    assert head_of(ours).out_features == 10
    assert all(torch.equal(imagenet[k], other[k]) for k in imagenet if "classifier" not in k)
    assert not torch.equal(other["conv_stem.weight"], random["conv_stem.weight"])


def test_imagenet_weights_exist_for_the_full_width_only() -> None:
    with pytest.raises(ModelError, match=r"models\.net: ImageNet weights exist for width 1\.0"):
        start(model(weights="imagenet", width=0.5), "net", 4)


def test_weights_that_cannot_be_downloaded_are_no_random_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)

    with pytest.raises(ModelError) as caught:
        start(model("resnet18", weights="imagenet"), "teacher", 4)
    message = str(caught.value)
    assert message.startswith("params.yaml: models.teacher.weights is imagenet, but https://")
    assert "no route to host" in message
    assert f"{tmp_path}/hub/checkpoints" in message


def test_a_damaged_download_is_no_random_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    (folder / "resnet18-f37072fd.pth").write_bytes(b"not weights")

    with pytest.raises(ModelError, match=r"models\.teacher\.weights is imagenet, but .*resnet18"):
        start(model("resnet18", weights="imagenet"), "teacher", 4)


def test_weights_of_a_file_are_taken_whole(tmp_path: Path) -> None:
    stored = build(model(width=0.25), 4).state_dict()
    safetensors.torch.save_file(stored, tmp_path / "w.safetensors")
    net = start(model(width=0.25, weights=str(tmp_path / "w.safetensors")), "net", 4)

    assert all(torch.equal(tensor, stored[key]) for key, tensor in net.state_dict().items())


@pytest.mark.parametrize("content", [None, b"", b"\x80\x04 pickled"])
def test_a_weights_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ModelError, match=r"models\.net\.weights: .*w\.safetensors is not a read"):
        start(model(weights=str(path)), "net", 4)


@pytest.mark.parametrize(
    ("keys", "classes"), [({"width": 0.25}, 5), ({"width": 0.35}, 4), ({"width": 1.0}, 4)]
)
def test_weights_of_another_shape_are_refused(
    tmp_path: Path, keys: dict[str, float], classes: int
) -> None:
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(build(model(width=0.25), 4).state_dict(), path)

    with pytest.raises(ModelError, match=r"models\.net\.weights: \d+ tensors do not fit"):
        start(model(weights=str(path), **keys), "net", classes)
