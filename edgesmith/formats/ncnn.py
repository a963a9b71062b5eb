"""A variant as NCNN, `model.param` and `model.bin`: FP32, FP16 or INT8, for CPUs of ARM first."""

from __future__ import annotations

import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pnnx
import torch
from torch import nn

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import simulate
from edgesmith.compress.quantize.mixed import input_keys
from edgesmith.contract import Description, Input, Output
from edgesmith.errors import ExportError
from edgesmith.formats import ncnn_keys
from edgesmith.ncnn_int8 import model as models
from edgesmith.ncnn_int8.quantize import Scales, quantize, requantized_to
from edgesmith.tasks import store

PARAM, BINARY = "model.param", "model.bin"
INPUT, OUTPUT = "in0", "out0"
_CONVERTER_MINUTES = 10
# What keeps its input's range: the range key belongs to the layer before.
_PASS_THROUGH = {"Dropout", "Flatten", "Padding", "Pooling", "Reduction", "Reshape", "Split"}


@dataclass(frozen=True)
class Blob:
    """A tensor inside an NCNN model; `scale`: real = value / scale (1 where it holds floats)."""

    name: str
    scale: float


@dataclass(frozen=True)
class Written:
    """An exported artifact before its parity is known, and the blob of each range key."""

    description: Description
    blobs: dict[str, Blob]


def export(variant: Path, folder: Path) -> Written:
    """Write the stored `variant` into `folder` as NCNN, for one image of (3, height, width).

    Quantized variants are converted as floats and then rounded by `quantization.json`. Raises
    ExportError when the converter fails or a layer has no rule, ModelError for a damaged variant.
    """
    net, card = store.load_folded(variant)
    spec = card.network.input
    half = card.precision == "fp16"
    # FP16 weights are exact in FP32, and pnnx rounds them back: its tracer needs a CPU's floats.
    _convert(net.float().eval(), spec.height, spec.width, folder, half=half)
    blobs = _to_integers(variant, net, card, folder) if card.precision in {"int8", "mixed"} else {}
    described = Description(
        task=card.task,
        variant=card.name,
        parent=card.parent or card.name,
        parent_sha256=files.sha256_folder(variant),
        model=card.model,
        format="ncnn",
        precision=card.precision,
        target="any",
        labels=card.labels,
        input=Input(
            name=INPUT,
            layout="NCHW",
            dtype="float32",
            shape=[1, 3, spec.height, spec.width],
            preprocess=spec,
        ),
        outputs=[
            Output(
                name=OUTPUT,
                meaning="logits",
                dtype="float32",
                shape=[1, len(card.labels)],
                decode="softmax",
            )
        ],
        files=contracts.describe_files(folder),
        params=card.params,
        macs=card.macs,
        tools={name: version(name) for name in ("torch", "pnnx", "ncnn")},
    )
    return Written(described, blobs)


def _convert(net: nn.Module, height: int, width: int, folder: Path, *, half: bool) -> None:
    """Trace `net` and let pnnx write it into `folder`; its other files are dropped.

    The executable is called, not `pnnx.export`: that one ignores the exit status, and imports the
    Python file that it writes.
    """
    with tempfile.TemporaryDirectory() as work:
        program = Path(work) / "model.pt"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own deprecations; nothing to act on
            traced = torch.jit.trace(net, torch.zeros(1, 3, height, width))  # type: ignore[no-untyped-call]
            traced.save(str(program))
        try:
            done = subprocess.run(
                [
                    pnnx.EXEC_PATH,
                    program.name,
                    f"inputshape=[1,3,{height},{width}]f32",
                    f"fp16={int(half)}",
                    f"ncnnparam={PARAM}",
                    f"ncnnbin={BINARY}",
                ],
                cwd=work,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=60 * _CONVERTER_MINUTES,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ExportError(f"ncnn: pnnx did not finish: {error}") from error
        written = [Path(work) / name for name in (PARAM, BINARY)]
        if done.returncode != 0 or not all(path.is_file() for path in written):
            last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
            raise ExportError(
                f"ncnn: pnnx {version('pnnx')} ended with status {done.returncode} and cannot "
                f"convert this network; its last lines:\n{last}"
            )
        for path in written:
            files.write_bytes(folder / path.name, path.read_bytes())


def _to_integers(variant: Path, net: nn.Module, card: store.Card, folder: Path) -> dict[str, Blob]:
    """Round the float model in `folder` by the variant's ranges; the blobs that hold them."""
    quantization = ranges.read(variant)
    keys = input_keys(simulate(net, card.network.input, quantization.scheme))
    model = models.read(folder / PARAM, folder / BINARY)
    matched = ncnn_keys.match(model, net, list(keys))
    matched = {
        name: layer for name, layer in matched.items() if layer not in quantization.float_layers
    }
    scales = ncnn_keys.scales(quantization, matched, keys)
    rounded = quantize(model, scales, _others(model, matched))
    models.write(rounded, folder / PARAM, folder / BINARY)
    return _blobs(model, {name: keys[layer] for name, layer in matched.items()}, scales)


def _others(model: models.Model, matched: Mapping[str, str]) -> set[str]:
    """NCNN layers with weights that stay float."""
    return {layer.name for layer in model.weighted()} - matched.keys()


def _blobs(model: models.Model, keys: dict[str, str], scales: dict[str, Scales]) -> dict[str, Blob]:
    """Where the tensor of each range key is, for the keys that integer layers read."""
    readers = model.readers()
    rounded = {
        layer.tops[0]
        for layer in model.layers
        if (to := requantized_to(layer, readers)) and {layer.name, to.name} <= scales.keys()
    }
    made_by = {name: layer for layer in model.layers for name in layer.tops}
    found: dict[str, Blob] = {}
    for layer in model.weighted():
        if layer.name not in scales:
            continue
        name = layer.bottoms[0]
        while made_by[name].kind in _PASS_THROUGH:
            name = made_by[name].bottoms[0]
        scale = 127 / scales[layer.name].largest if name in rounded else 1.0
        found.setdefault(keys[layer.name], Blob(name, scale))
    return found
