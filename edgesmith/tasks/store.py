"""`models/<variant>/`: safetensors weights and what it takes to rebuild the network; no pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from edgesmith import files
from edgesmith.errors import ModelError
from edgesmith.params import Model, Task
from edgesmith.tasks.fold import Pairs, conv_norm_pairs, fold_batch_norm
from edgesmith.tasks.task import task_of

WEIGHTS = "weights.safetensors"
CARD = "model.json"
REFERENCE = "reference.safetensors"


class Layer(BaseModel):
    """Channels of a convolution or linear layer after pruning."""

    model_config = ConfigDict(extra="forbid")

    inputs: int = Field(gt=0)
    outputs: int = Field(gt=0)
    groups: int = Field(default=1, gt=0)


class Card(BaseModel):
    """`model.json`: all that it takes to rebuild the network, and where it came from."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    name: str
    task: Task
    model: str
    network: Model
    labels: list[str]
    layers: dict[str, Layer]
    batch_norm_folded: bool = False
    precision: Literal["fp32", "fp16", "int8", "mixed"] = "fp32"
    parent: str | None
    parent_sha256: str | None
    step: str
    trained: dict[str, Any]
    params: int
    macs: int


def layers_of(net: nn.Module) -> dict[str, Layer]:
    """Channel counts of every convolution and linear layer, by module path."""
    found = {}
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            found[name] = Layer(
                inputs=module.in_channels, outputs=module.out_channels, groups=module.groups
            )
        elif isinstance(module, nn.Linear):
            found[name] = Layer(inputs=module.in_features, outputs=module.out_features)
    return found


def save(folder: Path, net: nn.Module, card: Card) -> None:
    """Write weights and card into `folder` (a temporary one that the caller renames)."""
    state = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in net.state_dict().items()
        # The count of batches seen changes nothing in the network's output.
        if not name.endswith("num_batches_tracked")
    }
    files.write_bytes(folder / WEIGHTS, safetensors.torch.save(dict(sorted(state.items()))))
    files.write_json(folder / CARD, card.model_dump(mode="json"))


def read_card(folder: Path) -> Card:
    """Parse `model.json`; ModelError when it is missing or damaged."""
    return files.read_record(
        folder / CARD,
        Card,
        ModelError,
        missing="run `dvc repro` or `dvc pull` first",
        damaged="rebuild it: `dvc repro`",
    )


def load(folder: Path) -> tuple[nn.Module, Card]:
    """Rebuild the stored network (eval mode, CPU) with its card; ModelError when they disagree."""
    card = read_card(folder)
    task = task_of(card.task)
    net = task.build(card.network, len(card.labels))
    if card.batch_norm_folded:
        task.deploy(net)
    # Seen on the network as designed: pruning changes widths, never what feeds what.
    pairs = conv_norm_pairs(net, card.network.input.height, card.network.input.width)
    _restore_channels(net, card.layers, pairs, folder)
    if card.batch_norm_folded:
        fold_batch_norm(net, pairs)
    path = folder / WEIGHTS
    try:
        state = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path}: unreadable ({error}); rebuild it: `dvc repro`") from error
    if card.precision == "fp16":
        net.half()
    expected = {k: t for k, t in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    wrong = sorted(
        key
        for key in expected.keys() | state.keys()
        if key not in expected or key not in state or expected[key].shape != state[key].shape
    )
    if wrong:
        raise ModelError(f"{path}: does not fit {CARD} at {wrong[0]!r}; rebuild it: `dvc repro`")
    net.load_state_dict(state, strict=False)
    return net.eval(), card


def load_folded(folder: Path) -> tuple[nn.Module, Card]:
    """`load`, with batch normalisation in the convolutions: what exporters convert, and sooner.

    A third of the operators of MobileNetV2 are normalisations, and converters take each apart.
    """
    net, card = load(folder)
    if not card.batch_norm_folded:
        fold(net, card)
    return net, card


def fold(net: nn.Module, card: Card) -> None:
    """Take away what is for training alone and fold batch normalisation, in place."""
    task_of(card.task).deploy(net)
    spec = card.network.input
    fold_batch_norm(net, conv_norm_pairs(net, spec.height, spec.width))


def save_reference(folder: Path, logits: dict[str, npt.NDArray[np.float32]]) -> None:
    """Write what `predict` gives on the test split for `self`, `parent` and `baseline`."""
    files.write_bytes(folder / REFERENCE, safetensors.numpy.save(dict(sorted(logits.items()))))


def load_reference(folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Read what `save_reference` wrote; empty where the model has none (an untrained start)."""
    path = folder / REFERENCE
    if not path.exists():
        return {}
    try:
        return safetensors.numpy.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path}: unreadable ({error}); rebuild it: `dvc repro`") from error


def _restore_channels(net: nn.Module, layers: dict[str, Layer], pairs: Pairs, folder: Path) -> None:
    """Give every layer the channel counts of the card (torch-pruning changes them in place)."""
    if set(layers_of(net)) != set(layers):
        raise ModelError(f"{folder / CARD}: its layers are not those of the architecture it names")
    for name, layer in layers.items():
        module = net.get_submodule(name)
        if isinstance(module, nn.Conv2d):
            module.in_channels, module.out_channels = layer.inputs, layer.outputs
            module.groups = layer.groups
            kernel = module.weight.shape[2:]
            shape = torch.Size((layer.outputs, layer.inputs // layer.groups, *kernel))
        else:
            assert isinstance(module, nn.Linear)  # noqa: S101 - layers_of lists these two kinds
            module.in_features, module.out_features = layer.inputs, layer.outputs
            shape = torch.Size((layer.outputs, layer.inputs))
        module.weight = nn.Parameter(torch.zeros(shape))
        if module.bias is not None:
            module.bias = nn.Parameter(torch.zeros(layer.outputs))
    for conv, norm in pairs:
        width = conv.out_channels
        norm.num_features = width
        norm.weight, norm.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        norm.running_mean, norm.running_var = torch.zeros(width), torch.ones(width)
