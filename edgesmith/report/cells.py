"""The cells of the comparison: every variant in every format, with what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edgesmith.bench import record as bench_record
from edgesmith.bench.record import Bench
from edgesmith.device.fingerprint import Device
from edgesmith.errors import ParamsError
from edgesmith.intervals import Bounds
from edgesmith.params import Params, QuantizeVariant, Variant
from edgesmith.report import accuracy as accuracy_record
from edgesmith.report.accuracy import Accuracy, unpaired_difference


class Change(NamedTuple):
    """Accuracy against the baseline, in shares; `paired` when over the same images one by one."""

    value: float
    bounds: Bounds
    paired: bool


@dataclass(frozen=True)
class Cell:
    """One variant in one format.

    `bench` is there if it was measured on the machine of `devices/host/device.json`;
    `other_machine` is the fingerprint of a measurement that was not. `reference` is the baseline
    of the variant in the same format.
    """

    variant: str
    format: str
    retraining: bool
    baseline: str
    accuracy: Accuracy
    bench: Bench | None
    other_machine: str | None
    reference: Accuracy | None

    @property
    def name(self) -> str:
        """The name of its metric files."""
        return f"{self.variant}.{self.format}"

    @property
    def change(self) -> Change | None:
        """Accuracy minus the baseline's; paired where the chain kept the baseline's outputs."""
        own = self.accuracy
        if own.delta_vs_baseline is not None and own.delta_ci95 is not None:
            return Change(own.delta_vs_baseline, own.delta_ci95, paired=True)
        if self.reference is None:
            return None
        value, interval = unpaired_difference(
            own.value, own.value_ci95, self.reference.value, self.reference.value_ci95
        )
        return Change(value, Bounds.of(interval, 6), paired=False)

    @property
    def size_x(self) -> float | None:
        """How many times smaller than the baseline in the same format."""
        return self._times("size_bytes")

    @property
    def params_x(self) -> float | None:
        """How many times fewer parameters than the baseline."""
        return self._times("params")

    @property
    def macs_x(self) -> float | None:
        """How many times fewer multiply-accumulates than the baseline."""
        return self._times("macs")

    def _times(self, key: str) -> float | None:
        own = getattr(self.accuracy, key)
        return None if self.reference is None or not own else getattr(self.reference, key) / own


def read_cells(params: Params, metrics: Path, device: Device) -> list[Cell]:
    """All evaluated cells of the variants in `params.yaml`, in its order, then by format.

    Metric files of variants and formats that `params.yaml` no longer lists are passed over. Raises
    ContractError for a damaged file and ParamsError when there is none at all.
    """
    listed = {"onnx": params.variants, **dict(params.formats)}
    accuracies = {
        (record.variant, record.format): record
        for path in sorted((metrics / "accuracy").glob("*.json"))
        if (record := accuracy_record.read(path)).variant in listed.get(record.format, ())
    }
    if not accuracies:
        raise ParamsError(
            f"{metrics / 'accuracy'}: no evaluated artifact of a variant in params.yaml; "
            "run `dvc repro` first"
        )
    cells = []
    for variant in params.variants:
        for name, format_name in sorted(accuracies):
            if name != variant:
                continue
            baseline = params.variants[variant].baseline
            path = metrics / "bench" / device.name / f"{variant}.{format_name}.json"
            bench = bench_record.read(path) if path.is_file() else None
            ours = bench is not None and bench.fingerprint == device.fingerprint_id
            cells.append(
                Cell(
                    variant=variant,
                    format=format_name,
                    retraining=retraining(params, variant),
                    baseline=baseline,
                    accuracy=accuracies[variant, format_name],
                    bench=bench if ours else None,
                    other_machine=bench.fingerprint if bench and not ours else None,
                    reference=accuracies.get((baseline, format_name)),
                )
            )
    return cells


def retraining(params: Params, variant: str) -> bool:
    """Whether weights were trained anywhere on the way from the baseline to the variant."""
    baseline = params.variants[variant].baseline
    chain: Mapping[str, Variant] = params.variants
    while variant != baseline and variant in chain:
        if _trains(params, chain[variant]):
            return True
        variant = chain[variant].parent
    return False


def _trains(params: Params, variant: Variant) -> bool:
    if isinstance(variant, QuantizeVariant):
        return variant.method == "qat"
    if variant.step in {"cast", "resize"}:
        return False
    return params.schedules[variant.schedule].epochs > 0
