from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from edgesmith.errors import ModelError
from edgesmith.tasks.fold import conv_norm_pairs, fold_batch_norm
from tests.tiny import SIZE, network


@pytest.mark.parametrize(
    "architecture", ["mobilenet_v2", "mobilenet_v3_small", "resnet18", "efficientnet_lite0"]
)
def test_folding_changes_no_output(architecture: str) -> None:
    net, _ = network(architecture)
    folded = copy.deepcopy(net)
    pairs = conv_norm_pairs(folded, SIZE, SIZE)
    fold_batch_norm(folded, pairs)
    images = torch.randn(4, 3, SIZE, SIZE)

    assert len(pairs) == sum(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(images), net(images), rtol=1e-3, atol=1e-4)


def test_a_normalisation_that_follows_no_convolution_is_refused() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))

    with pytest.raises(ModelError, match="layer 2: a batch normalisation that does not directly"):
        conv_norm_pairs(net, 8, 8)


def test_a_normalisation_without_statistics_is_refused() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))

    with pytest.raises(ModelError, match="layer 1: batch normalisation without running statistics"):
        fold_batch_norm(net, conv_norm_pairs(net, 8, 8))


def test_looking_for_pairs_leaves_the_network_as_it_was() -> None:
    net = network("mobilenet_v2")[0].train()
    before = copy.deepcopy(net.state_dict())
    conv_norm_pairs(net, SIZE, SIZE)

    assert net.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
