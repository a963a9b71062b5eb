"""A detector with every kind of layer that YOLO26 has, narrow enough for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.fx import GraphModule
from ultralytics.nn.tasks import DetectionModel

from edgesmith import contract
from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.biases import round_biases
from edgesmith.compress.quantize.graph import calibrate, read_ranges, read_weight_scales, simulate
from edgesmith.compress.quantize.mixed import input_keys, matching
from edgesmith.preprocess import Float32Array, Preprocess, UInt8Array
from edgesmith.tasks.detect.networks import Detector, Head
from edgesmith.tasks.fold import conv_norm_pairs, fold_batch_norm

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
    net = Detector(plain(), head)
    lively(net)
    return net


def plain(classes: int = len(LABELS), width: float = 1.0) -> DetectionModel:
    """The network as Ultralytics builds it, with freshly drawn weights (torch's RNG).

    `width` multiplies its channels.
    """
    layers = {"backbone": _BACKBONE, "head": _HEAD, "width_multiple": width}
    config = {"nc": classes, "end2end": True, "reg_max": 1, **layers}
    return DetectionModel(config, nc=classes, verbose=False)


def lively(net: nn.Module) -> None:
    """Give an untrained network batch statistics that fit its values, and biases."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.5
            nn.init.uniform_(module.weight, 0.7, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.7)
    net.train()
    with torch.no_grad():
        for seed in range(6):
            net(torch.from_numpy(images(8, seed)).permute(0, 3, 1, 2).float() / SPEC.std[0])


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


def quantize(
    net: Detector, spec: Preprocess, folder: Path, keep_float: Sequence[str] = (), count: int = 8
) -> GraphModule:
    """Ranges of `count` images as `quantization.json` in `folder`; the simulated graph."""
    layers = matching(keep_float, input_keys(simulate(net, spec, "affine")), "keep_float")
    graph = simulate(net, spec, "affine", layers)
    calibrate(graph, images(count, size=spec.height), spec, "minmax", 100)
    found = ranges.Quantization(
        method="ptq",
        scheme="affine",
        observer="minmax",
        images=count,
        activations=read_ranges(graph),
        weights=read_weight_scales(graph),
        float_layers=layers,
    )
    round_biases(net, graph, found)
    folder.mkdir(parents=True)
    (folder / ranges.FILE).write_text(found.model_dump_json())
    return graph


def predictions(maps: Sequence[np.ndarray]) -> Float32Array:
    """Six maps (N, channels, H, W) as (N, cells, 4 + classes)."""
    flat = [value.reshape(*value.shape[:2], -1).transpose(0, 2, 1) for value in maps]
    levels = [np.concatenate(flat[k : k + 2], axis=2) for k in range(0, len(flat), 2)]
    return np.concatenate(levels, axis=1)


def compute(net: nn.Module, inputs: Float32Array) -> Float32Array:
    """Predictions (N, cells, 4 + classes) of a network or its simulation."""
    with torch.no_grad():
        return predictions([value.numpy() for value in net(torch.from_numpy(inputs))])


@dataclass
class Network:
    """What exporters read of a detector's network in its card."""

    input: Preprocess
    head: Head


@dataclass
class Card:
    """What exporters read of a detector's card."""

    precision: contract.Precision
    network: Network
    labels: list[str]
    name: str = "tiny-ptq"
    task: Literal["detect"] = "detect"
    model: str = "tiny"
    parent: str | None = None
    params: int = 1
    macs: int = 1


def card(precision: contract.Precision = "int8") -> Card:
    """The card of `network`, in any precision."""
    return Card(precision, Network(SPEC, "one-to-one"), LABELS)
