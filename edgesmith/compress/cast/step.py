"""The step `cast`: half precision without training."""

from __future__ import annotations

import copy

from edgesmith.compress.variant import Work, wrong_step
from edgesmith.errors import ModelError
from edgesmith.params import CastVariant
from edgesmith.tasks import store


def cast(work: Work) -> None:
    """Fold batch normalisation in single precision, round the weights to half, and store them.

    Artifacts are held against the rounded weights in single-precision arithmetic: how far half
    precision goes inside is up to each runtime.
    """
    if not isinstance(work.variant, CastVariant):
        raise wrong_step(work, "cast")
    if work.parent.precision != "fp32":
        raise ModelError(
            f"params.yaml: variants.{work.name}.parent: {work.variant.parent} is "
            f"{work.parent.precision} already; cast an fp32 variant"
        )
    if not work.parent.batch_norm_folded:
        store.fold(work.net, work.parent)
    net = work.net.half().eval()
    # Also ten times faster: torch has no quick half-precision convolution for x86.
    simulated = copy.deepcopy(net).float()
    work.finish(net, {}, simulated=simulated, batch_norm_folded=True, precision="fp16")
