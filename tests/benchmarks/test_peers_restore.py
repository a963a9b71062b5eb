"""The way back to Ultralytics' own model."""

from pathlib import Path

import pytest
import torch

from benchmarks.peers.detect.restore import as_ultralytics
from edgesmith.errors import ModelError
from edgesmith.params import Model
from edgesmith.preprocess import Preprocess
from edgesmith.tasks import store
from edgesmith.tasks.detect import networks
from edgesmith.tasks.detect.networks import Detector, Head

SIZE = 64
SPEC = Preprocess(
    height=SIZE, width=SIZE, resize="letterbox", antialias=False, mean=(0, 0, 0), std=(255,) * 3
)


def detector(head: Head) -> Detector:
    """YOLO26n with weights and batch statistics that are nowhere equal."""
    torch.manual_seed(0)
    net = networks.build("yolo26n", 2, head)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith(("bn.weight", "running_var")):
                tensor.uniform_(0.8, 1.2)
            elif name.endswith((".bias", "running_mean")):
                tensor.uniform_(-0.1, 0.1)
    return net.eval()


def stored(folder: Path, net: Detector, **changes: object) -> Path:
    card = store.Card(
        name="tiny",
        task="detect",
        model="yolo26n",
        network=Model(
            task="detect", architecture="yolo26n", head=net.head, dataset="none", input=SPEC
        ),
        labels=["cat", "dog"],
        layers=store.layers_of(net),
        parent=None,
        parent_sha256=None,
        step="train",
        trained={},
        params=1,
        macs=1,
    ).model_copy(update=changes)
    folder.mkdir()
    store.save(folder, net, card)
    return folder


@pytest.mark.parametrize("head", ["one-to-one", "one-to-many"])
def test_both_heads_of_the_restored_model_give_what_ours_give(tmp_path: Path, head: Head) -> None:
    net = detector(head)
    image = torch.rand(2, 3, SIZE, SIZE)
    model = as_ultralytics(stored(tmp_path / "model", net))
    net.both = True
    with torch.no_grad():
        ours, theirs = net(image), model(image)[1]
    order = ("one2one", "one2many") if head == "one-to-one" else ("one2many", "one2one")
    for number, name in enumerate(order):
        maps = ours[6 * number : 6 * number + 6]
        for kind, levels in (("boxes", maps[::2]), ("scores", maps[1::2])):
            joined = torch.cat([level.flatten(2) for level in levels], 2)
            assert joined.std() > 0.01
            torch.testing.assert_close(theirs[name][kind], joined, rtol=0, atol=1e-5)
    assert model.names == {0: "cat", 1: "dog"}


def test_what_ultralytics_cannot_build_is_refused(tmp_path: Path) -> None:
    net = detector("one-to-one")
    cast = stored(tmp_path / "cast", net.half(), precision="fp16")
    with pytest.raises(ModelError, match="name its parent"):
        as_ultralytics(cast)
    net = detector("one-to-one")
    narrow = net.layers[2].left
    narrow.conv.weight = torch.nn.Parameter(narrow.conv.weight[:8])
    narrow.conv.out_channels = 8
    for name in ("weight", "bias"):
        setattr(narrow.bn, name, torch.nn.Parameter(getattr(narrow.bn, name)[:8]))
    for name in ("running_mean", "running_var"):
        setattr(narrow.bn, name, getattr(narrow.bn, name)[:8])
    with pytest.raises(ModelError, match="name the parent that was pruned"):
        as_ultralytics(stored(tmp_path / "narrow", net))
