"""What `edgetpu_compiler -s` prints, as figures."""

from __future__ import annotations

import re
from typing import NamedTuple

from edgesmith.errors import ExportError

MAPPED = "Mapped to Edge TPU"
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_ROW = re.compile(
    r"^([A-Z][A-Z0-9_]*|edgetpu-custom-op|CUSTOM)\s+(\d+)\s+(\S.*?)\s*$", re.MULTILINE
)


class Row(NamedTuple):
    """Operators of one kind that share a status."""

    operator: str
    times: int
    status: str


class Compiled(NamedTuple):
    """One compiled model. `streamed_bytes` are weights fetched anew for each image."""

    version: str
    operators: int
    on_edgetpu: int
    subgraphs: int
    output_bytes: int
    cached_bytes: int
    streamed_bytes: int
    rows: list[Row]


def parse(output: str) -> Compiled:
    """Figures of a compilation of compiler 2.1 to 16; ExportError with its reason if it failed."""
    version = re.search(r"Edge TPU Compiler version (\S+)", output)
    operators = re.search(r"Total number of operations: (\d+)", output)
    if version is None or operators is None:
        raise ExportError(_reason(output))
    rows = [Row(name, int(count), status) for name, count, status in _ROW.findall(output)]
    said = re.search(r"Number of operations that will run on Edge TPU: (\d+)", output)
    # It says so only where some run on the CPU.
    on_edgetpu = int(said[1]) if said else int(operators[1])
    subgraphs = re.search(r"Number of Edge TPU subgraphs: (\d+)", output)
    return Compiled(
        version=version[1],
        operators=int(operators[1]),
        on_edgetpu=on_edgetpu,
        subgraphs=int(subgraphs[1]) if subgraphs else 0,
        output_bytes=_size(output, "Output size"),
        cached_bytes=_size(output, "On-chip memory used for caching model parameters"),
        streamed_bytes=_size(
            output, "Off-chip memory used for streaming uncached model parameters"
        ),
        rows=rows,
    )


def _size(output: str, title: str) -> int:
    found = re.search(rf"{title}: ([\d.]+)(B|KiB|MiB|GiB)", output)
    if found is None:
        raise ExportError(f"edgetpu_compiler printed no {title!r}; its format has changed")
    return round(float(found[1]) * _UNITS[found[2]])


def _reason(output: str) -> str:
    faults = re.findall(
        r"^(?:ERROR: .*|Compilation failed: .*|Invalid model.*|Internal compiler error.*)$",
        output,
        re.MULTILINE,
    )
    return (
        f"edgetpu_compiler compiled nothing: {'; '.join(faults) or 'it gave no reason'}; "
        "`edgesmith lint --for edgetpu` names the operators"
    )
