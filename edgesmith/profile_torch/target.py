"""A variant's folder as what `edgesmith.profile.take` profiles."""

from __future__ import annotations

from pathlib import Path

from edgesmith.errors import RuntimeUnavailableError
from edgesmith.profile.subject import Request
from edgesmith.profile.summary import Subject
from edgesmith.profile.take import Target
from edgesmith.tasks import store

_BY = "edgesmith.profile_torch.profiler"
_PRECISIONS = ("fp32", "int8")


def target(variant: Path, *, torchscript: bool = False) -> Target:
    """The stored `variant` in PyTorch's eager mode, or traced and frozen as TorchScript.

    Raises ModelError for a damaged variant, RuntimeUnavailableError for a precision that PyTorch
    has no kernels for on a CPU.
    """
    card = store.read_card(variant)
    if card.precision not in _PRECISIONS:
        raise RuntimeUnavailableError(
            f"{variant}: is {card.precision}; PyTorch is profiled in {' and '.join(_PRECISIONS)}"
        )
    mode = "torchscript" if torchscript else "eager"
    return Target(
        Request(target=variant.resolve(), by=_BY, mode=mode),
        Subject(variant=card.name, format=f"torch-{mode}", precision=card.precision),
    )
