"""YOLO26 as a plain network: image in, one pair of maps per level out."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from ultralytics.nn.tasks import DetectionModel

from edgesmith.tasks.detect.blocks import split_branches

Head = Literal["one-to-one", "one-to-many"]
# Of the three levels, in pixels of the input per cell.
STRIDES = (8, 16, 32)


class Detector(nn.Module):
    """Ultralytics' YOLO26 with the head to deploy and, for training, the other one beside it.

    Takes (N, 3, height, width) float32 in [0, 1], both sizes multiples of 32. Gives, per level of
    stride 8, 16 and 32, `boxes` (N, 4, H, W): distances from the cell's centre to the left, top,
    right and bottom edge in cells, and `scores` (N, classes, H, W): logits. In this order: boxes
    and scores of stride 8, of 16, of 32. While training, or where `both` is set, the other head's
    six maps follow.
    """

    def __init__(self, model: DetectionModel, head: Head) -> None:
        """Take over the layers of `model`, which has both heads; `head` is the one to deploy."""
        super().__init__()
        *body, detect = model.model
        self.layers = nn.ModuleList(body)
        self.sources: list[int | list[int]] = [layer.f for layer in body]
        self.levels: list[int] = list(detect.f)
        single = (detect.one2one_cv2, detect.one2one_cv3)
        many = (detect.cv2, detect.cv3)
        self.head: Head = head
        self.boxes, self.scores = single if head == "one-to-one" else many
        others = many if head == "one-to-one" else single
        self.other_boxes: nn.ModuleList | None = others[0]
        self.other_scores: nn.ModuleList | None = others[1]
        self.both = False
        split_branches(self.layers)

    def heads(self) -> list[nn.ModuleList]:
        """Boxes and scores of the deployed head, then those of the other, if it is still there."""
        found = [self.boxes, self.scores]
        found += [part for part in (self.other_boxes, self.other_scores) if part is not None]
        return found

    def deployed_parameters(self) -> list[nn.Parameter]:
        """All parameters but those of the other head."""
        others = {id(p) for part in self.heads()[2:] for p in part.parameters()}
        return [p for p in self.parameters() if id(p) not in others]

    def drop_other_head(self) -> None:
        """Leave the deployed head alone, as artifacts and quantized networks have it."""
        self.other_boxes = self.other_scores = None

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Maps of the deployed head, then those of the other; see the class."""
        outputs: list[torch.Tensor] = []
        for layer, source in zip(self.layers, self.sources, strict=True):
            if isinstance(source, int):
                x = layer(x if source == -1 else outputs[source])
            else:
                x = layer([x if number == -1 else outputs[number] for number in source])
            outputs.append(x)
        features = [outputs[level] for level in self.levels]
        # As published, the one-to-one head does not train the layers that it shares.
        apart = [feature.detach() if self.training else feature for feature in features]
        beside = self.other_boxes is not None and self.other_scores is not None
        first = apart if self.head == "one-to-one" and beside else features
        maps = _maps(first, self.boxes, self.scores)
        if self.other_boxes is None or self.other_scores is None:
            return maps
        if not (self.training or self.both):
            return maps
        second = features if self.head == "one-to-one" else apart
        return maps + _maps(second, self.other_boxes, self.other_scores)


def build(architecture: str, classes: int, head: Head) -> Detector:
    """YOLO26 (`yolo26n`, `yolo26s` …) with freshly drawn weights (torch's RNG)."""
    return wrap(DetectionModel(f"{architecture}.yaml", nc=classes, verbose=False), head)


def wrap(model: DetectionModel, head: Head) -> Detector:
    """Ultralytics' model as a `Detector`; the model itself is not to be used any more."""
    # Activations are one shared module there; pruning and tracing want one per place.
    for module in model.modules():
        if isinstance(getattr(module, "act", None), nn.SiLU):
            module.act = nn.SiLU()
    return Detector(model, head)


def _maps(
    features: list[torch.Tensor], boxes: nn.ModuleList, scores: nn.ModuleList
) -> tuple[torch.Tensor, ...]:
    """Boxes and scores of each level, level by level."""
    pairs = [
        (box(feature), score(feature))
        for feature, box, score in zip(features, boxes, scores, strict=True)
    ]
    return tuple(value for pair in pairs for value in pair)
