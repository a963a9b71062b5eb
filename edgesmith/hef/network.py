"""A HEF on the chip, through memory shared with the process that has HailoRT."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgesmith.errors import ContractError
from edgesmith.hef.facts import Hef, NetworkGroup, Stream
from edgesmith.hef.process import Process
from edgesmith.hef.read import read

Array = npt.NDArray[Any]


class Place(NamedTuple):
    """A tensor in the shared memory: integers, (height, width, channels)."""

    name: str
    dtype: str
    shape: list[int]
    offset: int

    @property
    def bytes(self) -> int:
        """Without what is left of its last page."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


class Scale(NamedTuple):
    """real = scale * (integer - zero_point); float32, one number or one per channel."""

    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.float32]


class Network:
    """A HEF that is loaded; one frame at a time, from one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Read the file, open the chip, compare what both say of the tensors, and load it.

        Raises HefError for a damaged file, ContractError for one that this cannot run, and
        RuntimeUnavailableError where HailoRT or the chip is missing or refuses it.
        """
        self.hef = read(path)
        group = _only_group(self.hef)
        (self.input,), self.outputs = group.inputs, group.outputs
        offset, places = 0, []
        for stream in (self.input, *self.outputs):
            place = Place(stream.name, f"uint{stream.bits}", stream.shape, offset)
            places.append(place)
            offset += -(-place.bytes // mmap.PAGESIZE) * mmap.PAGESIZE
        # It has no name that a killed process could leave behind.
        memory = os.memfd_create("edgesmith-hef")
        try:
            os.ftruncate(memory, offset)
            shared = mmap.mmap(memory, offset)
            self._process = Process((memory,))
        finally:
            os.close(memory)
        self.frame, *self.results = (_array(shared, place) for place in places)
        try:
            self._load(path, memory, offset, places)
        except BaseException:
            self.close()
            raise

    @property
    def hailort(self) -> str:
        """HailoRT's version."""
        return str(self._process.versions["hailort"])

    def run(self) -> None:
        """Compute `results` of `frame`."""
        self._process.ask("run")

    def latency_ms(self, seconds: float, min_runs: int = 20) -> list[float]:
        """Times of single frames inside HailoRT's process, each waited for."""
        answer = self._process.ask("latency", 60, seconds=seconds, min_runs=min_runs)
        return [float(value) for value in answer["samples_ms"]]

    def throughput_fps(self, seconds: float) -> float:
        """Frames per second while as many are under way as HailoRT's queue holds."""
        answer = self._process.ask("throughput", seconds, seconds=seconds)
        return float(answer["frames"] / answer["seconds"])

    def close(self) -> None:
        """Give the chip back."""
        self._process.close()

    def _load(self, path: Path, memory: int, size: int, places: list[Place]) -> None:
        said = self._process.ask("open", hef=str(path.resolve()))
        _compare(self.hef.file, "input", [self.input], said["inputs"])
        _compare(self.hef.file, "output", self.outputs, said["outputs"])
        first, *rest = (place._asdict() for place in places)
        self._process.ask("configure", memory=memory, bytes=size, input=first, outputs=rest)


def scale_of(stream: Stream, file: str) -> Scale:
    """How a stream's integers are read; ContractError where the file does not say."""
    if stream.scale is None or stream.zero_point is None:
        raise ContractError(f"{file}: {stream.name} has no scale; compile it again")
    return Scale(np.asarray(stream.scale, np.float32), np.asarray(stream.zero_point, np.float32))


def _only_group(hef: Hef) -> NetworkGroup:
    """The one network; ContractError for a file of several, of several inputs, or with NMS."""
    groups = hef.network_groups
    if len(groups) != 1 or len(groups[0].inputs) != 1:
        raise ContractError(
            f"{hef.file}: holds {len(groups)} network group(s), the first with "
            f"{len(groups[0].inputs)} input(s); this runs one of one input: compile it alone"
        )
    if groups[0].host_nms or any(stream.nms for stream in groups[0].outputs):
        raise ContractError(
            f"{hef.file}: ends in NMS, and edgesmith decodes boxes itself; compile it with the "
            "head's convolutions as end nodes, as `dvc repro toolchains/hailo/dvc.yaml` does"
        )
    return groups[0]


def _compare(file: str, kind: str, streams: list[Stream], said: list[dict[str, Any]]) -> None:
    """ContractError where the reader of HEFs and HailoRT differ on names, shapes or scales."""
    found = {tensor["name"]: tensor for tensor in said}
    if set(found) != {stream.name for stream in streams}:
        raise ContractError(
            f"{file}: HailoRT's {kind}s are {', '.join(found)}, the file's "
            f"{', '.join(stream.name for stream in streams)}: inspect it with `edgesmith inspect`"
        )
    for stream in streams:
        shape = found[stream.name]["shape"]
        # HailoRT leaves out height and width of a vector.
        if [1] * (3 - len(shape)) + shape != stream.shape:
            raise ContractError(
                f"{file}: HailoRT has {kind} {stream.name} as {shape}, the file says "
                f"{stream.shape}: its {stream.order} order is not known here"
            )
        if kind == "output":
            own = scale_of(stream, file)
            theirs = np.array(found[stream.name]["quantization"], np.float32).reshape(-1, 2).T
            if not all(np.allclose(a, b, rtol=1e-5) for a, b in zip(own, theirs, strict=True)):
                raise ContractError(
                    f"{file}: HailoRT reads {stream.name} with scale {theirs[0].tolist()}, the "
                    f"file says {stream.scale}: inspect it with `edgesmith inspect`"
                )


def _array(memory: mmap.mmap, place: Place) -> Array:
    count = int(np.prod(place.shape))
    return np.frombuffer(memory, place.dtype, count, place.offset).reshape(place.shape)
