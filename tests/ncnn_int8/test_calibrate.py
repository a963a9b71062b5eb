from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgesmith.errors import DataError, ModelError
from edgesmith.ncnn_int8.calibrate import BINS, Method, calibrate, clip
from tests.ncnn_int8 import nets

Stored = tuple[Path, Path]


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return nets.store(nets.residual(), tmp_path)


def test_absmax_covers_what_every_layer_reads(stored: Stored) -> None:
    images = nets.images(4)
    found = calibrate(nets.residual(), *stored, lambda: images, "absmax")

    bottoms = {layer.name: layer.bottoms[0] for layer in nets.residual().weighted()}
    assert found.keys() == bottoms.keys()
    assert found["stem"].largest == np.abs(images).max()
    for name, blob in bottoms.items():
        largest = max(np.abs(nets.run(*stored, image, blob)).max() for image in images)
        assert found[name].largest == pytest.approx(largest, rel=1e-6)


def test_kl_clips_an_outlier_that_absmax_keeps(stored: Stored) -> None:
    images = nets.images(8)
    images[0, 0, 0, 0] = 100
    found = {
        method: calibrate(nets.residual(), *stored, lambda: images, method)["stem"].largest
        for method in ("kl", "absmax")
    }
    assert found["absmax"] == 100
    # Nearly all of 6,144 normal values lie within 4.
    assert 3 < found["kl"] < 20


def test_evenly_spread_values_are_not_clipped() -> None:
    assert clip(np.full(BINS, 10.0), 3.0) > 0.97 * 3


def test_zeros_alone_do_not_choose_the_range() -> None:
    counts = np.full(BINS, 10.0)
    counts[0] = 1e9
    assert clip(counts, 3.0) == clip(np.full(BINS, 10.0), 3.0)


@pytest.mark.parametrize("method", ["kl", "absmax"])
def test_no_images_are_refused(stored: Stored, method: Method) -> None:
    def none() -> Iterator[np.ndarray]:
        return iter(())

    with pytest.raises(DataError, match="no calibration images"):
        calibrate(nets.residual(), *stored, none, method)


def test_a_tensor_that_is_always_zero_is_refused(stored: Stored) -> None:
    zeros = np.zeros((1, 3, 16, 16), np.float32)
    with pytest.raises(ModelError, match="the tensor in0 is zero on every calibration image"):
        calibrate(nets.residual(), *stored, lambda: zeros, "absmax")


def test_a_tensor_that_is_not_finite_is_refused(stored: Stored) -> None:
    broken = nets.images(1)
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(ModelError, match="the tensor in0 is not finite"):
        calibrate(nets.residual(), *stored, lambda: broken, "absmax")
