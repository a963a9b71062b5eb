"""The step `resize`: another input size without training."""

from __future__ import annotations

import copy
from pathlib import Path

from torch import nn

from edgesmith import files
from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import give_ranges, simulate
from edgesmith.compress.variant import MODELS, Work, wrong_step
from edgesmith.params import ResizeVariant


def resize(work: Work) -> None:
    """Store the parent's weights and ranges, unchanged, as a network of the variant's input size.

    All layers of a detector are convolutions, or attention between the cells of a map: they take a
    map of any size. Operations are counted anew, and outputs on the test split are those at the new
    size.
    """
    if not isinstance(work.variant, ResizeVariant):
        raise wrong_step(work, "resize")
    parent, precision = MODELS / work.variant.parent, work.parent.precision
    quantized = precision in {"int8", "mixed"}

    def write_more(folder: Path) -> None:
        if quantized:
            files.write_bytes(folder / ranges.FILE, (parent / ranges.FILE).read_bytes())

    work.finish(
        work.net,
        {},
        simulated=_with_ranges(work, ranges.read(parent)) if quantized else _single(work.net),
        batch_norm_folded=work.parent.batch_norm_folded,
        precision=precision,
        write_more=write_more,
    )


def _with_ranges(work: Work, found: ranges.Quantization) -> nn.Module:
    """The graph that simulates integer arithmetic, traced at the new size."""
    graph = simulate(work.net, work.spec, found.scheme, found.float_layers)
    give_ranges(graph, found.activations)
    return graph


def _single(net: nn.Module) -> nn.Module:
    """The same in single precision, in which artifacts of half precision are judged too."""
    return copy.deepcopy(net).float()
