"""Which layer of a variant each layer of its NCNN model is, and the scales that it takes.

pnnx keeps no names (`convclip_3`), but it keeps weights bit by bit: a layer is recognised by them,
and equal ones by their order.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgesmith.compress.quantize.ranges import Quantization
from edgesmith.errors import ExportError
from edgesmith.ncnn_int8.model import Model
from edgesmith.ncnn_int8.quantize import Scales


def match(model: Model, net: nn.Module, layers: list[str]) -> dict[str, str]:
    """Layer of `net`, as `quantization.json` names it, by name of each weighted NCNN layer.

    `layers` lists them in the order of the network's graph; a module that is called again has `#`
    and a number after its path. Raises ExportError for a layer that only one side has.
    """
    waiting: dict[bytes, list[str]] = {}
    for name in layers:
        module = net.get_submodule(name.split("#")[0])
        waiting.setdefault(_content_of(module), []).append(name)
    found = {}
    for layer in model.weighted():
        weight, bias = layer.weights()
        same = waiting.get(_content(weight, bias), [])
        if not same:
            raise ExportError(
                f"ncnn: layer {layer.name} ({layer.kind}, {weight.size} weights) has the weights "
                "of no layer of the variant, so its range is unknown; pnnx fuses differently: use "
                "the version that requirements.lock names, or report the model"
            )
        found[layer.name] = same.pop(0)
    left = [name for names in waiting.values() for name in names]
    if left:
        raise ExportError(
            f"ncnn: layer {left[0]}: pnnx dropped it from the NCNN model; use the version that "
            "requirements.lock names, or report the model"
        )
    return found


def scales(
    quantization: Quantization, matched: Mapping[str, str], keys: Mapping[str, str]
) -> dict[str, Scales]:
    """Ranges of `quantization.json` as NCNN takes them, by NCNN layer.

    `matched` is what `match` found and `keys` what `input_keys` did.
    Raises ExportError naming a tensor or a weight that the file has no range for.
    """
    result = {}
    for name, layer in matched.items():
        key = keys[layer]
        if key not in quantization.activations or layer not in quantization.weights:
            what = "its weights" if key in quantization.activations else f"{key!r}, which it reads"
            raise ExportError(
                f"layer {layer}: quantization.json has no range for {what}; "
                "rebuild the variant: `dvc repro`"
            )
        covered = quantization.activations[key]
        steps = np.array(quantization.weights[layer], np.float32)
        result[name] = Scales(max(-covered.low, covered.high), steps)
    return result


def _content_of(module: nn.Module) -> bytes:
    weight, bias = (getattr(module, name, None) for name in ("weight", "bias"))
    assert isinstance(weight, torch.Tensor)  # noqa: S101 - `layers` are those with weights
    rows = weight.detach().numpy().reshape(weight.shape[0], -1)
    return _content(rows, np.zeros(0, np.float32) if bias is None else bias.detach().numpy())


def _content(weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> bytes:
    """A key that only equal layers share: pnnx gives a layer without bias none, or zeros."""
    shape = np.array(weight.shape, np.int64).tobytes()
    return shape + weight.astype("<f4").tobytes() + (bias.tobytes() if bias.any() else b"")
