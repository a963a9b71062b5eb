"""What a network says of images: a script for any Python that has edgesmith, emulated or not.

usage: python outputs.py ARTIFACT OUT.npz IMAGE…
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import numpy as np

from edgesmith.preprocess import fit, read_image
from edgesmith.runtimes import session as runtimes


def main(artifact: Path, out: Path, images: list[Path]) -> None:
    """Write `fitted` (N, H, W, 3), `outputs` (N, …), `sizes` (N, 2) height and width, `engine`."""
    session = runtimes.load(artifact)
    read = [read_image(path) for path in images]
    fitted = np.stack([fit(image, session.contract.input.preprocess) for image in read])
    np.savez(
        out,
        fitted=fitted,
        outputs=runtimes.predict(session, fitted),
        sizes=np.array([image.shape[:2] for image in read]),
        engine=np.array(f"{session.engine} on {platform.machine()}, numpy {np.__version__}"),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
