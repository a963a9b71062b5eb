from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.preprocess import normalise
from edgesmith.tasks.predict import pack, predict
from tests import tiny

# Two levels of two images: 4 distances and 3 classes per cell, 2 x 3 and 1 x 2 cells.
SHAPES = [(2, 4, 2, 3), (2, 3, 2, 3), (2, 4, 1, 2), (2, 3, 1, 2)]


def maps() -> list[torch.Tensor]:
    """Each value says where it lies: 1000 map + 100 image + 10 channel + 3 row + column."""
    return [
        1000 * number
        + 100 * torch.arange(n).reshape(-1, 1, 1, 1)
        + 10 * torch.arange(channels).reshape(1, -1, 1, 1)
        + 3 * torch.arange(rows).reshape(1, 1, -1, 1)
        + torch.arange(columns).reshape(1, 1, 1, -1)
        for number, (n, channels, rows, columns) in enumerate(SHAPES)
    ]


def test_maps_are_packed_level_by_level_and_row_by_row() -> None:
    packed = pack(maps())

    assert packed.shape == (2, 2 * 3 + 1 * 2, 4 + 3)
    # The first cell, the one right of it, the one below it, of the first image.
    assert packed[0, 0].tolist() == [0, 10, 20, 30, 1000, 1010, 1020]
    assert packed[0, 1].tolist() == [1, 11, 21, 31, 1001, 1011, 1021]
    assert packed[0, 3].tolist() == [3, 13, 23, 33, 1003, 1013, 1023]
    # The last cell of the second level, of the second image.
    assert packed[1, 7].tolist() == [2101, 2111, 2121, 2131, 3101, 3111, 3121]


def test_a_level_without_its_scores_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        pack(maps()[:3])


class Maps(nn.Module):
    """One level: distances are the channels' means around each cell, scores the first two."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cells = nn.functional.avg_pool2d(x, 8) * self.scale
        return torch.cat((cells, cells[:, :1]), 1), cells[:, :2]


@pytest.mark.parametrize("half", [False, True])
def test_what_a_detector_gives_is_packed_in_single_precision(half: bool) -> None:
    images, net = tiny.noise(5), Maps().eval()
    given = predict(net.half() if half else net, images, tiny.SPEC, batch=2)
    pixels = normalise(images, tiny.SPEC)
    cells = pixels.reshape(5, 3, 4, 8, 4, 8).mean(axis=(3, 5))
    expected = cells.reshape(5, 3, 16).transpose(0, 2, 1)[:, :, [0, 1, 2, 0, 0, 1]]

    assert given.dtype == np.float32
    np.testing.assert_allclose(given, expected, atol=5e-3 if half else 1e-5)


def test_large_images_go_through_the_network_in_smaller_batches() -> None:
    seen: list[int] = []
    net = Maps().eval()
    net.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    spec = tiny.SPEC.model_copy(update={"height": 640, "width": 640})
    large = predict(net, tiny.noise(9, size=640), spec)
    predict(net, tiny.noise(70), tiny.SPEC)

    assert seen == [7, 2, 64, 6]
    assert large.shape == (9, 80 * 80, 6)
