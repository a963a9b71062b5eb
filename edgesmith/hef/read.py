"""The description inside a HEF as facts.

Field numbers are those of the public hef.proto of HailoRT (hailo-ai/hailort, MIT, 4.23 to 5.2);
this is a description of our own of the few messages that say what a file is. A core op is spread
over a network group's own fields in old files and is one of its ops in new ones, with the same
numbers in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgesmith.hef import archs, container
from edgesmith.hef.errors import HefError
from edgesmith.hef.facts import Hef, NetworkGroup, Nms, Stream
from edgesmith.hef.wire import Message

# ProtoHEFEdgeLayerBase.format -> order (HailoRT's get_device_format_order).
_ORDERS = {0: "NHWC", 1: "NHCW", 2: "NC", 3: "FCR", 4: "BAYER_RGB", 5: "NHW", 6: "NMS", 7: "F8CR"}
_NMS_OPS = {7: "yolov5", 8: "yolox", 9: "ssd", 10: "iou", 11: "yolov5-seg", 12: "yolov8"}
_LOGITS_OPS = ("argmax", "softmax")
_BOUNDARY, _TO_CHIP = 0, 0
# Muxes hold edges that may be muxes; deeper than this is no network.
_DEEPEST = 8


def read(path: Path) -> Hef:
    """What the HEF at `path` says of itself, after its checksum; HefError where it is no such."""
    frame = container.read(path)
    root = Message(frame.description, str(path))
    header = root.message(1)
    target = archs.target(header.integer(1))
    groups = [_group(group) for group in root.messages(2)]
    if not groups:
        raise HefError(f"{path}: holds no network; compile it again")
    return Hef(
        file=path.name,
        size_bytes=frame.size_bytes,
        container=frame.version,
        checksum=frame.checksum,
        weights_bytes=len(frame.weights),
        hw_arch=target.name,
        runs_on=list(target.runs_on),
        dfc_version=header.text(3),
        created=header.integer(2),
        network_groups=groups,
    )


def _group(group: Message) -> NetworkGroup:
    ops = group.messages(8)
    core = next((op.message(4) for op in ops if 4 in op), group)
    layouts = core.messages(7)
    if not core.messages(3) and layouts:
        core = layouts[0].message(1)  # the same network on fewer clusters, one per layout
    contexts = core.messages(3)
    networks = core.texts(6) or group.texts(6)
    inputs: dict[str, Stream] = {}
    outputs: dict[str, Stream] = {}
    for context in contexts:
        for edge in context.message(3).messages(2):
            if edge.message(5).integer(3) != _BOUNDARY:
                continue
            index = edge.integer(6)
            network = networks[index] if index < len(networks) else ""
            side = inputs if edge.integer(1) == _TO_CHIP else outputs
            side.update((layer.name, layer) for layer in _layers(edge, (3, 4, 8), network))
    metadata = core.message(1)
    return NetworkGroup(
        name=group.text(10) or metadata.text(1),
        networks=networks,
        contexts=len(contexts),
        layouts=max(len(layouts), 1),
        inputs=list(inputs.values()),
        outputs=list(outputs.values()),
        post_processing=[_post_processing(op) for op in ops if 4 not in op],
        host_nms=[_host_nms(op.message(5)) for op in ops if 5 in op],
    )


def _layers(
    edge: Message, numbers: tuple[int, int, int], network: str, depth: int = 0
) -> Iterator[Stream]:
    """The streams of an edge; `numbers` are those of a plain layer, a mux and planes in it."""
    if depth > _DEEPEST:
        raise HefError(f"{edge.where}: muxes nested {depth} deep; the file is damaged")
    plain, mux, planes = numbers
    for layer in edge.messages(plain):
        yield _stream(layer, network)
    for layer in edge.messages(mux):
        for inner in layer.messages(5):
            yield from _layers(inner, (1, 2, 3), network, depth + 1)
    for layer in edge.messages(planes):
        for inner in layer.messages(3):
            yield from _layers(inner, (1, 2, 3), network, depth + 1)


def _stream(layer: Message, network: str) -> Stream:
    base, numeric = layer.message(2), layer.message(3)
    kind = base.integer(7)
    nms = base.message(11).message(1) if kind == 6 else None
    return Stream(
        name=layer.text(1),
        network=network,
        layers=layer.texts(5),
        shape=[base.integer(number) for number in (1, 3, 5)],
        padded=[base.integer(number) for number in (2, 4, 6)],
        order=_ORDERS.get(kind, f"unknown ({kind})"),
        bits=8 * (base.integer(12) or 1),
        scale=_alike(numeric.float64s(6)) or numeric.float32(2) or None,
        zero_point=_zero_point(numeric),
        limits=(numeric.float32(3), numeric.float32(4)),
        normalised_on_chip=any("normalization" in name for name in layer.texts(5)),
        nms=None
        if nms is None
        else Nms(kind="on chip", classes=nms.integer(2), max_per_class=nms.integer(3)),
    )


def _zero_point(numeric: Message) -> float | list[float] | None:
    """0 is not written, so that it shows by the scale beside it."""
    if 6 in numeric:
        return _alike(numeric.float64s(5)) or 0.0
    return numeric.float32(1) if numeric.float32(2) else None


def _alike(values: list[float]) -> float | list[float] | None:
    """One number where all are the same."""
    if len(set(values)) > 1:
        return values
    return values[0] if values else None


def _post_processing(op: Message) -> str:
    if 5 in op:
        kind = "box decoding" if op.message(5).integer(13) else "NMS"
        return f"{op.text(1)}: {_nms_kind(op.message(5))} {kind} by HailoRT"
    if 6 in op:
        number = op.message(6).integer(1)
        name = _LOGITS_OPS[number] if number < len(_LOGITS_OPS) else f"unknown ({number})"
        return f"{op.text(1)}: {name} by HailoRT"
    return f"{op.text(1)}: unknown operation"


def _host_nms(op: Message) -> Nms:
    return Nms(
        kind=_nms_kind(op),
        classes=op.integer(4),
        max_per_class=op.integer(3),
        score_threshold=op.float64(1),
        iou_threshold=op.float64(2),
    )


def _nms_kind(op: Message) -> str:
    return next((name for number, name in _NMS_OPS.items() if number in op), "unknown")
