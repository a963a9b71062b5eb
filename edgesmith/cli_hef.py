"""`edgesmith inspect model.hef`: what a Hailo executable says of itself, without the chip."""

from __future__ import annotations

from pathlib import Path

import typer

from edgesmith.cli_options import print_pairs
from edgesmith.hef.facts import Hef, NetworkGroup, Stream
from edgesmith.hef.read import read


def inspect_hef(path: Path, as_json: bool) -> None:
    """Print the facts of a .hef file; HefError where it is damaged."""
    found = read(path)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        print_pairs(_describe(found))


def _describe(hef: Hef) -> dict[str, str]:
    pairs = {
        "file": f"{hef.file}, {hef.size_bytes / 1e6:.3f} MB, container v{hef.container}, "
        f"{hef.checksum} matches",
        "compiled for": f"{hef.hw_arch}; runs on {', '.join(hef.runs_on) or 'no known chip'}",
        "compiled by": f"Dataflow Compiler {hef.dfc_version or 'of an unknown version'}",
    }
    for group in hef.network_groups:
        pairs |= _describe_group(group)
    return pairs


def _describe_group(group: NetworkGroup) -> dict[str, str]:
    name = group.name
    contexts = f"{group.contexts} context" + ("s" if group.contexts != 1 else "")
    pairs = {f"{name}": f"networks {', '.join(group.networks) or name}; {contexts}"}
    for kind, streams in (("in", group.inputs), ("out", group.outputs)):
        for stream in streams:
            pairs[f"{name} {kind}  {stream.name}"] = _describe_stream(stream)
    for number, text in enumerate(group.post_processing):
        pairs[f"{name} post-processing {number}"] = text
    return pairs


def _describe_stream(stream: Stream) -> str:
    shape = "×".join(map(str, stream.shape))
    padded = "" if stream.padded == stream.shape else f" ({'×'.join(map(str, stream.padded))})"
    text = f"{shape}{padded} {stream.order} {stream.bits} bits"
    if isinstance(stream.scale, list):
        text += f", {len(stream.scale)} scales from {min(stream.scale):.6g} to "
        text += f"{max(stream.scale):.6g}"
    elif stream.scale is not None:
        text += f", scale {stream.scale:.6g}, zero point {stream.zero_point:g}"
        if (stream.scale, stream.zero_point, stream.limits) == (1, 0, (0, 255)):
            text += " (pixels of 0–255 as they are)"
    if stream.normalised_on_chip:
        text += ", normalised on the chip"
    if stream.nms is not None:
        text += f", NMS on the chip: {stream.nms.classes} classes, at most "
        text += f"{stream.nms.max_per_class} each"
    return text
