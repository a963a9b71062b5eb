"""Which cells can be measured on a device: `devices/<device>/cells.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from edgesmith.device.catalogue.entry import Entry
from edgesmith.params import Params
from edgesmith.runtimes.session import ACCELERATORS, ENGINES

Cell = dict[str, str]

# Which variants a toolchain compiles: its params.yaml, and the section there. Engines are built of
# every variant.
_LISTED = {"hef": ("hailo", "hailo"), "edgetpu": ("edgetpu", "edgetpu")}


class Cells(NamedTuple):
    """By name: cells of the CPU's runtimes, of the accelerator's; and what is left out and why."""

    cells: dict[str, Cell]
    accelerated: dict[str, Cell]
    left_out: list[str]


def cells_of(entry: Entry, params: Params, folder: Path) -> Cells:
    """Of the formats that the device takes, in its order of preference, in the checkout `folder`.

    All variants in ONNX and as engines, those of `params.yaml: formats` in a format that is listed
    there, and those that a toolchain compiles. What its compiler makes of a variant's baseline is
    compared with it; without such a one a cell stands alone.
    """
    cells: dict[str, Cell] = {}
    accelerated: dict[str, Cell] = {}
    left_out = []
    for taken in entry.formats:
        name = taken.format
        if name not in ENGINES:
            left_out.append(f"{name}: this edgesmith has no runtime for it")
            continue
        variants = _variants(name, params, folder)
        if not variants:
            left_out.append(f"{name}: {_nothing(name)}")
        for variant in variants:
            baseline = params.variants[variant].baseline
            (accelerated if name in ACCELERATORS else cells)[f"{variant}.{name}"] = {
                "variant": variant,
                "format": name,
                "baseline": baseline if baseline in variants else variant,
                "runtime": ENGINES[name][0],
            }
    return Cells(cells, accelerated, left_out)


def _variants(format_name: str, params: Params, folder: Path) -> list[str]:
    listed = dict(params.formats)
    if format_name in ("onnx", "engine"):
        return list(params.variants)
    if format_name in _LISTED:
        tool, section = _LISTED[format_name]
        found = _values(folder / f"toolchains/{tool}/params.yaml").get(section, {})
        return [name for name in params.variants if name in found]
    return list(listed.get(format_name, {}))


def _nothing(format_name: str) -> str:
    if format_name in _LISTED:
        tool, section = _LISTED[format_name]
        return f"toolchains/{tool}/params.yaml: {section} lists no variant of params.yaml"
    return f"params.yaml: formats.{format_name} lists no variant"


def _values(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text()) if path.is_file() else {}
    return found if isinstance(found, dict) else {}
