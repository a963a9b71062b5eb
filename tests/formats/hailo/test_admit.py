"""Where the compiler is looked for, and what of its work is taken; no vendor code ran.

The HEFs are synthetic, in the tests' own folders.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgesmith import contract as contracts
from edgesmith import files
from edgesmith.contract import Contract
from edgesmith.data.classify.store import Split
from edgesmith.errors import ContractError, ParityError
from edgesmith.formats.hailo import admit, bundle, compiler, contents, proof, settings
from edgesmith.hef.errors import HailoError
from edgesmith.preprocess import normalise
from edgesmith.tasks.store import load_reference
from tests import tiny
from tests.hef import files as hefs
from tests.imports import ROOT

SETTINGS = settings.load(ROOT / settings.FILE)
LOCAL = SETTINGS.compile
CARRIED = LOCAL.model_copy(update={"backend": "bundle"})


class Made:
    """A bundle, the model that it is of, and what a compiler would have written."""

    def __init__(self, root: Path) -> None:
        self.model, self.bundle, self.source = root / "models/int", root / "bundle", root / "out"
        self.bundle.mkdir()
        self.source.mkdir()
        tiny.store_quantized(self.model, "mobilenet_v2")
        rules = SETTINGS.prepare.model_copy(update={"calibration_images": 8})
        self.described = bundle.prepare(
            self.model, self.bundle, rules, tiny.noise(8), tiny.noise(8)
        )
        labels = load_reference(self.model)["self"].argmax(axis=1)
        self.split = Split(tiny.noise(8), labels, [str(number) for number in range(8)])
        inputs = normalise(tiny.noise(8), self.described.input.preprocess)
        (self.logits,) = proof.run(onnx.load(self.bundle / "model.onnx"), inputs)

    def write(self, *, arch: int = 3, origin: str = "normalization1", sign: int = 1) -> None:
        """Fill `source`."""
        size = (tiny.SIZE, tiny.SIZE, 3)
        image = hefs.layer("n/in", size, size, hefs.numeric(1, 0, 0, 255), origin=origin)
        node = self.described.end_nodes[0]
        out = hefs.layer("n/fc1", (1, 1, 4), (1, 1, 8), hefs.numeric(0.1, 3, 0, 1), origin=node)
        edges = hefs.data(2, hefs.edge(image, out=False)) + hefs.data(2, hefs.edge(out, out=True))
        group = hefs.data(3, hefs.data(3, edges)) + hefs.data(10, "n")
        hefs.write(self.source / "model.hef", 2, hefs.description(group, arch))
        np.savez(self.source / "emulated.npz", output0=sign * self.logits)
        record = {
            "dfc_version": "3.33.0",
            "bundle_sha256": files.sha256(self.bundle / contents.FILE),
            "hef_sha256": files.sha256(self.source / "model.hef"),
            "emulated_sha256": files.sha256(self.source / "emulated.npz"),
        }
        (self.source / "result.json").write_text(json.dumps(record))

    def admit(self, folder: Path) -> Contract:
        """Take what is in `source`."""
        return admit.admit(self.source, self.bundle, folder, self.model, self.split, LOCAL)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("hailo"))


def test_a_hef_of_its_bundle_is_signed(made: Made, tmp_path: Path) -> None:
    made.write()
    signed = made.admit(tmp_path)
    assert contracts.verify(tmp_path) == signed
    assert (signed.format, signed.target) == ("hef", "hailo8l")
    assert signed.outputs[0].name == "n/fc1" and signed.input.normalised_inside
    assert signed.tools == {"hailo_dataflow_compiler": "3.33.0"}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"arch": 0}, ContractError, "is for hailo8, the bundle for hailo8l"),
        ({"origin": "plain"}, ContractError, "normalises nothing on the chip"),
        ({"sign": -1}, ParityError, "metric_drop is"),
    ],
)
def test_another_hef_is_refused(
    change: dict[str, object],
    error: type[Exception],
    words: str,
    made: Made,
    tmp_path: Path,
) -> None:
    made.write(**change)
    with pytest.raises(error, match=words):
        made.admit(tmp_path)
    assert not (tmp_path / contracts.FILE).exists()


def test_results_of_another_bundle_or_changed_ones_are_refused(made: Made, tmp_path: Path) -> None:
    made.write()
    path = made.source / "emulated.npz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ContractError, match="emulated_sha256 does not match"):
        made.admit(tmp_path)
    path.unlink()
    with pytest.raises(ContractError, match=r"not what compile_hef\.py wrote"):
        made.admit(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"python": "python-that-is-not-there"}, {"python": "false"}, {"python": "python3"}],
)
def test_a_host_without_the_compiler_gets_the_remedy(change: dict[str, str]) -> None:
    with pytest.raises(HailoError, match="comes from Hailo's developer zone"):
        compiler.probe(LOCAL.model_copy(update=change))


def test_a_bundle_says_what_to_carry_where(tmp_path: Path) -> None:
    returned = tmp_path / "returned"
    with pytest.raises(HailoError, match=r"run `python compile_hef\.py`.* into .*returned"):
        compiler.compile_bundle(tmp_path, tmp_path / "out", returned, CARRIED)
    returned.mkdir()
    (returned / "model.hef").write_bytes(b"")
    assert compiler.compile_bundle(tmp_path, tmp_path / "out", returned, CARRIED) == returned


def test_a_compiler_that_fails_leaves_nothing(tmp_path: Path) -> None:
    failing = LOCAL.model_copy(update={"python": "false"})
    with pytest.raises(HailoError, match="the compiler ended with status 1"):
        compiler.compile_bundle(tmp_path, tmp_path, tmp_path, failing)
