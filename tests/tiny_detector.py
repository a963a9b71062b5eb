"""A detector with every kind of layer that YOLO26 has, narrow enough for tests."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from ultralytics.nn.tasks import DetectionModel

from edgesmith.preprocess import Preprocess, UInt8Array
from edgesmith.tasks.classify.fold import conv_norm_pairs, fold_batch_norm
from edgesmith.tasks.detect.networks import Detector, Head

SIZE = 64
LABELS = ["cat", "dog"]
SPEC = Preprocess(
    height=SIZE, width=SIZE, resize="letterbox", antialias=False, mean=(0, 0, 0), std=(255,) * 3
)
# As in yolo26.yaml: [from, repeats, module, arguments].
_BACKBONE = [
    [-1, 1, "Conv", [16, 3, 2]],
    [-1, 1, "Conv", [16, 3, 2]],
    [-1, 1, "Conv", [32, 3, 2]],
    [-1, 1, "C3k2", [32, False, 0.25]],
    [-1, 1, "Conv", [32, 3, 2]],
    [-1, 1, "Conv", [128, 3, 2]],
    [-1, 1, "SPPF", [128, 5, 3, True]],
    [-1, 1, "C2PSA", [128]],
]
_HEAD = [
    [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
    [[-1, 4], 1, "Concat", [1]],
    [-1, 1, "C3k2", [32, True]],
    [[3, 10, 7], 1, "Detect", ["nc"]],
]


def network(head: Head = "one-to-one") -> Detector:
    """Untrained, in train mode, with batch statistics and biases of its own; both heads."""
    torch.manual_seed(0)
    layers = {"backbone": _BACKBONE, "head": _HEAD}
    config = {"nc": len(LABELS), "end2end": True, "reg_max": 1, **layers}
    net = Detector(DetectionModel(config, nc=len(LABELS), verbose=False), head)
    for module in net.modules():
        if isinstance(getattr(module, "act", None), nn.SiLU):
            module.act = nn.SiLU()
    lively(net)
    return net


def lively(net: Detector) -> None:
    """Give an untrained network batch statistics that fit its values, and biases."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.5
            nn.init.uniform_(module.weight, 0.7, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.7)
    spec = SPEC
    net.train()
    with torch.no_grad():
        for seed in range(6):
            net(torch.from_numpy(images(8, seed)).permute(0, 3, 1, 2).float() / spec.std[0])


def folded(net: Detector) -> Detector:
    """The network as quantization takes it: one head, batch normalisation in the convolutions."""
    net.eval()
    net.drop_other_head()
    fold_batch_norm(net, conv_norm_pairs(net, SIZE, SIZE))
    return net


def images(count: int, seed: int = 0, size: int = SIZE) -> UInt8Array:
    """(count, size, size, 3) smooth patches, of which neighbouring pixels are alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, size // 8, size // 8, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)
