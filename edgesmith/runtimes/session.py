"""One way to run any artifact: `load` it, then `run` batches of images.

A new engine is one file beside this one and one line in `ENGINES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from edgesmith import contract as contracts
from edgesmith.contract import Description
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.preprocess import Float32Array, UInt8Array
from edgesmith.runtimes.tensors import Array, network_input

_PIECE = 256
# By format: the module of this package that runs it, and the extra of pyproject.toml that installs
# its engine.
ENGINES = {
    "onnx": ("onnxruntime", "device-onnx"),
    "onnx-trt": ("onnxruntime", "device-onnx"),
    "tflite": ("litert", "device-tflite"),
    "ncnn": ("ncnn", "device-ncnn"),
    # TensorRT comes with JetPack or from NVIDIA; the extra has what else is needed.
    "engine": ("tensorrt", "device-tensorrt"),
    "edgetpu": ("edgetpu", "device-tflite"),
    # pyHailoRT is for the system's Python; ours needs nothing of it.
    "hef": ("hailort", "device-hailo"),
    # Needs torch, which no device has: PyTorch is measured here beside the others.
    "torchscript": ("torch", "build"),
}

# What a format runs on where the caller names nothing; the others run on the CPU.
ACCELERATORS = {"engine": "cuda", "edgetpu": "edgetpu", "hef": "hailo"}


class Session(Protocol):
    """An artifact that is ready to run.

    `engine` names the runtime and its version ("onnxruntime 1.31.1"), `providers` what it really
    executes on, in order of preference, by the short names of `params.yaml: runtime.providers`.
    """

    contract: Description
    engine: str
    providers: tuple[str, ...]
    threads: int

    def run(self, images: Float32Array) -> Float32Array:
        """What the network says of (N, 3, height, width) float32 from `network_input`.

        A classifier's (N, classes) float32 logits; a detector's (N, cells, 4 + classes) float32
        predictions as `decode.detect.detect` reads them. Any N: a network of fixed batch is called
        as often as needed. Layout, dtype and quantization of the network's own tensors are
        the session's affair.
        """
        ...

    def call(self, batch: Array) -> list[Array]:
        """The network's outputs as it gives them, in the contract's order; `run` in the middle.

        `batch` is as `tensors.encode` makes it, of as many images as the network takes in one call.
        """
        ...


class Engine(Protocol):
    """What a module of this package offers."""

    def load(
        self, artifact: Path, contract: Description, threads: int, providers: Sequence[str]
    ) -> Session:
        """A session of an artifact whose files were verified."""
        ...


def load(artifact: Path, threads: int = 1, providers: Sequence[str] = ()) -> Session:
    """A session of the artifact folder, after every file was checked against its contract.

    Without `providers` it executes on what its format is for, the CPU or an accelerator. Raises
    ContractError for an artifact that is damaged or of another version, and RuntimeUnavailableError
    where its engine or a provider is not installed here.
    """
    contract = contracts.verify(artifact)
    chosen = providers or (ACCELERATORS.get(contract.format, "cpu"),)
    return engine(artifact, contract).load(artifact, contract, threads, chosen)


def predict(session: Session, images: UInt8Array) -> Float32Array:
    """`Session.run` of (N, H, W, 3) uint8 images that were fitted.

    Normalised piece by piece: a whole test split as float32 may not fit the memory.
    """
    pieces = [
        session.run(network_input(images[start : start + _PIECE], session.contract.input))
        for start in range(0, len(images), _PIECE)
    ]
    return np.concatenate(pieces)


def engine(artifact: Path, contract: Description) -> Engine:
    """The module that runs the artifact's format, imported on first use."""
    if contract.format not in ENGINES:
        raise RuntimeUnavailableError(
            f"{artifact / contracts.FILE}: no runtime of this version of edgesmith executes the "
            f"format {contract.format!r}; known: {', '.join(ENGINES)}"
        )
    module, extra = ENGINES[contract.format]
    try:
        return cast(Engine, import_module(f"edgesmith.runtimes.{module}"))
    except ModuleNotFoundError as error:
        raise RuntimeUnavailableError(
            f"{artifact}: the {contract.format} format needs the Python package "
            f"{error.name!r}, which is not installed here; pip install edgesmith[{extra}]"
        ) from error
