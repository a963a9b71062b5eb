from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgesmith import contract as contracts
from edgesmith.contract import Contract, Description, Input, Output, Parity, Quantization
from edgesmith.errors import ContractError, RuntimeUnavailableError
from edgesmith.preprocess import normalise
from edgesmith.runtimes import litert
from edgesmith.runtimes import session as runtimes
from tests.artifacts import LABELS, SPEC, expected_logits
from tests.imports import closure, imports_of, sources
from tests.tflite_network import network

SHAPE = [1, SPEC.height, SPEC.width, 3]
SCALE = Quantization(scale=1 / 64, zero_point=0)


def make_artifact(folder: Path, quantized: bool = False, **changes: object) -> Path:
    """The colour averages of tests.artifacts as TFLite: logits = mean @ WEIGHT."""
    folder.mkdir(parents=True)
    (folder / "model.tflite").write_bytes(network(SCALE.scale if quantized else None))
    dtype, scale = ("int8", SCALE) if quantized else ("float32", None)
    values = {
        "task": "classify",
        "variant": "tiny",
        "parent": "model",
        "parent_sha256": "0" * 64,
        "model": "tiny",
        "format": "tflite",
        "precision": "int8" if quantized else "fp32",
        "target": "any",
        "labels": LABELS,
        "input": Input(
            name="input",
            layout="NHWC",
            dtype=dtype,
            shape=SHAPE,
            preprocess=SPEC,
            quantization=scale,
        ),
        "outputs": [
            Output(
                name="logits",
                meaning="logits",
                dtype=dtype,
                shape=[1, 3],
                decode="softmax",
                quantization=scale,
            )
        ],
        "files": contracts.describe_files(folder),
        "params": 9,
        "macs": 9,
        "tools": {},
        "parity": Parity(
            against="model",
            images=1,
            max_abs_diff=0,
            sqnr_db=None,
            cosine=1,
            agreement=1,
            metric_drop=0,
            tolerance={},
        ),
    }
    contracts.write(Contract(**values | changes), folder)
    return folder


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return make_artifact(tmp_path / "tflite")


@pytest.fixture
def images() -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (5, SPEC.height, SPEC.width, 3), dtype=np.uint8)


def test_any_number_of_images_runs(artifact: Path, images: np.ndarray) -> None:
    session = runtimes.load(artifact)
    logits = runtimes.predict(session, images)

    np.testing.assert_allclose(logits, expected_logits(normalise(images, SPEC)), atol=1e-5)
    np.testing.assert_array_equal(runtimes.predict(session, images[:1]), logits[:1])


def test_quantized_tensors_are_converted_by_the_contract(
    tmp_path: Path, images: np.ndarray
) -> None:
    session = runtimes.load(make_artifact(tmp_path / "tflite", quantized=True))
    logits = runtimes.predict(session, images)

    # Half a step of 1/64 at the input and at the mean, times the weights' row sum of 4.
    np.testing.assert_allclose(logits, expected_logits(normalise(images, SPEC)), atol=4.5 / 64)


def test_a_result_outlives_the_next_run(artifact: Path, images: np.ndarray) -> None:
    session = runtimes.load(artifact)
    first = runtimes.predict(session, images[:1])
    before = first.copy()
    runtimes.predict(session, images[1:2])

    np.testing.assert_array_equal(first, before)


def test_the_converter_is_imported_by_the_exporting_process_alone() -> None:
    importing = [path for path in sources() if "litert_torch" in imports_of(path)]
    stages = [path for path in sources() if path.startswith("stages/")]
    leading = [
        path
        for path in stages
        if "litert_torch" in closure(path.removesuffix(".py").replace("/", ".")).foreign
    ]

    assert importing == ["edgesmith/formats/tflite.py"]
    assert leading == ["stages/export_tflite.py"]


def test_session_says_what_it_runs_on(artifact: Path) -> None:
    session = runtimes.load(artifact, threads=2)

    assert session.providers == ("cpu",)
    assert session.threads == 2
    assert session.engine.startswith("litert 2.")


def test_another_provider_is_refused(artifact: Path) -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"cuda: litert .* executes on cpu alone"):
        runtimes.load(artifact, 1, ["cuda"])


def test_a_corrupt_file_is_refused(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "tflite")
    (artifact / "model.tflite").write_bytes(b"\0\0\0\0TFL3" + b"\0" * 100)
    with pytest.raises(ContractError, match="does not match"):
        runtimes.load(artifact)
    described = contracts.read(artifact)
    with pytest.raises(RuntimeUnavailableError, match=r"model\.tflite: litert .* cannot load it"):
        litert.load(artifact, described, 1, ["cpu"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "picture"}, "no input is named 'picture' as its contract says; it has input"),
        ({"dtype": "int8"}, r"input 'input' is float32 \[1, 8, 12, 3\], its contract says int8"),
        ({"quantization": SCALE}, "is read with scale 0.0 and zero point 0, its contract says"),
    ],
)
def test_a_network_unlike_its_contract_is_refused(
    artifact: Path, change: dict[str, object], message: str
) -> None:
    contract = contracts.read(artifact)
    other = Description.model_validate(
        {
            **contract.model_dump(exclude={"parity"}),
            "input": contract.input.model_copy(update=change).model_dump(),
        }
    )
    with pytest.raises(ContractError, match=message):
        litert.load(artifact, other, 1, ["cpu"])


@pytest.fixture
def without_litert(monkeypatch: pytest.MonkeyPatch) -> Callable[[], ModuleType]:
    """Imports the module anew where `ai_edge_litert` is not installed."""
    imports = builtins.__import__

    def refuse(name: str, *arguments: object, **options: object) -> ModuleType:
        if name.split(".", maxsplit=1)[0] == "ai_edge_litert":
            raise ModuleNotFoundError(f"No module named {name!r}", name="ai_edge_litert")
        return imports(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.delitem(sys.modules, "edgesmith.runtimes.litert", raising=False)
    monkeypatch.delattr("edgesmith.runtimes.litert", raising=False)
    return lambda: importlib.import_module("edgesmith.runtimes.litert")


def test_a_missing_engine_says_what_to_install(
    artifact: Path, without_litert: Callable[[], ModuleType]
) -> None:
    with pytest.raises(
        RuntimeUnavailableError, match=r"'ai_edge_litert'.*pip install edgesmith\[device-tflite\]"
    ):
        runtimes.load(artifact)


def test_the_former_package_serves_where_it_alone_is_installed(
    without_litert: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    former = ModuleType("tflite_runtime.interpreter")
    former.Interpreter = object
    monkeypatch.setitem(sys.modules, "tflite_runtime", ModuleType("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", former)
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"2.14 of {name}")
    module = without_litert()

    assert module.ENGINE == "tflite-runtime 2.14 of tflite-runtime"
    assert module.Interpreter is object
