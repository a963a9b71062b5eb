"""EfficientNet-Lite0 with its ImageNet weights, by the shipped overlay, on 200 real images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesmith import overlay
from edgesmith.data.classify.store import load_split
from edgesmith.params import load_params
from edgesmith.tasks import store
from edgesmith.tasks.predict import predict
from stages.prepare import prepare
from tests import tiny

ROOT = Path(__file__).parents[2]
IMAGES = ROOT.parent / "shared/data/imagenet200.tar"
FORMATS = ("onnx", "tflite", "ncnn")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IMAGES.is_file(), reason="../shared/data/imagenet200.tar is not there"),
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The overlay's variants in every format, evaluated."""
    folder = tmp_path_factory.mktemp("imagenet") / "checkout"
    folder.mkdir()
    (folder.parent / "shared").mkdir()
    (folder.parent / "shared/data").symlink_to(IMAGES.parent)
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        overlay.apply(ROOT / "params/imagenet200.yaml", folder / "params.yaml")
        prepare("imagenet200")
        tiny.run("init", "efficientnet-lite0")
        for stage, name in (("train", "baseline"), ("quantize", "ptq")):
            tiny.run(stage, f"efficientnet-lite0-{name}")
            for format_name in FORMATS:
                tiny.run(f"export_{format_name}", f"efficientnet-lite0-{name}")
                tiny.run("evaluate_classify", f"efficientnet-lite0-{name}", format_name)
    return folder


def measured(checkout: Path, name: str, format_name: str) -> dict[str, float]:
    path = checkout / f"metrics/accuracy/efficientnet-lite0-{name}.{format_name}.json"
    return json.loads(path.read_text())


def test_the_pretrained_network_knows_its_classes(checkout: Path) -> None:
    """Measured: 180 of 200."""
    float_ = measured(checkout, "baseline", "onnx")
    net, card = store.load(checkout / "models/efficientnet-lite0-baseline")
    spec = load_params(checkout / "params.yaml").models["efficientnet-lite0"].input
    folder = checkout / "data/imagenet200"
    others = [load_split(folder, name, spec) for name in ("calibration", "val")]
    right = sum((predict(net, s.images, spec).argmax(1) == s.labels).sum() for s in others)

    assert len(card.labels) == 1000
    assert float_["images"] + sum(map(len, others)) == 200
    assert (right + float_["value"] * float_["images"]) / 200 >= 0.85


@pytest.mark.parametrize("format_name", FORMATS)
def test_integers_keep_what_the_network_knows(checkout: Path, format_name: str) -> None:
    """Measured on 152 images, before 48 of them became val: see docs/quantization.md."""
    float_, integer = (measured(checkout, name, format_name) for name in ("baseline", "ptq"))

    assert float_["value"] == measured(checkout, "baseline", "onnx")["value"]
    assert integer["value"] >= float_["value"] - 0.03
    assert integer["agreement_vs_parent"] >= 0.94
    assert integer["size_bytes"] < 0.3 * float_["size_bytes"]
