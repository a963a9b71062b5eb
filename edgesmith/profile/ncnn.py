"""ncnn: layer by layer, for its Python package is built without the per-layer benchmark."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import ncnn
import numpy as np

from edgesmith.contract import Description
from edgesmith.errors import RuntimeUnavailableError
from edgesmith.preprocess import Float32Array
from edgesmith.profile.recording import Kernel, Node, Recording, Run
from edgesmith.runtimes import ncnn as runtime
from edgesmith.runtimes.tensors import encode

_METHOD = (
    "layer by layer: blobs are extracted one after another in the order of the layers, so that "
    "each extraction computes one layer; the package from pip is built without NCNN_BENCHMARK"
)
# Raw: as the layer left it. The default unpacks channels and makes halves and integers floats,
# which an uninterrupted run does not.
_RAW = 1


class NcnnProfiler:
    """Two loaded networks: as benchmarked, and one that keeps every blob."""

    engine = runtime.ENGINE

    def __init__(
        self, artifact: Path, contract: Description, threads: int, image: Float32Array
    ) -> None:
        """Load both, and list the layers with the blob that each one gives."""
        self._plain = runtime.load(artifact, contract, threads, ("cpu",))
        self._image = image
        self._input = contract.input.name
        self._net = _whole(artifact, contract, threads)
        blobs = [blob.name for blob in self._net.blobs()]
        self._layers = [
            (layer, blobs[layer.tops[0]])
            for layer in self._net.layers()
            if layer.type != "Input" and layer.tops
        ]
        self._batch = np.ascontiguousarray(encode(image, contract.input)[0])
        self._shapes: list[str] = []
        self._runs: list[Run] = []
        self._again_us: list[float] = []

    def plain(self) -> object:
        """One inference in one piece, as benchmarked."""
        return self._plain.run(self._image)

    def profiled(self) -> object:
        """One inference with a stop after every layer."""
        clock = time.perf_counter_ns
        kept, ends = [], []
        begin = clock()
        extractor = self._net.create_extractor()
        extractor.input(self._input, ncnn.Mat(self._batch))
        start = clock()
        for _, blob in self._layers:
            status, value = extractor.extract(blob, _RAW)
            ends.append(clock())
            kept.append(value)
            if status != 0:
                raise RuntimeUnavailableError(
                    f"{self.engine} gives blob {blob} with status {status}; it lacks a layer in "
                    "this build: try another ncnn"
                )
        # What asking costs when there is nothing to compute.
        last = self._layers[-1][1]
        before = clock()
        extractor.extract(last, _RAW)
        self._again_us.append((clock() - before) / 1e3)
        self._runs.append(_run(begin, start, ends))
        if not self._shapes:
            self._shapes = [_shape(value) for value in kept]
        return kept

    def recording(self) -> Recording:
        """Layers and their times, less what asking for a blob costs."""
        asking = statistics.median(self._again_us)
        return Recording(
            engine=self.engine,
            method=_METHOD,
            caveats=[
                "every blob is kept and every layer is asked for from Python: layers that would "
                f"have worked in place copy; asking alone takes {asking:.1f} µs per layer, "
                "which is counted as overhead",
                "what the layers take together can be held against the run in one piece: the "
                "ratio of the two is the error of the method",
            ],
            starts_known=True,
            nodes=[
                Node(name=layer.name, op=layer.type, shape=shape)
                for (layer, _), shape in zip(self._layers, self._shapes, strict=True)
            ],
            runs=[_less(run, asking) for run in self._runs],
        )


def _whole(artifact: Path, contract: Description, threads: int) -> ncnn.Net:
    """The network with every blob kept, otherwise as `runtimes.ncnn.load` has it."""
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.lightmode = False
    half = contract.precision == "fp16"
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = half
    net.opt.use_fp16_arithmetic = False
    load: list[tuple[Callable[[str], int], str]] = [
        (net.load_param, ".param"),
        (net.load_model, ".bin"),
    ]
    for read, suffix in load:
        path = contract.model_file(artifact, suffix)
        if read(str(path)) != 0:
            raise RuntimeUnavailableError(f"{path}: {runtime.ENGINE} cannot load it")
    return net


def _run(begin: int, start: int, ends: list[int]) -> Run:
    kernels, before = [], start
    for number, end in enumerate(ends):
        kernels.append(
            Kernel(node=number, start_us=(before - begin) / 1e3, duration_us=(end - before) / 1e3)
        )
        before = end
    return Run(total_us=(ends[-1] - begin) / 1e3, kernels=kernels)


def _less(run: Run, asking_us: float) -> Run:
    return Run(
        total_us=run.total_us,
        kernels=[
            kernel.model_copy(update={"duration_us": max(0.0, kernel.duration_us - asking_us)})
            for kernel in run.kernels
        ],
    )


def _shape(value: ncnn.Mat) -> str:
    sizes = {1: [value.w], 2: [value.h, value.w], 3: [value.c, value.h, value.w]}
    found = sizes.get(value.dims, [value.c, value.d, value.h, value.w])
    found[0] *= value.elempack
    return "×".join(map(str, found))


open = NcnnProfiler
