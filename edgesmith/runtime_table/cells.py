"""Which cells the table of runtimes has: the two networks of a pair, in every way to run them."""

from __future__ import annotations

from pathlib import Path

from edgesmith.bench.process import Loadable
from edgesmith.params import RuntimePair
from edgesmith.runtime_table import build
from edgesmith.runtime_table.measure import Subject
from edgesmith.runtimes.torch import integer_engines

# Artifacts beside PyTorch's, in the order of the table.
_OTHERS = ("onnx", "tflite", "ncnn")
_BUILT = "edgesmith.runtime_table.load"


def collect(
    pair: RuntimePair, work: Path, threads: int
) -> tuple[dict[str, Subject], dict[str, str]]:
    """Subjects by cell, PyTorch eager FP32 first, and by cell why it could not be built.

    Builds into `work`, an empty folder that the caller keeps while it measures; artifacts are
    those of `artifacts/<variant>/<format>`.
    """
    found = {
        "torch-eager-fp32": Subject(
            pair.fp32,
            "fp32",
            "eager",
            Loadable(Path("models") / pair.fp32, "edgesmith.tasks.eager"),
        )
    }
    not_built: dict[str, str] = {}
    for precision, variant in (("fp32", pair.fp32), ("int8", pair.int8)):
        for kind, mode in (("eager-int8", "eager"), ("aotinductor", "AOTInductor")):
            if kind == "eager-int8" and precision == "fp32":
                continue
            key = f"torch-{mode.lower()}-{precision}"
            if kind == "aotinductor" and not pair.aotinductor:
                not_built[key] = "switched off in params.yaml"
                continue
            fault = build.attempt(kind, Path("models") / variant, work / key, threads)
            if fault:
                not_built[key] = fault
            else:
                found[key] = Subject(variant, precision, mode, Loadable(work / key, _BUILT))
        for key, providers in _engines(precision):
            network = Loadable(Path("artifacts") / variant / "torchscript", providers=providers)
            found[key] = Subject(variant, precision, "TorchScript", network)
        for name in _OTHERS:
            network = Loadable(Path("artifacts") / variant / name)
            found[f"{name}-{precision}"] = Subject(variant, precision, "", network)
    return found, not_built


def _engines(precision: str) -> list[tuple[str, tuple[str, ...]]]:
    """TorchScript's cells: by the default engine, and INT8 also by the others of this torch."""
    cells: list[tuple[str, tuple[str, ...]]] = [(f"torch-torchscript-{precision}", ("cpu",))]
    if precision == "int8":
        cells += [(f"{cells[0][0]}-{engine}", (engine,)) for engine in integer_engines()[1:]]
    return cells
