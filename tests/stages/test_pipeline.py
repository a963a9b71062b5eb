"""The whole graph on tiny data, run as users run it: rebuilt, changed, killed, moved, repeated."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from edgesmith import files
from edgesmith.params import Task
from tests.hef import files as hefs
from tests.stages.pipeline import BENCH, BENCHED, ONNX, PROBE, RUNTIMES, Pipeline, cpu_seconds

pytestmark = pytest.mark.slow

TRAINED, PRUNED, LEARNED = "mobilenetv2-baseline", "mobilenetv2-pruned", "mobilenetv2-pruned-qat"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The pipeline after `dvc repro`; tests that change anything take a copy."""
    path = tmp_path_factory.mktemp("built")
    pipeline = Pipeline(path)
    pipeline.set_up(build=True)
    pipeline.commit()
    yield pipeline
    shutil.rmtree(path)


@pytest.fixture
def copy(built: Pipeline, tmp_path: Path) -> Iterator[Pipeline]:
    """A copy of the built pipeline, with its cache."""
    yield built.fork(tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy")


def _cells(group: str, variants: set[str]) -> set[str]:
    return {f"{group}@{variant}" for variant in variants}


def _exports(cells: dict[str, set[str]]) -> set[str]:
    """The stages that write and evaluate artifacts, by format the variants."""
    return {
        f"pipelines/{name}/dvc.yaml:{stage}@{variant}"
        for name, variants in cells.items()
        for variant in variants
        for stage in ("export", "evaluate")
    }


def _benchmarks(cells: dict[str, set[str]]) -> set[str]:
    return {
        f"devices/host/{name}/dvc.yaml:benchmark@{variant}"
        for name, variants in cells.items()
        if name in BENCHED
        for variant in variants
    }


def _makers(pipeline: Pipeline, task: str) -> set[str]:
    """The stages that make, take apart or convert networks of a task."""
    params = pipeline.params
    models = {name for name, model in params.models.items() if model.task == task}
    variants = {name for name, variant in params.variants.items() if variant.task == task}
    pairs = {name for name, pair in params.runtimes.items() if pair.fp32 in variants}
    return {
        *_cells("init", models),
        *_cells("build", variants),
        *_cells("pipelines/sensitivity/dvc.yaml:sensitivity", variants & params.sensitivity.keys()),
        *_cells(f"{RUNTIMES}:benchmark", pairs),
        *(
            f"pipelines/{name}/dvc.yaml:export@{variant}"
            for name, found in pipeline.cells().items()
            for variant in found & variants
        ),
    }


def test_every_cell_is_measured_and_has_its_row(built: Pipeline) -> None:
    metrics, params = built.path / "metrics", built.params
    rows = json.loads((metrics / "strategies.json").read_text())
    cells = {(name, variant) for name, found in built.cells().items() for variant in found}
    assert set(rows) == {f"{variant}.{name}" for name, variant in cells}
    assert all("accuracy" in row for row in rows.values())
    assert all("speedup" in rows[f"{name}.{kind}"] for kind, name in cells if kind in BENCHED)
    table = (metrics / "comparison.md").read_text()
    for name, variant in cells:
        assert (metrics / f"accuracy/{variant}.{name}.json").is_file()
        if name in BENCHED:
            assert (metrics / f"bench/host/{variant}.{name}.json").is_file()
        assert (metrics / f"export/{variant}.{name}.json").is_file()
        assert f"| {variant} | {name} |" in table
    for contract in (built.path / "artifacts").glob("*/*/contract.json"):
        built.edgesmith("verify", str(contract.parent))
    assert "PyTorch eager FP32 → ONNX Runtime INT8: **" in table
    active = json.loads((metrics / "active.json").read_text())
    assert active["variant"] == params.active.variant
    assert (metrics / "strategies.png").stat().st_size > 0


def test_second_run_does_nothing_but_probe(
    built: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    before = cpu_seconds()
    assert built.repro() == {PROBE}
    seconds = cpu_seconds() - before
    with capsys.disabled():
        print(f" [dvc repro with nothing to do: {seconds:.1f} s of CPU]", end=" ")
    assert seconds < 15


def test_root_is_green_where_every_vendors_tool_is_missing(copy: Pipeline) -> None:
    folder = copy.path / f"artifacts/{TRAINED}/hef"
    folder.mkdir()
    hef = hefs.write(folder / "model.hef")  # stands for another machine's
    before = hef.read_bytes(), hef.stat().st_mtime_ns
    for tool, remedy in (
        ("hailo", "developer zone"),
        ("tensorrt", "JetPack"),
        ("edgetpu", "edgetpu-compiler"),
    ):
        assert remedy in copy.refused("repro", f"toolchains/{tool}/dvc.yaml:probe")
    assert copy.repro() == {PROBE} and copy.changed() == set()
    assert (hef.read_bytes(), hef.stat().st_mtime_ns) == before
    # What Jetsons build engines of is there.
    assert (copy.path / f"artifacts/{TRAINED}/onnx-trt/contract.json").is_file()


def test_edit_reaches_the_stages_that_read_it_and_no_other(copy: Pipeline) -> None:
    variants = copy.params.variants
    steps = {name: variant.step for name, variant in variants.items()}
    pruned = {name for name, step in steps.items() if step == "prune"}
    # PyTorch's own cells in the table of runtimes are made by the same module.
    also = {"torchscript": _cells(f"{RUNTIMES}:benchmark", set(copy.params.runtimes))}
    for file, line, expected in (
        ("params.yaml", "# a comment", set()),
        *(
            (
                f"edgesmith/formats/{name}.py",
                "# a comment",
                _cells(f"pipelines/{name}/dvc.yaml:export", found) | also.get(name, set()),
            )
            for name, found in copy.cells().items()
        ),
        ("edgesmith/compress/prune/step.py", "# a comment", _cells("build", pruned)),
        *(
            (f"edgesmith/tasks/{task}/networks.py", "# a comment", _makers(copy, task))
            for task in get_args(Task)
        ),
    ):
        original = (copy.path / file).read_bytes()
        copy.append(file, f"{line}\n")
        assert copy.changed() == expected, file
        (copy.path / file).write_bytes(original)
    assert copy.changed() == set()


def test_edit_that_changes_no_output_ends_there(copy: Pipeline) -> None:
    copy.append("edgesmith/formats/onnx.py", "# a comment\n")
    assert copy.repro(f"{ONNX}:evaluate@{TRAINED}") == {PROBE, f"{ONNX}:export@{TRAINED}"}


def test_parameter_of_one_variant_rebuilds_it_and_what_descends_from_it(copy: Pipeline) -> None:
    before = copy.hashes()
    copy.overlay(f"variants: {{{PRUNED}: {{ratio: 0.5}}}}")
    affected = {PRUNED}
    for name, variant in copy.params.variants.items():  # parents stand before their children
        if {variant.parent, variant.teacher} & affected:
            affected.add(name)
    assert affected == {PRUNED, LEARNED}
    pairs = copy.params.runtimes.items()
    compared = {key for key, pair in pairs if {pair.fp32, pair.int8} & affected}
    cells = {name: found & affected for name, found in copy.cells().items()}
    assert copy.repro() == {
        PROBE,
        *_cells("build", affected),
        *_exports(cells),
        *_benchmarks(cells),
        *_cells(f"{RUNTIMES}:benchmark", compared),
        "compare",
    }
    after = copy.hashes()
    changed = {stage for stage in before if stage[:5] == "build" and before[stage] != after[stage]}
    assert changed == _cells("build", affected)


def test_killed_dvc_run_goes_on_and_ends_with_the_same_model(
    built: Pipeline, copy: Pipeline
) -> None:
    model, stage = copy.path / "models" / TRAINED, f"build@{TRAINED}"
    copy.killed(["dvc", "repro", "--force", "--single-item", stage], lambda: _saved(copy, TRAINED))
    assert not model.exists()
    output = copy.dvc("repro", "--force", "--single-item", stage)
    assert "going on after epoch 1" in output
    assert files.sha256_folder(model) == files.sha256_folder(built.path / "models" / TRAINED)
    assert copy.changed() == set()


@pytest.mark.parametrize(("step", "variant"), [("prune", PRUNED), ("quantize", LEARNED)])
def test_killed_step_goes_on_and_ends_with_the_same_model(
    built: Pipeline, copy: Pipeline, step: str, variant: str
) -> None:
    model = copy.path / "models" / variant
    shutil.rmtree(model)
    copy.killed([f"stages.{step}", variant], lambda: _saved(copy, variant))
    assert not model.exists()
    assert "going on after epoch 1" in copy.stage(f"stages.{step}", variant)
    assert files.sha256_folder(model) == files.sha256_folder(built.path / "models" / variant)
    assert not (copy.path / "tmp/checkpoints" / variant).exists()


def _saved(pipeline: Pipeline, variant: str) -> bool:
    return any((pipeline.path / "tmp/checkpoints" / variant).glob("*.pt"))


def test_killed_export_leaves_the_old_artifact(copy: Pipeline) -> None:
    folder = copy.path / "artifacts" / TRAINED
    before = files.sha256_folder(folder)

    def half_written() -> bool:
        return any(folder.glob(".onnx*.tmp-*/model.onnx"))

    copy.killed(["stages.export_onnx", TRAINED], half_written)
    assert half_written()
    copy.edgesmith("verify", f"artifacts/{TRAINED}/onnx")
    copy.stage("stages.export_onnx", TRAINED)
    assert files.sha256_folder(folder) == before


def test_second_run_from_clean_gives_the_same_bytes(built: Pipeline, tmp_path: Path) -> None:
    clean = Pipeline(tmp_path / "clean")
    clean.set_up(build=False)
    clean.repro(f"{ONNX}:evaluate@{LEARNED}")
    first, second = built.hashes(), clean.hashes()
    assert {"prepare@signs", f"build@{PRUNED}", f"{ONNX}:export@{LEARNED}"} <= set(second)
    assert second == {stage: first[stage] for stage in second}
    shutil.rmtree(clean.path)


def test_metrics_are_tables_and_experiments_compare_strategies(copy: Pipeline) -> None:
    names = [f"metrics/accuracy/{variant}.onnx.json" for variant in copy.params.variants]
    table = copy.dvc("metrics", "show", "--md", *names)
    assert all(f"| {name} " in table for name in names)
    copy.dvc("exp", "run", "--set-param", "active.variant=mobilenetv2-ptq", "--name", "ptq")
    targets = ("metrics", "diff", "--md", "--targets", "metrics/active.json")
    for revisions in ((), ("--", "HEAD", "ptq")):
        difference = copy.dvc(*targets, *revisions)
        row = next(line for line in difference.splitlines() if "| variant " in line)
        assert LEARNED in row and "mobilenetv2-ptq" in row


def test_artifact_goes_to_a_device_and_its_events_come_back(copy: Pipeline) -> None:
    # A classifier: this detector is too little trained to see anything.
    said = copy.stage(
        *("examples.roundtrip", "--work", "tmp/roundtrip", "--seconds", "4"),
        *("--variant", TRAINED, "--format", "onnx"),
    )
    steps = [line.split()[0] for line in said.splitlines()]
    assert steps == [
        *("published", "installed", "pulled", "rendered", "served", "shipped", "received")
    ]
    work = copy.path / "tmp/roundtrip"
    events = [json.loads(line) for line in (work / "received.jsonl").read_text().splitlines()]
    assert events and len({event["key"] for event in events}) == len(events)
    # Hashes of what lies on the device; `pull` checked the signature.
    copy.edgesmith("verify", str(work / "store/current"))


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="another machine is this one with fewer CPUs",
)
def test_another_machine_measures_for_itself(copy: Pipeline) -> None:
    usable = os.sched_getaffinity(0)
    here = json.loads((copy.path / "devices/host/device.json").read_text())["fingerprint_id"]
    os.sched_setaffinity(0, {min(usable)})
    try:
        copy.repro("--single-item", PROBE)
        assert copy.changed() == {
            *_benchmarks(copy.cells()),
            *_cells(f"{RUNTIMES}:benchmark", set(copy.params.runtimes)),
            "compare",
        }
        # Nothing measured here yet: the other machine's figures are not shown as this one's.
        copy.repro("--single-item", "compare")
        table = (copy.path / "metrics/comparison.md").read_text()
        measured = sum(len(found) for name, found in copy.cells().items() if name in BENCHED)
        assert table.count(f"| other machine ({here}) |") == measured
        assert "**" not in table.split("## Runtimes, one run")[1].split("##")[0]
        assert "speedup" not in (copy.path / "metrics/strategies.json").read_text()
        copy.repro("--single-item", f"{BENCH}:benchmark@{TRAINED}")
    finally:
        os.sched_setaffinity(0, usable)
    measured = json.loads((copy.path / f"metrics/bench/host/{TRAINED}.onnx.json").read_text())
    assert measured["fingerprint"] != here
