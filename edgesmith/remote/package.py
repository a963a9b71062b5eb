"""Edgesmith's device side as one archive, to be shipped to a device that has only its libraries."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import edgesmith

# Of the build host alone: no device could import them.
_BUILD_SIDE = ("tasks", "compress", "formats", "data", "report", "runtime_table", "params")


def archive() -> bytes:
    """A zip of this edgesmith without the build side; the same bytes for equal sources.

    Pure Python: a folder of it on PYTHONPATH needs no pip on the device, and leaves nothing there.
    """
    root = Path(edgesmith.__file__).parent
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root.parent)
            compiled = "__pycache__" in name.parts
            if path.is_file() and not compiled and name.parts[1] not in _BUILD_SIDE:
                entry = zipfile.ZipInfo(name.as_posix())  # of 1980: no time of a file in it
                package.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()
