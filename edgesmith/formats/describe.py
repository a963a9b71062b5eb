"""What every format's contract says alike: whose variant it is, its outputs, its files."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.boxes import Boxes
from edgesmith.contract import Description, Input, Output, Precision
from edgesmith.errors import ExportError

# Levels of a detector, in pixels of the input per cell, in the order of its maps.
STRIDES = (8, 16, 32)
# Of each level, in this order.
_MAPS: tuple[tuple[Literal["boxes", "scores"], Literal["ltrb", "sigmoid"]], ...] = (
    ("boxes", "ltrb"),
    ("scores", "sigmoid"),
)


class Card(Protocol):
    """What exporters read of a variant's card, whatever its task."""

    @property
    def name(self) -> str:
        """Of the variant."""

    @property
    def task(self) -> Literal["classify", "detect"]:
        """What it does."""

    @property
    def model(self) -> str:
        """The architecture's name in params.yaml."""

    @property
    def network(self) -> Any:
        """Holds `input` and, of detectors, `head`."""

    @property
    def labels(self) -> list[str]:
        """Names of the classes, in the order of the network's."""

    @property
    def precision(self) -> Precision:
        """Of the stored weights, and of the artifact."""

    @property
    def parent(self) -> str | None:
        """The variant that it was made of."""

    @property
    def params(self) -> int:
        """How many parameters."""

    @property
    def macs(self) -> int:
        """Multiplications of one image."""


def output_names(card: Card) -> list[str]:
    """What the outputs are called: `logits`, or `boxes8`, `scores8`, `boxes16` … of a detector."""
    if card.task == "classify":
        return ["logits"]
    return [f"{meaning}{stride}" for stride in STRIDES for meaning, _ in _MAPS]


def outputs(
    card: Card,
    *,
    names: Sequence[str] | None = None,
    batch: int = 1,
    layout: Literal["NCHW", "NHWC"] = "NCHW",
) -> list[Output]:
    """The float32 outputs, called `names` where the format has its own; -1 for a free `batch`."""
    found = names or output_names(card)
    if card.task == "classify":
        shape = [batch, len(card.labels)]
        (name,) = found
        return [Output(name=name, meaning="logits", dtype="float32", shape=shape, decode="softmax")]
    spec, channels = card.network.input, {"boxes": 4, "scores": len(card.labels)}
    if spec.height % STRIDES[-1] or spec.width % STRIDES[-1]:
        raise ExportError(
            f"{card.name}: an input of {spec.height} x {spec.width}; a detector takes multiples of "
            f"{STRIDES[-1]}: change models.{card.model}.input in params.yaml"
        )
    result = []
    pairs = [(stride, *pair) for stride in STRIDES for pair in _MAPS]
    for name, (stride, meaning, decode) in zip(found, pairs, strict=True):
        cells = [spec.height // stride, spec.width // stride]
        depth = [channels[meaning]]
        result.append(
            Output(
                name=name,
                meaning=meaning,
                dtype="float32",
                layout=layout,
                shape=[batch, *(depth + cells if layout == "NCHW" else cells + depth)],
                decode=decode,
                stride=stride,
            )
        )
    return result


def describe(
    card: Card,
    variant: Path,
    folder: Path,
    *,
    format: str,
    source: Input,
    results: list[Output],
    tools: Sequence[str],
    target: str = "any",
) -> Description:
    """The contract of the artifact in `folder`, of the stored `variant`, but for its parity.

    `source` and `results` are its input and outputs; `tools` the packages that made it.
    """
    return Description(
        task=card.task,
        variant=card.name,
        parent=card.parent or card.name,
        parent_sha256=files.sha256_folder(variant),
        model=card.model,
        format=format,
        precision=card.precision,
        target=target,
        labels=card.labels,
        input=source,
        outputs=results,
        boxes=Boxes(head=card.network.head) if card.task == "detect" else None,
        files=contracts.describe_files(folder),
        params=card.params,
        macs=card.macs,
        tools={name: version(name) for name in tools},
    )
