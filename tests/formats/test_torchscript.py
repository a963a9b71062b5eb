from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith import contract as contracts
from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import give_ranges, simulate
from edgesmith.errors import ExportError, ParityError
from edgesmith.formats import torch_int8, torchscript
from edgesmith.formats.torch_kernels import Bounds, Grid, Weighted
from edgesmith.preprocess import normalise
from edgesmith.report.accuracy import sqnr_db
from edgesmith.runtimes import session as runtimes
from edgesmith.tasks import store
from tests import tiny


@pytest.fixture(autouse=True)
def _engine() -> Iterator[None]:
    engine = torch.backends.quantized.engine
    yield
    torch.backends.quantized.engine = engine


@pytest.fixture(scope="module")
def ptq(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`chain` with `base` and `ptq` as TorchScript, by the stage; to be read only."""
    folder = tmp_path_factory.mktemp("torchscript") / "checkout"
    shutil.copytree(chain, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("base", "ptq"):
            tiny.run("export_torchscript", name)
    return folder


@pytest.mark.parametrize(("variant", "db"), [("base", 80), ("ptq", 30)])
def test_artifact_gives_the_logits_of_its_variant(ptq: Path, variant: str, db: float) -> None:
    session = runtimes.load(ptq / f"artifacts/{variant}/torchscript")
    assert session.contract.parity.sqnr_db is not None and session.contract.parity.sqnr_db > db
    logits = session.run(normalise(tiny.noise(3), tiny.SPEC))
    assert logits.shape == (3, 4) and logits.dtype == np.float32


def test_archive_is_small_and_names_no_path_of_this_machine(ptq: Path) -> None:
    sizes = {}
    for variant in ("base", "ptq"):
        content = (ptq / f"artifacts/{variant}/torchscript/model.pt").read_bytes()
        assert (
            b"debug_pkl" not in content and str(Path(__file__).parents[2]).encode() not in content
        )
        sizes[variant] = len(content)
    assert sizes["ptq"] < 0.6 * sizes["base"]


@pytest.mark.slow
def test_export_twice_gives_equal_bytes(ptq: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    shutil.copytree(ptq, folder)
    contents = []
    for _ in range(2):
        # A fresh process each, as DVC runs it: torch numbers the types of a process.
        subprocess.run(
            [sys.executable, "-m", "stages.export_torchscript", "ptq"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            check=True,
        )
        contents.append((folder / "artifacts/ptq/torchscript/model.pt").read_bytes())
    assert contents[0] == contents[1]


def test_every_scale_is_that_of_quantization_json(ptq: Path) -> None:
    graph = torchscript.integer_graph(ptq / "models/ptq")
    stored = ranges.read(ptq / "models/ptq")
    kernels = {m.key: m for m in graph.children() if hasattr(m, "scale")}
    assert kernels.keys() == stored.activations.keys()
    for key, found in stored.activations.items():
        scale, zero = found.affine()
        assert (kernels[key].scale, kernels[key].zero) == (scale, zero + 128)
    for key, kernel in kernels.items():
        if isinstance(kernel, Weighted):
            np.testing.assert_array_equal(kernel.weights.scales, np.float32(stored.weights[key]))


@pytest.mark.parametrize("architecture", ["efficientnet_lite0", "resnet18"])
@pytest.mark.slow
def test_integers_follow_the_simulated_graph(architecture: str, tmp_path: Path) -> None:
    tiny.store_quantized(tmp_path / "int", architecture)
    graph = torchscript.integer_graph(tmp_path / "int")
    with torch.inference_mode():
        logits = graph(torch.from_numpy(normalise(tiny.noise(8), tiny.SPEC))).numpy()
    assert sqnr_db(logits, store.load_reference(tmp_path / "int")["self"]) > 20


def test_symmetric_ranges_have_the_middle_as_zero(ptq: Path) -> None:
    net, card = store.load(ptq / "models/ptq")
    stored = ranges.read(ptq / "models/ptq").model_copy(update={"scheme": "symmetric"})
    graph = torch_int8.render(net, card.network.input, stored)
    kernels = [m for m in graph.children() if hasattr(m, "zero")]
    assert {m.zero for m in kernels} == {128}
    simulated = simulate(net, card.network.input, "symmetric")
    give_ranges(simulated, stored.activations)
    inputs = torch.from_numpy(normalise(tiny.noise(8), tiny.SPEC))
    with torch.inference_mode():
        # ReLU6 is an operation now: half of the levels are below zero.
        assert sqnr_db(graph(inputs).numpy(), simulated(inputs).numpy()) > 25


class _Strange(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.curve = nn.Hardsigmoid()
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.curve(self.conv(x)).mean([2, 3]))


def test_operator_without_a_kernel_is_named_with_its_layer() -> None:
    stored = ranges.Quantization(
        method="ptq", scheme="affine", observer="minmax", images=1, activations={}, weights={}
    ).model_copy(
        update={
            "activations": {
                key: ranges.Range(low=-1, high=1) for key in ("input", "conv", "curve/hardsigmoid")
            },
            "weights": {"conv": [0.1] * 4, "head": [0.1] * 2},
        }
    )
    with pytest.raises(ExportError, match=r"torchscript: layer curve: .*hardsigmoid"):
        torch_int8.render(_Strange().eval(), tiny.SPEC, stored)


def test_half_precision_is_refused_with_the_remedy(chain: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"half is fp16.*formats\.torchscript"):
        torchscript.export(chain / "models/half", tmp_path)


@pytest.mark.slow
def test_failed_gate_writes_nothing_and_ranks_layers(
    ptq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "checkout"
    shutil.copytree(ptq, folder)
    monkeypatch.chdir(folder)
    path = folder / "models/ptq/quantization.json"
    content = json.loads(path.read_text())
    for found in content["activations"].values():
        found["low"], found["high"] = found["low"] / 20, found["high"] / 20
    path.write_text(json.dumps(content))
    before = contracts.read(folder / "artifacts/ptq/torchscript")
    with pytest.raises(ParityError, match=r"worst first:\s+\d+\.\d dB  features\."):
        tiny.run("export_torchscript", "ptq")
    assert contracts.read(folder / "artifacts/ptq/torchscript") == before


def test_activation_is_cut_only_where_levels_lie_outside() -> None:
    relu6 = Bounds(0, 6)
    assert not relu6.cut(Grid(6 / 255, 0))  # the kernel's own saturation
    assert relu6.cut(Grid(6 / 127, 128)) and relu6.is_relu(Grid(6 / 127, 128))
    assert relu6.cut(Grid(7 / 127, 128)) and not relu6.is_relu(Grid(7 / 127, 128))
    assert Bounds(0, math.inf).is_relu(Grid(7 / 127, 128))
