from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesmith.data.png import encode_png
from edgesmith.preprocess import Preprocess

SHARED = Path(__file__).parents[3] / "shared" / "data"


def picture(seed: int, side: int = 20, width: int | None = None) -> bytes:
    shape = (side, width or side, 3)
    return encode_png(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def put(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def classes(names: str, images: int, prefix: str = "", seed: int = 0) -> dict[str, bytes]:
    """`images` different pictures for each of the space-separated class names."""
    return {
        f"{prefix}{name}/{k:03d}.png": picture(seed + 1000 * number + k)
        for number, name in enumerate(names.split())
        for k in range(images)
    }


@pytest.fixture
def spec() -> Preprocess:
    return Preprocess(height=16, width=24, mean=(127, 127, 127), std=(128, 128, 128))


@pytest.fixture
def letterbox() -> Preprocess:
    return Preprocess(
        height=64, width=64, resize="letterbox", antialias=False, mean=(0, 0, 0), std=(255,) * 3
    )


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"the shared datasets are not at {SHARED}")
    return SHARED
