"""Bundles for Hailo's compiler, on tiny networks."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from torch import nn

from edgesmith.boxes import Boxes
from edgesmith.errors import ContractError, DataError, ExportError, ParamsError
from edgesmith.formats.hailo import bundle, contents, graph, proof, settings
from edgesmith.preprocess import normalise
from edgesmith.tasks.detect.networks import Detector
from tests import tiny, tiny_detector
from tests.imports import ROOT

SDK = Path(__file__).with_name("sdk.py")
RULES = settings.load(ROOT / settings.FILE).prepare.model_copy(
    update={"calibration_images": 4, "accept_fewer_images": True, "arch": "hailo8"}
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier's bundle; to be read only."""
    root = tmp_path_factory.mktemp("hailo")
    tiny.store_quantized(root / "models/int", "efficientnet_lite0")
    folder = root / "bundle"
    folder.mkdir()
    bundle.prepare(root / "models/int", folder, RULES, tiny.noise(4), tiny.noise(3))
    return folder


def test_a_classifier_ends_in_its_logits(made: Path) -> None:
    found = contents.read(made)
    model = onnx.load(made / "model.onnx")
    last = {node.name: node for node in model.graph.node}[found.end_nodes[0]]
    assert last.op_type == "Gemm" and found.outputs[0].shape == [1, 4]
    assert [entry.version for entry in model.opset_import] == [11] and model.ir_version <= 8
    assert "Pad" not in {node.op_type for node in model.graph.node}
    assert found.proof.max_score_diff < 1e-5 and found.proof.max_box_diff_px is None
    assert (found.dfc_from, found.dfc_before) == ("3.0", "4.0")


def test_golden_image_is_the_contracts_own_preprocessing(made: Path) -> None:
    spec = contents.read(made).input.preprocess
    text = (made / "model.alls").read_text()
    golden, calibration = np.load(made / "golden.npz"), np.load(made / "calibration.npy")
    assert calibration.dtype == np.uint8 and calibration.shape == (4, tiny.SIZE, tiny.SIZE, 3)
    line = text.splitlines()[0].removeprefix("normalization1 = normalization(").rstrip(")")
    mean, std = (np.array(values, np.float32) for values in json.loads(f"[{line}]"))
    on_chip = ((golden["image"].astype(np.float32) - mean) / std).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(on_chip, normalise(golden["image"], spec), atol=1e-6)
    (given,) = proof.run(onnx.load(made / "model.onnx"), on_chip)
    np.testing.assert_allclose(given, golden["output0"], atol=1e-4)


def test_the_script_asks_for_fine_tuning_and_precision(made: Path) -> None:
    text = (made / "model.alls").read_text()
    assert "post_quantization_optimization(finetune, policy=enabled, " in text
    assert "calibset_size=4)" in text and "dataset_size=4" in text
    assert "quantization_param(output_layer1, precision_mode=a8_w8)" in text


@pytest.mark.parametrize("classes", [2, 4])
def test_a_detector_ends_in_six_maps_told_apart_by_structure(classes: int) -> None:
    net = Detector(tiny_detector.plain(classes), "one-to-one")
    tiny_detector.lively(net)
    card = tiny_detector.card("fp32")
    card.labels = [str(number) for number in range(classes)]
    net = tiny_detector.folded(net)
    cut = graph.trace(net, card)
    assert len(cut.end_nodes) == 6 and len(set(cut.end_nodes)) == 6
    kinds = {node.name: node.op_type for node in cut.chip.graph.node}
    assert {kinds[name] for name in cut.end_nodes} == {"Conv"}
    found = proof.prove(cut, tiny_detector.SPEC, Boxes(head="one-to-one"), tiny_detector.images(2))
    assert found.max_score_diff < 1e-5 and (found.max_box_diff_px or 0) < 1e-2
    swapped = cut._replace(results=[cut.results[k] for k in (1, 0, 2, 3, 4, 5)])
    with pytest.raises((ExportError, ContractError)):
        proof.prove(swapped, tiny_detector.SPEC, Boxes(head="one-to-one"), tiny_detector.images(1))


def test_a_head_that_is_not_known_is_refused() -> None:
    net, model = tiny.network("resnet18")
    with pytest.raises(ExportError, match="its head is not one that edgesmith knows"):
        graph.trace(nn.Sequential(net, nn.Linear(4, 7)), _card(model))


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 images to calibrate with, 4 are asked for"):
        bundle.prepare(tmp_path / "int", tmp_path, RULES, tiny.noise(3), tiny.noise(1))
    text = (ROOT / settings.FILE).read_text()
    (tmp_path / "p.yaml").write_text(text.replace("images: 1024", "images: 64"))
    with pytest.raises(ParamsError, match=r"the compiler skips fine-tuning"):
        settings.load(tmp_path / "p.yaml")


def test_a_changed_bundle_is_refused(made: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(made, tmp_path / "bundle")
    (folder / "model.alls").write_text("normalization1 = normalization([0], [1])\n")
    with pytest.raises(ContractError, match=r"model\.alls: missing or changed"):
        contents.read(folder)


def _card(model: object) -> object:
    return tiny_detector.Card("fp32", model, tiny.LABELS, task="classify")


def _compile(made: Path, out: Path, version: str, mode: str = "") -> subprocess.CompletedProcess:
    """Run the bundle's script with a module that records the calls in the compiler's place."""
    site = out / "site"
    (site / f"hailo_dataflow_compiler-{version}.dist-info").mkdir(parents=True)
    meta = f"Metadata-Version: 2.1\nName: hailo-dataflow-compiler\nVersion: {version}\n"
    (site / f"hailo_dataflow_compiler-{version}.dist-info/METADATA").write_text(meta)
    shutil.copy(SDK, site / "hailo_sdk_client.py")
    return subprocess.run(
        [sys.executable, made / "compile_hef.py", "--out", out],
        env={"PYTHONPATH": str(site), "CALLS": str(out / "calls.json"), "MODE": mode},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_compiler_is_called_as_recorded(made: Path, tmp_path: Path) -> None:
    done = _compile(made, tmp_path, "3.33.0")
    found = contents.read(made)
    calls = json.loads((tmp_path / "calls.json").read_text())
    assert done.returncode == 0, done.stderr
    assert calls == [
        ["ClientRunner", {"hw_arch": "str hailo8"}],
        [
            "translate_onnx_model",
            f"str {made / 'model.onnx'}",
            f"str {found.network}",
            {
                "start_node_names": "list ['input']",
                "end_node_names": f"list {found.end_nodes}",
                "net_input_shapes": "dict {'input': [1, 3, 32, 32]}",
            },
        ],
        ["load_model_script", f"str {(made / 'model.alls').read_text()}"],
        ["optimize_full_precision", {"calib_data": "uint8 (4, 32, 32, 3)"}],
        ["infer_context", "InferenceContext SDK_FP_OPTIMIZED"],
        ["infer", "uint8 (1, 32, 32, 3)"],
        ["optimize", "uint8 (4, 32, 32, 3)"],
        ["infer_context", "InferenceContext SDK_QUANTIZED"],
        ["infer", "uint8 (3, 32, 32, 3)"],
        ["compile"],
    ]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["dfc_version"] == "3.33.0" and result["arch"] == "hailo8"
    assert np.load(tmp_path / "emulated.npz")["output0"].shape == (3, 4)


@pytest.mark.parametrize(
    ("version", "mode", "code", "words"),
    [
        ("5.2.0", "", 1, "needs a Dataflow Compiler from 3.0 and before 4.0; 5.2.0 is installed"),
        ("3.33.0", "lowered", 3, "it would skip fine-tuning"),
        ("3.33.0", "wrong", 1, "departs by"),
        ("3.33.0", "crash", 1, ""),
    ],
)
def test_no_hef_is_written_when_anything_is_wrong(
    version: str, mode: str, code: int, words: str, made: Path, tmp_path: Path
) -> None:
    done = _compile(made, tmp_path, version, mode)
    assert done.returncode == code and words in done.stderr + done.stdout
    assert not (tmp_path / "model.hef").exists()
