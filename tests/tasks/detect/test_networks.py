"""YOLO26 as a plain network: what Ultralytics computes, head by head."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from ultralytics.nn.modules.block import C2PSA, Attention, C2f
from ultralytics.nn.tasks import DetectionModel

from edgesmith.tasks.detect import networks
from edgesmith.tasks.detect.blocks import SplitAttention, SplitC2f, SplitC2PSA
from edgesmith.tasks.detect.networks import Head
from tests import tiny_detector as tiny

HEADS: list[Head] = ["one-to-one", "one-to-many"]
# As Ultralytics calls them.
THEIRS = {"one-to-one": "one2one", "one-to-many": "one2many"}


def published(architecture: str) -> DetectionModel:
    """Untrained, but with batch statistics and biases that change the outputs."""
    torch.manual_seed(0)
    model = (
        tiny.plain()
        if architecture == "tiny"
        else DetectionModel(f"{architecture}.yaml", nc=2, verbose=False)
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.7)
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2)
    return model.eval()


def inputs(count: int = 2) -> torch.Tensor:
    return torch.from_numpy(tiny.images(count, 5)).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def expected(model: DetectionModel, head: Head) -> list[torch.Tensor]:
    """(N, channels, cells) boxes and scores of one head, all levels in a row."""
    _, both = model(inputs())
    return [both[THEIRS[head]][kind] for kind in ("boxes", "scores")]


def in_a_row(maps: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    return [torch.cat([level.flatten(2) for level in maps[kind::2]], 2) for kind in (0, 1)]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("architecture", ["tiny", "yolo26n"])
def test_each_head_computes_what_ultralytics_does(architecture: str, head: Head) -> None:
    model = published(architecture)
    wanted = expected(model, head)
    net = networks.wrap(copy.deepcopy(model), head).eval()
    with torch.no_grad():
        found = in_a_row(net(inputs()))

    assert wanted[0].std() > 0.02
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_the_other_head_follows_the_deployed_one(head: Head) -> None:
    model = published("tiny")
    other = next(name for name in HEADS if name != head)
    wanted = expected(model, other)
    net = networks.wrap(copy.deepcopy(model), head).eval()
    net.both = True
    with torch.no_grad():
        found = in_a_row(net(inputs())[6:])

    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_maps_are_boxes_and_scores_from_the_finest_level_on() -> None:
    net = tiny.network().eval()
    with torch.no_grad():
        shapes = [tuple(level.shape) for level in net(inputs())]

    sizes = [tiny.SIZE // stride for stride in networks.STRIDES]
    assert shapes == [(2, depth, size, size) for size in sizes for depth in (4, len(tiny.LABELS))]


def test_both_heads_are_shown_in_training_alone() -> None:
    net = tiny.network()

    assert len(net.train()(inputs())) == 12
    assert len(net.eval()(inputs())) == 6
    net.drop_other_head()
    assert len(net.train()(inputs())) == len(net.heads()) * 3 == 6


def test_dropping_the_other_head_changes_no_output_and_leaves_what_is_deployed() -> None:
    net = tiny.network().eval()
    deployed = [id(parameter) for parameter in net.deployed_parameters()]
    with torch.no_grad():
        before = net(inputs())
        net.drop_other_head()
        after = net(inputs())

    assert [id(parameter) for parameter in net.parameters()] == deployed
    assert [id(parameter) for parameter in net.deployed_parameters()] == deployed
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("head", HEADS)
def test_the_one_to_one_head_does_not_teach_what_it_shares(head: Head) -> None:
    net = tiny.network(head)
    maps = net.train()(inputs(8))
    single = maps[:6] if head == "one-to-one" else maps[6:]
    sum(level.square().sum() for level in single).backward()
    own = net.heads()[:2] if head == "one-to-one" else net.heads()[2:]

    assert all(p.grad is not None for part in own for p in part.parameters())
    assert all(p.grad is None for p in net.layers.parameters())


def test_one_head_alone_teaches_all_layers() -> None:
    net = tiny.network()
    net.drop_other_head()
    sum(level.square().sum() for level in net.train()(inputs(8))).backward()

    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.layers.parameters())


def test_no_channel_is_split_and_no_activation_shared() -> None:
    net = networks.build("yolo26n", 2, "one-to-one")
    kinds = [type(module) for module in net.modules()]
    activations = [
        module
        for _, module in net.named_modules(remove_duplicate=False)
        if isinstance(module, nn.SiLU)
    ]

    assert not {C2PSA, Attention} & set(kinds)
    assert not any(isinstance(module, C2f) for module in net.modules())
    assert {SplitC2f, SplitC2PSA, SplitAttention} <= set(kinds)
    assert len({id(module) for module in activations}) == len(activations)


def test_the_same_seed_draws_the_same_weights() -> None:
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(networks.build("yolo26n", 2, "one-to-one").state_dict())

    same = [all(torch.equal(drawn[0][key], other[key]) for key in other) for other in drawn[1:]]
    assert same == [True, False]
