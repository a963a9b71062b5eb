"""A checkout with a tiny detector: bright rectangles on noise, of two classes, in 64 pixels.

The class is the colour. What `make` writes is what `dvc repro` would: params.yaml and data/; steps
run through the stages' own functions, on a network with every kind of layer that YOLO26 has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from edgesmith.data.detect.store import AnnotatedImage, Scenes, load_scenes, write_scenes
from edgesmith.data.png import encode_png
from edgesmith.params import Augment, Params
from edgesmith.tasks.detect import networks
from edgesmith.tasks.learning import Data
from tests import tiny
from tests.tiny_detector import LABELS, SIZE, SPEC, plain

COUNTS = {"train": 48, "val": 12, "test": 12, "calibration": 8}
COLOURS = ((230, 40, 40), (40, 60, 230))
_NAMES = {"task": "detect", "dataset": "blocks", "baseline": "base", "schedule": "none"}


def variant(step: str, parent: str, **keys: Any) -> dict[str, Any]:
    """A variant as params.yaml spells it: no training, its own teacher, unless `keys` say so."""
    return {"step": step, "parent": parent, "teacher": parent, **_NAMES, **keys}


BASE = variant("train", "net", schedule="full")
QUANTIZED = {"method": "ptq", "observer": "minmax"}
CHAIN = {
    "base": BASE,
    "distilled": variant("distill", "base", teacher="wide", schedule="one", alpha=0.5),
    "half": variant("cast", "base"),
    "ptq": variant("quantize", "base", **QUANTIZED),
    "qat": variant(
        "quantize", "base", method="qat", schedule="one", freeze_batch_norm=0, alpha=0.5
    ),
    "cut": variant("prune", "base", ratio=0.4, round_to=4, schedule="two"),
    "cut-mixed": variant("quantize", "cut", **QUANTIZED, keep_float=["*attn*"]),
}
TOLERANCE = {"max_abs_diff": 20.0, "min_sqnr_db": 12.0, "min_agreement": 0.6}
TOLERANCES = {
    "fp32": {"max_abs_diff": 0.01, "min_sqnr_db": 70.0, "min_agreement": 0.999},
    "fp16": {"max_abs_diff": 1.0, "min_sqnr_db": 35.0, "min_agreement": 0.9},
    "int8": TOLERANCE,
}


def write_params(folder: Path, **changes: dict[str, Any]) -> Params:
    """Write params.yaml: what every test uses, and `changes` merged into its sections."""
    spec = SPEC.model_dump(mode="json")
    model = {"task": "detect", "dataset": "blocks", "architecture": "yolo26n", "input": spec}
    schedule = {"batch": 8, "learning_rate": 0.001, "weight_decay": 0.0, "clip_norm": 10}
    gates = {kind: {**limits, "max_metric_drop": 0.1} for kind, limits in TOLERANCES.items()}
    sections: dict[str, dict[str, Any]] = {
        "datasets": {"blocks": {"source": "yolo", "path": "", "size": SIZE, "calibration": 8}},
        "models": {"net": model, "wide": {**model, "architecture": "yolo26s"}},
        "schedules": {
            "full": {**schedule, "epochs": 7, "learning_rate": 0.005},
            "two": {**schedule, "epochs": 2},
            "one": {**schedule, "epochs": 1},
            "none": {**schedule, "epochs": 0},
        },
        "variants": {"base": BASE},
        "tolerances": {"classify": gates, "detect": gates},
        "export": {"parity_images": 12},
    }
    return tiny.write_params(
        folder,
        **{name: sections.get(name, {}) | changes.get(name, {}) for name in sections | changes},
    )


def write_data(folder: Path, **counts: int) -> None:
    """Store the dataset `blocks` below `folder`/data; `counts` may change a split's size."""
    splits = {}
    for seed, (split, count) in enumerate((COUNTS | counts).items()):
        rng = np.random.default_rng(seed)
        splits[split] = [_image(rng, number) for number in range(count)]
    write_scenes(folder / "data/blocks", LABELS, splits, "blocks: a test's own")


def load(folder: Path, split: str) -> Scenes:
    """A stored split."""
    return load_scenes(folder / "data/blocks", split, SPEC)


def data(folder: Path, augment: Augment | None = None) -> Data[Scenes]:
    """The stored dataset as the training loop takes it."""
    splits = (load(folder, name) for name in ("train", "val"))
    return Data(*splits, spec=SPEC, augment=augment or Augment())


def use_tiny_network(patch: pytest.MonkeyPatch) -> None:
    """Build the tiny network for yolo26n, and a wider one for yolo26s."""

    def build(architecture: str, classes: int, head: networks.Head) -> networks.Detector:
        net = networks.wrap(plain(classes, {"yolo26n": 1.0, "yolo26s": 1.5}[architecture]), head)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.2  # 0.03 takes more steps than a test has
        return net

    patch.setattr(networks, "build", build)


def make(folder: Path) -> None:
    """data/ and params.yaml, in `folder`."""
    write_data(folder)
    write_params(folder)


def _image(rng: np.random.Generator, number: int) -> AnnotatedImage:
    """Up to two rectangles; every fifth image has none."""
    image = rng.normal(110, 12, (SIZE, SIZE, 3))
    boxes, classes = [], []
    for side in range(0 if number % 5 == 4 else 1 + number % 2):
        width, height = rng.integers(14, 28, 2)
        left = side * SIZE // 2 + rng.integers(0, SIZE // 2 - width + 1)
        top = rng.integers(0, SIZE - height + 1)
        kind = int(rng.integers(0, 2))
        image[top : top + height, left : left + width] = COLOURS[kind]
        boxes.append([left + width / 2, top + height / 2, width, height])
        classes.append(kind)
    shares = np.array(boxes, np.float64).reshape(-1, 4) / SIZE
    content = encode_png(image.clip(0, 255).astype(np.uint8))
    return AnnotatedImage(f"{number:03d}.png", content, shares, np.array(classes, np.int64))
