from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.compress.prune.step import apply_masks, magnitude_masks
from edgesmith.errors import ModelError, ParamsError
from edgesmith.params import Model
from edgesmith.tasks import store
from edgesmith.tasks.classify.networks import build, head_of
from edgesmith.tasks.predict import predict
from tests import tiny
from tests.tiny import variant, write_params


def pruned(checkout: Path, parent: str = "base", **keys: object) -> tuple[nn.Module, store.Card]:
    """A variant pruned from `parent` without training, unless `keys` say so."""
    step = variant("prune", parent, **{"ratio": 0.4, "round_to": 4, **keys})
    write_params(checkout, variants={"base": tiny.BASE, "cut": step})
    tiny.run("prune", "cut")
    return store.load(checkout / "models/cut")


def network() -> nn.Module:
    torch.manual_seed(0)
    keys = {"architecture": "mobilenet_v2", "width": 0.25, "dataset": "any", "input": tiny.SPEC}
    return build(Model(task="classify", **keys), 4)


def weights(net: nn.Module) -> list[torch.Tensor]:
    """Of every layer that masks are for."""
    head = head_of(net)
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear) and m is not head]
    return [layer.weight.detach() for layer in layers]


@pytest.mark.parametrize("round_to", [4, 8])
def test_channels_are_multiples(checkout: Path, round_to: int) -> None:
    net, _ = pruned(checkout, ratio=0.5, round_to=round_to)

    widths = [m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert all(width % round_to == 0 for width in widths)


def test_channels_that_belong_together_stay_together(checkout: Path) -> None:
    net, _ = pruned(checkout, ratio=0.5)

    for block in net.features[1:-1]:
        depthwise = next(m for m in block.modules() if isinstance(m, nn.Conv2d) and m.groups > 1)
        assert depthwise.groups == depthwise.in_channels == depthwise.out_channels
        convolutions = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
        if block.use_res_connect:
            assert convolutions[0].in_channels == convolutions[-1].out_channels


def test_a_residual_network_is_pruned_along_its_additions(checkout: Path) -> None:
    tiny.run("init", "res")
    net, card = pruned(checkout, "res", ratio=0.3, round_to=8)
    _, before = store.load(checkout / "models/res")

    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        assert len({block.conv2.out_channels for block in stage}) == 1
        assert stage[0].conv2.out_channels % 8 == 0
    assert card.macs == pytest.approx(0.49 * before.macs, rel=0.1)


def test_work_and_weights_fall_and_the_card_says_by_how_much(chain: Path) -> None:
    before, after = (store.read_card(chain / "models" / name) for name in ("base", "small"))

    assert after.macs < 0.6 * before.macs
    assert after.params < 0.6 * before.params
    assert after.trained["macs_removed"] == pytest.approx(1 - after.macs / before.macs)
    assert after.trained["params_removed"] == pytest.approx(1 - after.params / before.params)


def test_the_classes_are_not_pruned(chain: Path) -> None:
    net, card = store.load(chain / "models/small")

    assert head_of(net).out_features == len(card.labels) == 4
    assert head_of(net).in_features < 1280


def test_rounds_end_where_one_shot_ends(checkout: Path) -> None:
    _, once = pruned(checkout)
    _, gradual = pruned(checkout, rounds=3)

    assert gradual.macs == pytest.approx(once.macs, rel=0.05)
    assert len(gradual.trained["rounds"]) == 3


def test_the_epochs_are_shared_among_the_rounds(checkout: Path) -> None:
    tiny.write_data(checkout, train=16)
    _, card = pruned(checkout, rounds=2, schedule="two", alpha=0.5)

    assert [len(history["val_metric"]) for history in card.trained["rounds"]] == [1, 1]


@pytest.mark.parametrize(
    "keys",
    [{"importance": "l1"}, {"importance": "taylor"}, {"scope": "global", "max_ratio": 0.5}],
    ids=str,
)
def test_every_way_to_choose_channels_removes_some(checkout: Path, keys: dict[str, object]) -> None:
    parent = store.read_card(checkout / "models/base")
    net, card = pruned(checkout, **keys)

    assert card.macs < 0.8 * parent.macs
    assert net(torch.zeros(1, 3, tiny.SIZE, tiny.SIZE)).shape == (1, 4)


def test_ways_to_choose_channels_choose_differently(checkout: Path) -> None:
    whole, _ = pruned(checkout, importance="l2")
    taylor, _ = pruned(checkout, importance="taylor")
    one, other = whole.state_dict(), taylor.state_dict()

    assert any(
        one[key].shape != other[key].shape or not torch.equal(one[key], other[key]) for key in one
    )


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.77])
def test_the_share_of_zeros_is_the_ratio_in_every_layer(ratio: float) -> None:
    net = network()
    apply_masks(magnitude_masks(net, ratio, "unstructured", {head_of(net)}))

    for weight in weights(net):
        assert (weight == 0).sum().item() == int(ratio * weight.numel())
    assert (head_of(net).weight != 0).all()


def test_layers_are_spared_when_asked_for_and_no_others() -> None:
    net = network()
    stem, head = next(m for m in net.modules() if isinstance(m, nn.Conv2d)), head_of(net)
    whole = magnitude_masks(net, 0.5, "unstructured", ())
    spared = magnitude_masks(net, 0.5, "unstructured", {stem: "sees colours", head: "classes"})

    assert {stem.weight, head.weight} == whole.keys() - spared.keys()


def test_the_smallest_weights_go() -> None:
    net = network()
    before = [weight.clone() for weight in weights(net)]
    apply_masks(magnitude_masks(net, 0.5, "unstructured", {head_of(net)}))

    for weight, old in zip(weights(net), before, strict=True):
        assert old[weight == 0].abs().max() < old[weight != 0].abs().min()
        assert torch.equal(weight[weight != 0], old[weight != 0])


def test_two_of_every_four_neighbours_go() -> None:
    net = network()
    before = [weight.clone() for weight in weights(net)]
    apply_masks(magnitude_masks(net, 0.9, "2:4", {head_of(net)}))

    for weight, old in zip(weights(net), before, strict=True):
        if weight[0].numel() % 4:
            assert torch.equal(weight, old)
            continue
        fours, originals = weight.reshape(-1, 4), old.reshape(-1, 4).abs()
        assert ((fours != 0).sum(1) == 2).all()
        assert torch.equal(fours.abs().sum(1), originals.topk(2, dim=1).values.sum(1))


@pytest.mark.parametrize("keys", [{}, {"ema": 0.5}], ids=["plain", "ema"])
@pytest.mark.parametrize("sparsity", ["unstructured", "2:4"])
def test_zeros_survive_training(checkout: Path, sparsity: str, keys: dict[str, float]) -> None:
    tiny.write_data(checkout, train=32)
    schedule = {"batch": 16, "learning_rate": 0.001, "epochs": 1, **keys}
    step = variant("prune", "base", ratio=0.5, sparsity=sparsity, schedule="sparse")
    write_params(
        checkout, variants={"base": tiny.BASE, "cut": step}, schedules={"sparse": schedule}
    )
    tiny.run("prune", "cut")
    net, card = store.load(checkout / "models/cut")
    parent = store.load(checkout / "models/base")[0]
    sparse = [w for w in weights(net) if sparsity != "2:4" or not w[0].numel() % 4]

    assert all((w == 0).float().mean() == pytest.approx(0.5, abs=0.03) for w in sparse)
    assert not torch.equal(head_of(net).weight, head_of(parent).weight)
    assert card.trained["params_removed"] == card.trained["macs_removed"] == 0


@pytest.mark.slow
def test_a_killed_pruning_goes_on_to_the_same_weights(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write_data(checkout, train=16)
    keys = {"rounds": 2, "schedule": "two"}
    whole, _ = pruned(checkout, **keys)
    replaced = Path.replace

    def killed_in_round_two(path: Path, target: Path) -> Path:
        if "round-2" in path.name:
            raise KeyboardInterrupt
        return replaced(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed_in_round_two)
        with pytest.raises(KeyboardInterrupt):
            pruned(checkout, **keys)
    assert list((checkout / "tmp/checkpoints/cut").glob("*round-1.pt"))
    again, _ = pruned(checkout, **keys)

    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key])
    assert not (checkout / "tmp/checkpoints/cut").exists()


def test_a_folded_parent_is_refused(chain: Path, checkout: Path) -> None:
    (checkout / "models/ptq").symlink_to(chain / "models/ptq")
    write_params(
        checkout,
        variants={**tiny.CHAIN, "cut": variant("prune", "ptq", ratio=0.3)},
    )

    with pytest.raises(ModelError, match=r"variants\.cut\.parent: ptq has folded .*prune first"):
        tiny.run("prune", "cut")
    assert not (checkout / "models/cut").exists()


def test_a_pruned_network_is_rebuilt_from_its_card(chain: Path) -> None:
    net, card = store.load(chain / "models/small")
    images = np.zeros((1, tiny.SIZE, tiny.SIZE, 3), np.uint8)

    assert store.layers_of(net) == card.layers
    assert card.network == store.read_card(chain / "models/base").network
    assert predict(net, images, tiny.SPEC).shape == (1, 4)


def test_a_variant_of_another_step_is_told_its_stage(checkout: Path) -> None:
    with pytest.raises(ParamsError, match=r"variants\.base\.step is train, not prune; run"):
        tiny.run("prune", "base")


def test_a_card_of_rounds_is_json(chain: Path) -> None:
    card = json.loads((chain / "models/small/model.json").read_text())

    assert card["trained"]["rounds"][0]["best_epoch"] == 1
    assert card["trained"]["schedule"]["epochs"] == 1
