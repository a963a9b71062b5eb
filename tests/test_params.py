from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from edgesmith.errors import ParamsError
from edgesmith.params import load_params
from tests.checkout import PARAMS

ROOT = Path(__file__).parents[1]


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    return str(caught.value).removeprefix(f"{path}: ")


def test_the_shipped_parameters_are_valid() -> None:
    params = load_params(ROOT / "params.yaml")

    assert params.active.variant in params.variants


def test_the_sample_of_these_tests_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS)

    assert load_params(path).datasets["signs"].val == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ratio: 0.3", "ratio: 1.3", "variants.pruned.prune.ratio is 1.3; input should be less"),
        (
            "ratio: 0.3",
            "ratio: 0.3, ratoi: 1",
            "variants.pruned.prune.ratoi is not a known key; remove it",
        ),
        ("step: prune", "step: melt", "variants.pruned"),
        ("method: ptq}\n  qat", "method: guess}\n  qat", "variants.ptq.quantize.method is 'guess'"),
        ("calibration: 32", "calibration: 0", "datasets.signs.calibration is 0; input should be"),
        ("calibration: 32", "calibration: -1", "datasets.signs.calibration is -1"),
        (", calibration: 32", "", "datasets.signs.calibration is missing"),
        ("size: 64", "size: 64, train: -5", "datasets.signs.train is -5; input should be"),
        ("size: 64", "size: 64, difficulty: 2", "datasets.signs.difficulty is 2"),
        ("size: 64", "size: 4", "datasets.signs.size is 4"),
        ("source: signs", "source: web", "datasets.signs.source is 'web'"),
        ("size: 64", "size: 64, augment: {flip: 3}", "datasets.signs.augment.flip is 3"),
        (
            "size: 64",
            "size: 64, augment: {shear: 1}",
            "datasets.signs.augment.shear is not",
        ),
        ("height: 64", "height: 0", "models.net.input.height is 0"),
        ("std: [128, 128, 128]", "std: [128, 0, 128]", "models.net.input.std.1 is 0"),
        ("epochs: 3", "epochs: many", "schedules.full.epochs is 'many'"),
        ("dataset: signs\n    input", "dataset: pets\n    input", "models.net.dataset is 'pets'"),
        ("parent: net,", "parent: nat,", "variants.base.parent is 'nat', which is not defined"),
        ("parent: net,", "parent: longer,", "variants.base.parent: the chain"),
        ("teacher: base,", "teacher: sage,", "variants.base.teacher is 'sage'"),
        ("schedule: full}\n  longer", "schedule: x}\n  longer", "variants.base.schedule is 'x'"),
        ("variant: pruned", "variant: none", "active.variant is 'none', which is not defined"),
        ("{fp32: base,", "{fp32: bass,", "runtimes.net.fp32 is 'bass', which is not defined"),
        ("int8: ptq}", "int8: ptk}", "runtimes.net.int8 is 'ptk'"),
        ("int8: ptq}", "int8: base}", "runtimes.net.int8 is base, whose step is train"),
        ("int8: ptq}", "int8: qat}", "runtimes.net: qat is not in formats.tflite"),
        ("{fp32: base,", "{fp32: ptq,", "runtimes.net.fp32 is ptq, whose step is quantize"),
        ("  net: {fp32", "  Net: {fp32", "the name 'Net': use lower-case letters"),
        ("seed: 0", "seed: -1", "seed is -1; input should be greater"),
        ("  longer:", "  Long_er:", "the name 'Long_er': use lower-case letters"),
        ("  longer:", "  net:", "'net' is both a model and a variant; rename one"),
        ("architecture: mobilenet_v2\n", "architecture: resnet18\n    width: 2\n", "models.net"),
        ("seed: 0", "seed: [", "not valid YAML"),
        ("task: classify\n    arch", "arch", "models.net.task is missing"),
        ("{task: classify, step: prune", "{step: prune", "variants.pruned.prune.task is missing"),
        ("task: classify\n", "task: segment\n", "models.net.task is 'segment'; input should be"),
        (
            "task: classify\n",
            "task: detect\n",
            "models.net: task is detect, but mobilenet_v2 is made to classify; write that",
        ),
        (
            "architecture: mobilenet_v2\n",
            "architecture: yolo26n\n",
            "models.net: task is classify, but yolo26n is made to detect; write that",
        ),
        (
            "height: 64, width: 64,",
            "height: 64, width: 64, resize: letterbox,",
            "models.net: input.resize: letterbox is for detectors; stretch or center-crop",
        ),
        (
            "  base:\n    {task: classify",
            "  base:\n    {task: detect",
            "variants.base.task is detect, but models.net is for the task classify",
        ),
        (
            "{task: classify, step: quantize, parent: pruned",
            "{task: detect, step: quantize, parent: pruned",
            "variants.pruned-ptq.task is detect, but models.net is for the task classify",
        ),
        (
            "source: signs",
            "source: scenes",
            "variants.base.task is classify, but datasets.signs is for the task detect",
        ),
        (
            "&base {task: classify",
            "&base {task: detect",
            "formats.tflite.base.task is 'detect', but variants.base.task is 'classify'; write the",
        ),
        ("  classify:\n    fp32", "  sort:\n    fp32", "tolerances.classify is missing"),
        ("  detect: {fp32: *tolerance, ", "  detect: {", "tolerances.detect.fp32 is missing"),
        (
            "method: ptq}\n  qat",
            "method: ptq, keep_float: stem}\n  qat",
            "variants.ptq.quantize.keep",
        ),
    ],
)
def test_what_is_impossible_is_named_by_its_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in PARAMS

    assert refused(tmp_path, PARAMS.replace(old, new, 1)).startswith(message)


def detecting(tmp_path: Path, **sizes: int) -> Path:
    """The sample with a detector, its scenes and a variant of it."""
    content = yaml.safe_load(PARAMS)
    size = {"height": 64, "width": 96, **sizes}
    letterbox = {**size, "resize": "letterbox", "mean": [0, 0, 0], "std": [255, 255, 255]}
    content["datasets"]["scenes"] = {"source": "scenes", "path": "", "calibration": 32}
    network = {"task": "detect", "architecture": "yolo26n"}
    content["models"]["yolo"] = {**network, "dataset": "scenes", "input": letterbox}
    chain = {"parent": "yolo", "teacher": "yolo", "baseline": "boxes", "dataset": "scenes"}
    content["variants"]["boxes"] = {"task": "detect", "step": "train", **chain, "schedule": "full"}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_detector_stands_beside_classifiers(tmp_path: Path) -> None:
    params = load_params(detecting(tmp_path))

    assert {name: data.task for name, data in params.datasets.items()} == {
        "signs": "classify",
        "scenes": "detect",
    }
    assert params.variants["boxes"].task == params.models["yolo"].task == "detect"


@pytest.mark.parametrize("sizes", [{"height": 60}, {"width": 100}], ids=str)
def test_a_detectors_input_divides_by_its_strides(tmp_path: Path, sizes: dict[str, int]) -> None:
    with pytest.raises(ParamsError) as caught:
        load_params(detecting(tmp_path, **sizes))
    size = {"height": 64, "width": 96, **sizes}
    written = f"{size['height']} x {size['width']}"

    assert f"models.yolo: input: {written}; yolo26n divides its input by 32" in str(caught.value)


def resizing(tmp_path: Path, **changes: Any) -> Path:
    """`detecting`, with PTQ of the variant, both resized, and the two compared in every runtime."""
    path = detecting(tmp_path)
    content = yaml.safe_load(path.read_text())
    small = {**content["variants"]["boxes"], "step": "resize", "parent": "boxes", "size": 32}
    rounded = {**small, "step": "quantize", "method": "ptq"}
    del rounded["size"]
    content["variants"] |= {
        "small": small | changes.get("small", {}),
        "rounded": rounded,
        "tiny": {**small, "parent": "rounded"},
        "tinier": {**small, "parent": "tiny", "size": 96},
    }
    cell = {"task": "detect", "dataset": "scenes", "baseline": "boxes"}
    cells = dict.fromkeys(("boxes", "small", "rounded", "tiny"), cell)
    content["formats"] = dict.fromkeys(("tflite", "ncnn", "torchscript"), cells)
    content["runtimes"] = {"yolo": changes.get("pair", {"fp32": "small", "int8": "tiny"})}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_a_detector_is_resized_before_and_after_it_is_quantized(tmp_path: Path) -> None:
    params = load_params(resizing(tmp_path))

    found = {name: params.input_size(name) for name in ("yolo", "boxes", "small", "tiny", "tinier")}
    assert found == {
        **{"yolo": (64, 96), "boxes": (64, 96)},
        **{"small": (32, 32), "tiny": (32, 32), "tinier": (96, 96)},
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"small": {"size": 40}},
            "variants.small.resize.size is 40; input should be a multiple of",
        ),
        ({"small": {"size": 0}}, "variants.small.resize.size is 0; input should be greater than 0"),
        ({"small": {"parent": "tiny"}}, "variants.small.size is 32, which tiny takes already"),
        (
            {"small": {"task": "classify", "dataset": "signs", "parent": "base"}},
            "variants.small.step is resize, which is for detectors: a classifier pools",
        ),
        ({"pair": {"fp32": "tiny", "int8": "tiny"}}, "runtimes.yolo.fp32 is tiny, whose step is q"),
        (
            {"pair": {"fp32": "small", "int8": "small"}},
            "runtimes.yolo.int8 is small, whose step is",
        ),
        (
            {"pair": {"fp32": "boxes", "int8": "tiny"}},
            "runtimes.yolo: boxes takes 64 x 96 pixels, but tiny 32 x 32",
        ),
    ],
)
def test_what_cannot_be_resized_or_compared_is_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParamsError) as caught:
        load_params(resizing(tmp_path, **changes))

    assert message in str(caught.value)


def test_layers_that_stay_float_are_named_by_patterns(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    patterns = "method: ptq, keep_float: ['features.0.*', classifier.1]}\n  qat"
    path.write_text(PARAMS.replace("method: ptq}\n  qat", patterns))
    variants = load_params(path).variants

    assert variants["ptq"].keep_float == ["features.0.*", "classifier.1"]
    assert variants["qat"].keep_float == []


def test_null_means_no_images_of_a_split(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.replace("size: 64", "size: 64, train: null, val: null"))

    assert load_params(path).datasets["signs"].train is None


def test_every_fault_has_a_line_of_its_own(tmp_path: Path) -> None:
    text = PARAMS.replace("ratio: 0.3", "ratio: 1.3").replace("epochs: 3", "epochs: -3")

    assert len(refused(tmp_path, text).splitlines()) == 2


def test_a_missing_or_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml: cannot be read \(No such file"):
        load_params(tmp_path / "params.yaml")
    assert "valid dictionary" in refused(tmp_path, "")
