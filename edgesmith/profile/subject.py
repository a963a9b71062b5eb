"""A network as it is profiled, in the benchmark's worker: the same call with the profiler and not.

The worker loads a folder: here one with `request.json`, which says what to profile, and into which
the recording is written.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from edgesmith import contract as contracts
from edgesmith.bench import timing
from edgesmith.contract import Description
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.preprocess import Float32Array, decode_image, fit
from edgesmith.profile import recording
from edgesmith.profile.recording import Recording
from edgesmith.runtimes.session import ENGINES
from edgesmith.runtimes.tensors import network_input

REQUEST, RECORDING = "request.json", "recording.json"
BY = "edgesmith.profile.subject"
# By format: the module of this package that profiles it.
PROFILERS = {"onnx": "onnxruntime", "tflite": "litert", "ncnn": "ncnn"}


class Request(BaseModel):
    """`target` is an artifact's folder; or `open` of the module `by` takes it, with `mode`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Path
    by: str = ""
    mode: str = ""


class Profiler(Protocol):
    """One network, run with and without its runtime's profiler."""

    engine: str

    def plain(self) -> object:
        """One inference, nothing recorded."""

    def profiled(self) -> object:
        """One inference, recorded."""

    def recording(self) -> Recording:
        """All that was recorded, of every call of `profiled`; ends the profiler."""


class Subject:
    """The `Subject` of `edgesmith.bench.worker`: calls `infer`, `profiled` and, once, `write`."""

    def __init__(self, folder: Path, threads: int, providers: Sequence[str], frame: bytes) -> None:
        """Load what `folder` asks for; times the load with the profiler."""
        request = Request.model_validate_json((folder / REQUEST).read_text())
        self._folder = folder
        found: list[Profiler] = []
        self.load_ms = timing.time_once(lambda: found.append(_open(request, threads, frame)))
        self._profiler = found[0]
        self.engine = self._profiler.engine
        self.providers: Sequence[str] = ("cpu",)
        self.calls: Mapping[str, Callable[[], object]] = {
            "infer": self._profiler.plain,
            "profiled": self._profiler.profiled,
            "write": self._write,
        }

    def _write(self) -> None:
        recording.write(self._profiler.recording(), self._folder / RECORDING)


load = Subject


def require(artifact: Path, contract: Description) -> None:
    """Refuse a format that has no profiler here: RuntimeUnavailableError says why."""
    if contract.format not in PROFILERS:
        raise RuntimeUnavailableError(
            f"{artifact}: no profiler for the format {contract.format!r}; there is one for "
            f"{', '.join(PROFILERS)}"
            + (
                "; for PyTorch itself profile the variant's folder: edgesmith profile "
                f"models/{contract.variant}"
                if contract.format == "torchscript"
                else ""
            )
        )


def _open(request: Request, threads: int, frame: bytes) -> Profiler:
    if request.by:
        module = importlib.import_module(request.by)
        opened: Profiler = module.open(request.target, request.mode, threads, frame)
        return opened
    contract = contracts.verify(request.target)
    require(request.target, contract)
    try:
        module = importlib.import_module(f"edgesmith.profile.{PROFILERS[contract.format]}")
    except ModuleNotFoundError as error:
        raise RuntimeUnavailableError(
            f"{request.target}: the {contract.format} format needs the Python package "
            f"{error.name!r}, which is not installed here; pip install "
            f"edgesmith[{ENGINES[contract.format][1]}]"
        ) from error
    found: Profiler = module.open(request.target, contract, threads, _image(contract, frame))
    return found


def _image(contract: Description, frame: bytes) -> Float32Array:
    image = fit(decode_image(frame, "the benchmark's frame"), contract.input.preprocess)
    return network_input(image[None], contract.input)
