"""PyTorch's own ways to run, through the real compiler; each builds in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from edgesmith.bench.frame import camera_frame
from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import give_ranges, simulate
from edgesmith.params import RuntimePair
from edgesmith.preprocess import decode_image, fit, normalise
from edgesmith.report.accuracy import sqnr_db
from edgesmith.runtime_table import build, cells, load
from edgesmith.runtimes.torch import integer_engines
from edgesmith.tasks import store
from tests import tiny

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _process() -> Iterator[None]:
    engine, threads = torch.backends.quantized.engine, torch.get_num_threads()
    yield
    torch.backends.quantized.engine = engine
    torch.set_num_threads(threads)


def _difference(folder: Path, variant: Path) -> float:
    """SQNR in dB of what was built, against the graph that its ranges simulate."""
    net, card = store.load(variant)
    if card.precision == "int8":
        stored = ranges.read(variant)
        net = simulate(net, card.network.input, stored.scheme)
        give_ranges(net, stored.activations)
    frame = camera_frame()
    image = normalise(fit(decode_image(frame, "frame"), tiny.SPEC)[None], tiny.SPEC)
    logits = load.load(folder, 1, ("cpu",), frame).calls["infer"]()
    assert isinstance(logits, torch.Tensor)
    with torch.no_grad():
        return float(sqnr_db(logits.numpy(), net(torch.from_numpy(image)).numpy()))


def test_eager_integers_survive_their_pickle(chain: Path, tmp_path: Path) -> None:
    assert build.attempt("eager-int8", chain / "models/ptq", tmp_path / "new", 1) is None
    loaded = load.load(tmp_path / "new", 1, ("cpu",), camera_frame())
    assert loaded.engine == f"torch {torch.__version__} {integer_engines()[0]}"
    assert _difference(tmp_path / "new", chain / "models/ptq") > 25


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.parametrize(("variant", "db"), [("base", 80), ("ptq", 25)])
def test_compiled_network_gives_the_same_logits(
    chain: Path, tmp_path: Path, variant: str, db: float
) -> None:
    fault = build.attempt("aotinductor", chain / "models" / variant, tmp_path / "new", 1)
    assert fault is None
    assert _difference(tmp_path / "new", chain / "models" / variant) > db


def test_without_a_compiler_the_reason_is_kept(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    fault = build.attempt("aotinductor", chain / "models/base", tmp_path / "new", 1)
    assert fault is not None and "Error: " in fault and "\n" not in fault


def test_cells_are_two_networks_in_every_way_and_what_is_off_says_so(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(chain)
    pair = RuntimePair(fp32="base", int8="ptq", aotinductor=False)
    subjects, not_built = cells.collect(pair, tmp_path, 1)
    assert next(iter(subjects)) == "torch-eager-fp32"
    assert set(subjects) == {
        *(f"torch-torchscript-int8-{engine}" for engine in integer_engines()[1:]),
        *(
            f"{name}-{precision}"
            for name in ("torch-eager", "torch-torchscript", "onnx", "tflite", "ncnn")
            for precision in ("fp32", "int8")
        ),
    }
    assert {subjects[key].variant for key in subjects if "int8" in key} == {"ptq"}
    assert not_built == dict.fromkeys(
        ["torch-aotinductor-fp32", "torch-aotinductor-int8"], "switched off in params.yaml"
    )
    assert subjects["onnx-fp32"].network.folder == Path("artifacts/base/onnx")
