"""A checkout that is built in seconds: four classes of small images, narrow networks.

The class is the tint of the noise. What `make_checkout` writes is
what `dvc repro` would: params.yaml, data/, models/; steps run through the stages' own functions.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import calibrate, read_ranges, read_weight_scales, simulate
from edgesmith.data.classify.store import Sample, Split, load_split, write_dataset
from edgesmith.data.png import encode_png
from edgesmith.params import Augment, Model, Params, load_params
from edgesmith.preprocess import Preprocess, UInt8Array
from edgesmith.tasks import store
from edgesmith.tasks.classify.networks import build
from edgesmith.tasks.fold import conv_norm_pairs, fold_batch_norm
from edgesmith.tasks.learning import Data
from edgesmith.tasks.predict import predict

# Cores are shared, and weights must not depend on how many there are.
torch.set_num_threads(1)
# pytest would keep, and print with a failure, every record of torch's tracer: a tenth of the time.
logging.getLogger("torch.__trace").disabled = True

SIZE = 32
LABELS = ["red", "green", "blue", "grey"]
COUNTS = {"train": 96, "val": 24, "test": 32, "calibration": 16}
SPEC = Preprocess(height=SIZE, width=SIZE, mean=(127, 127, 127), std=(64, 64, 64))

Variant = dict[str, Any]


def variant(step: str, parent: str, **keys: Any) -> Variant:
    """A variant as params.yaml spells it: no training, its own teacher, unless `keys` say so."""
    common = {"teacher": parent, "baseline": "base", "dataset": "tints", "schedule": "none"}
    return {"task": "classify", "step": step, "parent": parent, **common, **keys}


BASE = variant("train", "net", schedule="full", teacher="net")
CHAIN = {
    "base": BASE,
    "half": variant("cast", "base"),
    "ptq": variant("quantize", "base", method="ptq"),
    # Batch statistics live for the first of the two epochs.
    "qat": variant(
        "quantize", "base", method="qat", schedule="two", freeze_batch_norm=0.5, alpha=0.5
    ),
    "small": variant("prune", "base", ratio=0.4, round_to=4, schedule="one"),
    "small-half": variant("cast", "small"),
}


_TOLERANCE = {
    "max_abs_diff": 2.0,
    "min_sqnr_db": 15.0,
    "min_agreement": 0.9,
    "max_metric_drop": 0.1,
}
TOLERANCES = {
    "fp32": {**_TOLERANCE, "max_abs_diff": 1e-3, "min_sqnr_db": 80.0},
    "fp16": {**_TOLERANCE, "max_abs_diff": 0.2, "min_sqnr_db": 35.0},
    "int8": _TOLERANCE,
}


def write_params(folder: Path, **changes: dict[str, Any]) -> Params:
    """Write params.yaml: what every test uses, and `changes` merged into its sections."""
    spec = SPEC.model_dump(mode="json")
    common = {"task": "classify", "dataset": "tints", "input": spec}
    schedule = {"batch": 8, "learning_rate": 0.001, "weight_decay": 0.0}
    content: dict[str, Any] = {
        "seed": 0,
        "build_threads": 1,
        "datasets": {
            "tints": {"source": "imagefolder", "path": "", "size": SIZE, "calibration": 16}
        },
        "models": {
            # The stem does not shrink: a map of 2 x 2 is left for the global pooling.
            "net": {
                **common,
                "architecture": "mobilenet_v2",
                "width": 0.25,
                "stem_stride": 1,
            },
            "lite": {**common, "architecture": "efficientnet_lite0"},
            "res": {**common, "architecture": "resnet18"},
        },
        "schedules": {
            "full": {**schedule, "epochs": 6, "learning_rate": 0.005},
            "two": {**schedule, "epochs": 2, "batch": 16},
            "one": {**schedule, "epochs": 1, "batch": 16},
            "none": {**schedule, "epochs": 0},
        },
        "variants": {"base": BASE},
        "tolerances": {"classify": TOLERANCES, "detect": TOLERANCES},
        "export": {"opset": 21, "batch": "1", "parity_images": 32},
        "runtime": {"threads": 1, "providers": ["cpu"]},
        "bench": {"rounds": 1, "min_runs": 1, "min_seconds": 0.01, "max_warmup_seconds": 0.1},
        "active": {"variant": "base", "format": "onnx"},
    }
    for section, change in changes.items():
        content[section] = content.get(section, {}) | change
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_params(path)


def write_data(folder: Path, **counts: int) -> None:
    """Store the dataset `tints` below `folder`/data; `counts` may change a split's size."""
    splits = {}
    for number, (split, count) in enumerate((COUNTS | counts).items()):
        rng = np.random.default_rng(number)
        samples = [
            Sample(k % 4, f"{k:03d}.png", encode_png(_image(rng, k % 4))) for k in range(count)
        ]
        splits[split] = samples
    write_dataset(folder / "data/tints", LABELS, splits, "tints: a test's own")


def data(folder: Path) -> Data[Split]:
    """The stored dataset as the training loop takes it, without augmentation."""
    stored = folder / "data/tints"
    return Data(
        train=load_split(stored, "train", SPEC),
        val=load_split(stored, "val", SPEC),
        spec=SPEC,
        augment=Augment(),
    )


def run(stage: str, *arguments: str) -> None:
    """Run a stage in the current folder, in this process."""
    importlib.import_module(f"stages.{stage}").run(*arguments)


def _image(rng: np.random.Generator, label: int) -> UInt8Array:
    image = rng.normal(rng.uniform(80, 130), 20, (SIZE, SIZE, 3))
    if label < 3:
        image[:, :, label] += rng.uniform(40, 120)
    return image.clip(0, 255).astype(np.uint8)


def noise(count: int, size: int = SIZE) -> UInt8Array:
    """(count, size, size, 3) images of nothing."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def network(architecture: str) -> tuple[nn.Module, Model]:
    """Untrained, but with biases and batch statistics: fresh ones hide what depends on them."""
    model = Model(task="classify", architecture=architecture, dataset="tints", input=SPEC)
    torch.manual_seed(0)
    net = build(model, len(LABELS))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
        if getattr(module, "bias", None) is not None:
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return net.eval(), model


def store_quantized(folder: Path, architecture: str, float_layers: Sequence[str] = ()) -> None:
    """Store an untrained network of any architecture with ranges of a few images of nothing."""
    net, model = network(architecture)
    fold_batch_norm(net, conv_norm_pairs(net, SIZE, SIZE))
    graph = simulate(net, SPEC, "affine", float_layers)
    calibrate(graph, noise(8), SPEC, "minmax", 100)
    card = store.Card(
        name="int",
        task="classify",
        model="net",
        network=model,
        labels=LABELS,
        layers=store.layers_of(net),
        batch_norm_folded=True,
        precision="mixed" if float_layers else "int8",
        parent=None,
        parent_sha256=None,
        step="quantize",
        trained={},
        params=0,
        macs=0,
    )
    found = ranges.Quantization(
        method="ptq",
        scheme="affine",
        observer="minmax",
        images=8,
        activations=read_ranges(graph),
        weights=read_weight_scales(graph),
        float_layers=list(float_layers),
    )
    store.save(folder, net, card)
    store.save_reference(folder, {"self": predict(graph, noise(8), SPEC)})
    (folder / ranges.FILE).write_text(found.model_dump_json())
