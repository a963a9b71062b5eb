"""Which cells can be measured on a device: `cells` of `devices/<device>/cells.yaml`."""

from __future__ import annotations

from pathlib import Path

from edgesmith.device.catalogue.entry import Entry
from edgesmith.params import Params
from edgesmith.runtimes.session import ENGINES

Cell = dict[str, str]


def cells_of(entry: Entry, params: Params, artifacts: Path) -> tuple[dict[str, Cell], list[str]]:
    """Cells by name, and what is left out and why.

    Of the formats that the device takes, in its order of preference: all variants in ONNX, those of
    `params.yaml: formats` in a format that is listed there, and in any other what lies in
    `artifacts` beside its baseline, for a vendor's compiler made it elsewhere.
    """
    cells: dict[str, Cell] = {}
    left_out = []
    for taken in entry.formats:
        name = taken.format
        if name not in ENGINES:
            left_out.append(f"{name}: this edgesmith has no runtime for it")
            continue
        variants = _variants(name, params, artifacts)
        if not variants:
            left_out.append(f"{name}: no artifact and its baseline in {artifacts}/<variant>/{name}")
        for variant in variants:
            cells[f"{variant}.{name}"] = {
                "variant": variant,
                "format": name,
                "baseline": params.variants[variant].baseline,
                "runtime": ENGINES[name][0],
            }
    return cells, left_out


def _variants(format_name: str, params: Params, artifacts: Path) -> list[str]:
    listed = dict(params.formats)
    if format_name == "onnx":
        return list(params.variants)
    if format_name in listed:
        return list(listed[format_name])
    return [
        name
        for name, variant in params.variants.items()
        if (artifacts / name / format_name).is_dir()
        and (artifacts / variant.baseline / format_name).is_dir()
    ]
