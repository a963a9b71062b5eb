"""Start weights of a detector from a file: Ultralytics' .pt, or safetensors."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import IterableSimpleNamespace

from edgesmith.errors import ModelError
from edgesmith.params import Model
from edgesmith.tasks.detect.networks import Detector, wrap

_PATIENCE_SECONDS = 300
# What an Ultralytics checkpoint of a detector holds beside layers. Anything else in a pickle could
# run code and is refused.
_TRUSTED = {
    "builtins.set": set,
    "ultralytics.utils.IterableSimpleNamespace": IterableSimpleNamespace,
}


def start(model: Model, name: str, classes: int) -> Detector:
    """The network of `model` with the weights of the file `models.<name>.weights`.

    Class logits of a file with another number of classes start at random, all else must fit.
    Raises ModelError naming the key and the first tensor that does not.
    """
    path, key = Path(model.weights), f"params.yaml: models.{name}.weights"
    if not path.is_file():
        raise ModelError(
            f"{key}: {path} is not a file; give none, or the path of a .pt or .safetensors file"
        )
    state = _read_checkpoint(path, key) if path.suffix == ".pt" else _read_safetensors(path, key)
    net = DetectionModel(f"{model.architecture}.yaml", nc=classes, verbose=False)
    own = net.state_dict()
    fresh = {tensor for tensor in own if _is_class_logit(tensor)}
    wrong = sorted(
        tensor
        for tensor in own.keys() | state.keys()
        if tensor not in own
        or tensor not in state
        or (own[tensor].shape != state[tensor].shape and tensor not in fresh)
    )
    if wrong:
        raise ModelError(
            f"{key}: {len(wrong)} tensors of {path} do not fit {model.architecture}, first "
            f"{wrong[0]!r}; give weights of the same architecture, with both of its heads"
        )
    net.load_state_dict({t: state[t] if state[t].shape == own[t].shape else own[t] for t in own})
    return wrap(net, model.head)


def _is_class_logit(tensor: str) -> bool:
    """Whether the tensor belongs to the last convolution of a head's class branch."""
    parts = tensor.split(".")
    return len(parts) > 5 and parts[2] in {"cv3", "one2one_cv3"} and parts[4] == "2"


def _read_safetensors(path: Path, key: str) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{key}: {path} is not a readable safetensors file ({error}); give a .pt file of "
            "Ultralytics or a .safetensors file with its tensors"
        ) from error


def _read_checkpoint(path: Path, key: str) -> dict[str, torch.Tensor]:
    """Tensors of a .pt file, read by a process of its own that only builds what is trusted."""
    with tempfile.TemporaryDirectory() as work:
        converted = Path(work) / "weights.safetensors"
        # Without the environment: nothing secret is within its reach.
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        try:
            done = subprocess.run(
                [sys.executable, "-m", __spec__.name, str(path.resolve()), str(converted)],
                capture_output=True,
                text=True,
                errors="replace",
                env=kept | {"HOME": work},
                timeout=_PATIENCE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{key}: {path} was not read in {_PATIENCE_SECONDS} s") from error
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise ModelError(f"{key}: {path} cannot be read: {reason}")
        return safetensors.torch.load_file(converted)


def convert(checkpoint: Path, result: Path) -> None:
    """Write the tensors of an Ultralytics checkpoint as safetensors.

    Raises ModelError for a pickle that asks for anything but layers.
    """
    asked = {
        name: _TRUSTED.get(name) or _layer(name)
        for name in sorted(torch.serialization.get_unsafe_globals_in_checkpoint(checkpoint))
    }
    unknown = [name for name, found in asked.items() if found is None]
    if unknown:
        raise ModelError(
            f"{checkpoint} wants to call {', '.join(unknown[:3])}, which no detector needs; "
            "convert it to safetensors where you trust it"
        )
    with torch.serialization.safe_globals([found for found in asked.values() if found]):
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model = content.get("ema") or content.get("model") if isinstance(content, dict) else content
    if not isinstance(model, DetectionModel):
        raise ModelError(f"{checkpoint} holds no detection model of Ultralytics")
    state = {name: tensor.float().contiguous() for name, tensor in model.state_dict().items()}
    safetensors.torch.save_file(state, result)


def _layer(name: str) -> type[nn.Module] | None:
    """The layer that a pickle names, if it is one of torch or Ultralytics."""
    module, _, attribute = name.rpartition(".")
    if module.split(".")[0] not in {"torch", "ultralytics"}:
        return None
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None
    return found if isinstance(found, type) and issubclass(found, nn.Module) else None


if __name__ == "__main__":
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception as error:  # the pickle decides what is raised; the parent reports it
        sys.exit(f"{type(error).__name__}: {error}")
