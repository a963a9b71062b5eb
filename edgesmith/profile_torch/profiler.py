"""PyTorch: `torch.profiler`, and which of what it sees is a kernel."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from edgesmith.formats.torchscript import integer_graph
from edgesmith.preprocess import decode_image, fit, normalise
from edgesmith.profile.recording import Kernel, Node, Recording, Run
from edgesmith.runtimes.torch import ENGINE, integer_engine
from edgesmith.tasks import store

_METHOD = (
    "torch.profiler (CPU operators); a kernel is the own time of an operator that passes its work "
    "on to no other (copies, memory and views excepted)"
)
_CAVEATS = [
    "the profiler writes down every call of an operator, which costs PyTorch more than runtimes "
    "that have one call per layer",
]
_INFERENCE = "inference"
# Operators that compute nothing: they make room, or look at memory in another way.
_BOOKKEEPING = {
    f"aten::{name}"
    for name in (
        *("empty", "empty_like", "empty_strided", "resize_", "as_strided", "as_strided_", "view"),
        *("_reshape_alias", "reshape", "flatten", "transpose", "t", "permute", "unsqueeze"),
        *("squeeze", "expand", "detach", "alias", "slice", "select", "result_type", "set_"),
        *("resolve_conj", "resolve_neg", "is_inference", "_empty_affine_quantized", "qscheme"),
        *("q_scale", "q_zero_point", "q_per_channel_axis", "_nnpack_available", "dropout"),
    )
}


# What kernels call for themselves: it does not make the caller one that only passes the work on.
_HELPERS = {
    f"aten::{name}"
    for name in ("copy_", "fill_", "zero_", "zeros", "to", "_to_copy", "clone", "contiguous")
}


class TorchProfiler:
    """A network in PyTorch, called with the profiler and without."""

    def __init__(self, variant: Path, mode: str, threads: int, frame: bytes) -> None:
        """Load `variant`, trace it where `mode` is `torchscript`, and prepare its input."""
        torch.set_num_threads(threads)
        net, card = store.load(variant)
        self.engine = ENGINE
        if card.precision == "int8":
            torch.backends.quantized.engine = kernels = integer_engine("cpu")
            self.engine = f"{ENGINE} {kernels}"
            net = integer_graph(variant)
        spec = card.network.input
        fitted = fit(decode_image(frame, "the benchmark's frame"), spec)[None]
        self._image = torch.from_numpy(normalise(fitted, spec)).contiguous()
        self._net: Any = _script(net, self._image) if mode == "torchscript" else net
        self._nodes: dict[tuple[str, int], Node] = {}
        self._runs: list[Run] = []
        self._native = ""

    def plain(self) -> object:
        """One inference."""
        with torch.inference_mode():
            return self._net(self._image)

    def profiled(self) -> object:
        """One inference that is recorded, after one that is not: starting a profiler is slow."""
        with (
            torch.inference_mode(),
            profile(activities=[ProfilerActivity.CPU], record_shapes=True) as taken,
        ):
            self._net(self._image)
            with record_function(_INFERENCE):
                found = self._net(self._image)
        root = next(event for event in taken.events() if event.name == _INFERENCE)
        self._runs.append(self._run(root))
        if not self._native:
            with tempfile.TemporaryDirectory() as work:
                path = Path(work) / "trace.json"
                taken.export_chrome_trace(str(path))
                self._native = path.read_text()
        return found

    def recording(self) -> Recording:
        """What was recorded."""
        return Recording(
            engine=self.engine,
            method=_METHOD,
            caveats=_CAVEATS,
            starts_known=True,
            nodes=list(self._nodes.values()),
            runs=self._runs,
            native=self._native,
        )

    def _run(self, root: Any) -> Run:
        """One inference of a tree of events."""
        begin = root.time_range.start
        kernels, around, memory = [], 0.0, 0.0
        seen: Counter[str] = Counter()
        numbers = {key: number for number, key in enumerate(self._nodes)}
        for event in _below(root):
            own = max(0.0, float(event.self_cpu_time_total))
            if event.name in _BOOKKEEPING:
                memory += own
            elif any(_computes(child) for child in event.cpu_children):
                around += own
            else:
                key = (event.name, seen[event.name])
                seen[event.name] += 1
                if key not in self._nodes:
                    numbers[key] = len(self._nodes)
                    self._nodes[key] = _node(event, key)
                start = max(0.0, float(event.time_range.start - begin))
                kernels.append(Kernel(node=numbers[key], start_us=start, duration_us=own))
        return Run(
            total_us=float(root.time_range.elapsed_us()),
            kernels=sorted(kernels, key=lambda kernel: kernel.start_us),
            overhead_us={
                "operators that call operators": around,
                "memory and views": memory,
            },
        )


def _below(event: Any) -> Iterator[Any]:
    for child in event.cpu_children:
        yield child
        yield from _below(child)


def _computes(event: Any) -> bool:
    """Whether an event is, or leads to, more than bookkeeping and what kernels call themselves."""
    small = event.name in _BOOKKEEPING or event.name in _HELPERS
    return not small or any(map(_computes, event.cpu_children))


def _node(event: Any, key: tuple[str, int]) -> Node:
    shapes = [shape for shape in event.input_shapes or [] if shape]
    return Node(
        name=f"{key[0].removeprefix('aten::')} #{key[1] + 1}",
        op=event.name,
        shape=" ".join("×".join(map(str, shape)) for shape in itertools.islice(shapes, 2)),
    )


def _script(net: nn.Module, image: torch.Tensor) -> Any:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated: see docs/torchscript.md
        return torch.jit.freeze(torch.jit.trace(net.eval(), image))  # type: ignore[no-untyped-call]


open = TorchProfiler
