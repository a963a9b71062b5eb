"""Stages of vendors' tools on a host that has none: they fail with the remedy, nothing changes."""

import json
from pathlib import Path

import pytest
import yaml

from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.hef import process
from edgesmith.runtimes import session as runtimes
from stages import (
    benchmark_device,
    build_engine,
    compile_edgetpu,
    probe_device,
    probe_edgetpu,
    probe_tensorrt,
)
from tests.artifacts import make_artifact
from tests.checkout import PARAMS
from tests.hef import vendor
from tests.imports import ROOT, closure
from tests.runtimes.test_hailort import OUTPUTS, artifact_of


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    return tmp_path


@pytest.mark.parametrize("arguments", [(probe_edgetpu.run,), (compile_edgetpu.run, "tiny")])
def test_edgetpu_stages_name_the_compiler_and_write_nothing(arguments: tuple, bare: Path) -> None:
    run, *rest = arguments
    with pytest.raises(RuntimeUnavailableError, match="edgetpu_compiler is not on the PATH"):
        run(*rest)
    assert list(bare.iterdir()) == []


def test_engine_is_not_built_without_tensorrt(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    for name in ("edgesmith.trt.build", "edgesmith.runtimes.tensorrt"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    with pytest.raises(RuntimeUnavailableError, match="comes with JetPack"):
        build_engine.run("tiny")
    with pytest.raises(RuntimeUnavailableError, match="comes with JetPack"):
        probe_tensorrt.run()
    assert list(bare.iterdir()) == []


def test_edgetpu_artifact_on_a_machine_without_one_says_what_to_do(tmp_path: Path) -> None:
    folder = make_artifact(tmp_path / "tiny/edgetpu", format_name="edgetpu")
    with pytest.raises((RuntimeUnavailableError, ContractError), match=r"edgetpu|\.tflite"):
        runtimes.load(folder, providers=("edgetpu",))
    from edgesmith.runtimes import edgetpu  # noqa: PLC0415 (LiteRT)

    with pytest.raises(RuntimeUnavailableError, match="libedgetpu1-std"):
        edgetpu.available_providers()


@pytest.mark.slow
def test_hef_is_measured_like_any_artifact_though_params_say_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No vendor code runs: tests.hef.vendor stands in for pyHailoRT, in processes of its own.
    made = vendor.make(tmp_path, OUTPUTS[:1], (8, 12, 3))
    monkeypatch.setenv(process.PYTHON, str(made.python))
    monkeypatch.setenv("EDGESMITH_TARGET_HOST", "local")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    artifact_of(tmp_path / "artifacts/base/hef")
    probe_device.run("host")
    benchmark_device.run("host", "base", "hef", "base")
    bench = json.loads((tmp_path / "metrics/bench/host/base.hef.json").read_text())
    assert (bench["runtime"], bench["providers"]) == ("hailort 4.23.0", "hailo")
    assert bench["latency_ms"]["p50"] > 0 and bench["speedup_vs_baseline"] == 1


def test_root_leads_to_no_vendor_toolchain() -> None:
    root = (ROOT / "dvc.yaml").read_text()
    assert "toolchains" not in root and "artifacts/${key}/edgetpu" not in root


@pytest.mark.parametrize(
    ("tool", "name", "module"),
    [
        ("tensorrt", "probe", "probe_tensorrt"),
        ("tensorrt", "build", "build_engine"),
    ],
)
def test_toolchain_declares_all_that_its_stages_read(tool: str, name: str, module: str) -> None:
    stage = yaml.safe_load((ROOT / f"toolchains/{tool}/dvc.yaml").read_text())["stages"][name]
    declared = stage.get("do", stage)["deps"]
    read = closure(f"stages.{module}").ours
    missing = [path for path in read if not any(path.startswith(dep) for dep in declared)]
    assert not missing
