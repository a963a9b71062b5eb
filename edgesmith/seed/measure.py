"""Every cell of the report that this machine can run, in one interleaved run: `seed.json`."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from edgesmith import contract as contracts
from edgesmith.bench import statistics as stats
from edgesmith.bench.measure import Loadable, Settings, Turns, take_turns
from edgesmith.bench.record import ModelLatency
from edgesmith.device import fingerprint
from edgesmith.errors import ModelError
from edgesmith.intervals import Bounds
from edgesmith.params import RuntimePair
from edgesmith.runtime_table import cells
from edgesmith.runtime_table.measure import Subject
from edgesmith.runtimes.session import ENGINES
from edgesmith.seed.published import CLAIMS, ROWS
from edgesmith.tasks import store

FILE = "seed.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cell(_Part):
    """One row; `fps` is 1000 / mean latency, batch 1."""

    variant: str
    engine: str
    latency_ms: ModelLatency
    latency_ms_ci95: Bounds
    fps: PositiveFloat
    runs: int = Field(gt=0)
    steady: bool
    noisy: bool


class Ratio(_Part):
    """How many times faster, geometric mean over rounds, Student's t on logarithms."""

    value: PositiveFloat
    ci95: Bounds


class Seed(_Part):
    """The report measured here; `not_measured` says by cell why not."""

    version: Literal[1] = 1
    machine: str
    fingerprint: str
    network: str
    threads: int = Field(gt=0)
    rounds: int = Field(gt=0)
    cells: dict[str, Cell]
    ratios: dict[str, Ratio]
    not_measured: dict[str, str]


def measure(fp32: str, int8: str, settings: Settings) -> Seed:
    """Measure the rows of `published.ROWS` in the current checkout (models/, artifacts/).

    Raises ModelError for a variant that was not built, RuntimeUnavailableError or ContractError
    for a network that cannot be run.
    """
    network = _network(fp32, int8)
    with tempfile.TemporaryDirectory() as work:
        pair = RuntimePair(fp32=fp32, int8=int8, aotinductor=False)
        subjects, missing = cells.collect(pair, Path(work), settings.threads)
        chosen, not_measured = _choose(subjects, missing, int8)
        networks = [subject.network for subject in chosen.values()]
        # PyTorch takes seconds to start: processes stay.
        turns = take_turns(networks, settings._replace(fresh=False))
    device = fingerprint.probe("here")
    keys = list(chosen)
    return Seed(
        machine=fingerprint.describe(device.fingerprint),
        fingerprint=device.fingerprint_id,
        network=network,
        threads=settings.threads,
        rounds=len(turns.samples_ms[0]),
        cells={key: _cell(turns, number, chosen[key].variant) for number, key in enumerate(keys)},
        ratios={
            claim.text: _ratio(turns, keys.index(claim.faster), keys.index(claim.slower))
            for claim in CLAIMS
            if claim.faster in keys and claim.slower in keys
        },
        not_measured=not_measured,
    )


def _network(fp32: str, int8: str) -> str:
    """One line on both variants; ModelError where one is missing or of another precision."""
    found = []
    for name, precision in ((fp32, "fp32"), (int8, "int8")):
        card = store.read_card(Path("models") / name)
        if card.precision != precision:
            raise ModelError(
                f"models/{name}: is {card.precision}; the suite takes {precision} here"
            )
        found.append(card)
    spec = found[0].network.input
    return (
        f"{found[0].network.architecture}, {spec.width}×{spec.height} px, "
        f"{len(found[0].labels)} classes: {fp32} ({found[0].macs / 1e6:.1f} M MACs) and {int8} "
        f"({found[1].macs / 1e6:.1f} M)"
    )


def _choose(
    subjects: Mapping[str, Subject], missing: Mapping[str, str], int8: str
) -> tuple[dict[str, Subject], dict[str, str]]:
    """The report's rows that can be run here, in its order, and why the others cannot."""
    chosen: dict[str, Subject] = {}
    reasons: dict[str, str] = {}
    for row in ROWS:
        if row.key == "hailo-cli":
            reasons[row.key] = (
                "no device: `hailortcli run` streams into a Hailo-8; it needs HailoRT, the NPU and "
                "a HEF from Hailo's compiler"
            )
        elif row.key == "hef-int8":
            folder = Path("artifacts") / int8 / "hef"
            # A runtime for HEF files joins by being one of the runtimes.
            if "hef" in ENGINES and folder.is_dir():
                chosen[row.key] = Subject(int8, "int8", "", Loadable(folder, providers=("hailo",)))
            else:
                reasons[row.key] = (
                    f"no device: it needs {folder}, which Hailo's compiler makes, and HailoRT's "
                    "Python API with the NPU"
                )
        elif row.key in missing:
            reasons[row.key] = missing[row.key]
        else:
            subject = subjects[row.key]
            folder = subject.network.folder
            if folder.parts[0] == "artifacts" and not (folder / contracts.FILE).is_file():
                reasons[row.key] = f"{folder} was not built; add it to params.yaml: formats"
            else:
                chosen[row.key] = subject
    return chosen, reasons


def _cell(turns: Turns, number: int, variant: str) -> Cell:
    samples = turns.all_ms(number)
    latency = stats.latency(samples)
    return Cell(
        variant=variant,
        engine=turns.loaded[number]["engine"],
        latency_ms=ModelLatency.of(latency),
        latency_ms_ci95=Bounds.of(stats.rounds_median_interval(turns.samples_ms[number])),
        fps=round(1000 / latency.mean, 2),
        runs=len(samples),
        steady=turns.warm[number]["steady"],
        noisy=stats.is_noisy(turns.samples_ms[number]),
    )


def _ratio(turns: Turns, faster: int, slower: int) -> Ratio:
    value, interval = stats.ratio_interval(
        [
            statistics.median(theirs) / statistics.median(ours)
            for theirs, ours in zip(turns.samples_ms[slower], turns.samples_ms[faster], strict=True)
        ]
    )
    return Ratio(value=round(value, 4), ci95=Bounds.of(interval))
