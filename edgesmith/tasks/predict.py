"""What a torch network gives for images, in the form in which artifacts are compared with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from edgesmith.preprocess import Float32Array, Preprocess, UInt8Array, normalise

# A classifier's logits, or the maps of a detector.
Output = torch.Tensor | Sequence[torch.Tensor]
# Of one batch. 64 images of 640 x 640 took YOLO26n to 5.1 GB, as many as these hold to 1.7.
_PIXELS = 64 * 224 * 224


@torch.no_grad()
def predict(net: nn.Module, images: UInt8Array, spec: Preprocess, batch: int = 64) -> Float32Array:
    """Output of `net`, in eval mode already, for (N, H, W, 3) uint8 images, as float32.

    At most `batch` images at a time, and fewer where they are large.

    A classifier's are its logits (N, classes), a detector's its predictions (N, cells, 4 + classes)
    as `pack` gives them.
    """
    parameter = next(net.parameters())
    height, width = images.shape[1:3]
    batch = max(1, min(batch, _PIXELS // (height * width)))
    parts = []
    for begin in range(0, len(images), batch):
        inputs = as_input(normalise(images[begin : begin + batch], spec), parameter.device)
        parts.append(as_array(net(inputs.to(parameter.dtype))))
    return np.concatenate(parts)


def as_array(given: Output) -> Float32Array:
    """What a network gave, as `predict` describes it."""
    whole = given if isinstance(given, torch.Tensor) else pack(given)
    result: Float32Array = whole.float().cpu().numpy()
    return result


def pack(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """Predictions (N, cells, 4 + classes) of a detector's maps: boxes and scores, level by level.

    Cells of the finest level first, each level row by row.
    """
    levels = [
        torch.cat((boxes, scores), 1).flatten(2).transpose(1, 2)
        for boxes, scores in zip(maps[::2], maps[1::2], strict=True)
    ]
    return torch.cat(levels, 1)


def as_input(images: Float32Array, device: torch.device) -> torch.Tensor:
    """(N, 3, H, W) float32 on `device`, stored channels-last, as the networks' weights are."""
    return torch.from_numpy(images).to(device).contiguous(memory_format=torch.channels_last)
