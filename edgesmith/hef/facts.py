"""What is known of a HEF without the chip: `edgesmith inspect model.hef --json`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Nms(_Part):
    """Non-maximum suppression by the chip or by HailoRT."""

    kind: str
    classes: int
    max_per_class: int
    score_threshold: float | None = None
    iou_threshold: float | None = None


class Stream(_Part):
    """An input or an output of the chip.

    `shape` is height, width, channels; `padded` the same as it travels. real = scale * (integer -
    zero_point), one number or one per channel; absent where the file has none.
    `layers` are the operators of the network that it comes from; the model script's normalisation
    is one of an input's.
    """

    name: str
    network: str
    layers: list[str]
    shape: list[int]
    padded: list[int]
    order: str
    bits: int
    scale: float | list[float] | None
    zero_point: float | list[float] | None
    limits: tuple[float, float]
    normalised_on_chip: bool
    nms: Nms | None = None


class NetworkGroup(_Part):
    """Networks that are loaded together; more than one context are loaded in turns per batch."""

    name: str
    networks: list[str]
    contexts: int
    layouts: int
    inputs: list[Stream]
    outputs: list[Stream]
    post_processing: list[str]
    host_nms: list[Nms]


class Hef(_Part):
    """A whole file. `created` is a time stamp as the compiler wrote it; 0 where it did not."""

    file: str
    size_bytes: int
    container: int
    checksum: str
    weights_bytes: int
    hw_arch: str
    runs_on: list[str]
    dfc_version: str
    created: int
    network_groups: list[NetworkGroup]
