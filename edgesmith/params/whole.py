"""The whole of `params.yaml`, and the rules between its sections."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, model_validator

from edgesmith.params.data import Dataset
from edgesmith.params.measuring import (
    Active,
    Bench,
    Export,
    FormatCell,
    Formats,
    Runtime,
    RuntimePair,
    Sensitivity,
    Tolerances,
)
from edgesmith.params.networks import Model, Schedule
from edgesmith.params.section import Section
from edgesmith.params.variants import ResizeVariant, Variant


class Params(Section):
    """The whole of `params.yaml`."""

    seed: int = Field(ge=0)
    build_threads: int = Field(gt=0)
    datasets: dict[str, Dataset]
    models: dict[str, Model]
    schedules: dict[str, Schedule]
    variants: dict[str, Variant]
    tolerances: Tolerances
    export: Export
    runtime: Runtime
    bench: Bench
    formats: Formats = Field(default_factory=Formats)
    sensitivity: dict[str, Sensitivity] = Field(default_factory=dict)
    runtimes: dict[str, RuntimePair] = Field(default_factory=dict)
    active: Active

    @model_validator(mode="after")
    def _names_exist(self) -> Params:
        for name in [*self.datasets, *self.models, *self.variants, *self.runtimes]:
            if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
                raise ValueError(
                    f"the name {name!r}: use lower-case letters, digits, '-' and '.' "
                    "(release tags refuse anything else)"
                )
        for name in self.models.keys() & self.variants.keys():
            raise ValueError(f"{name!r} is both a model and a variant; rename one")
        for name, model in self.models.items():
            _known(f"models.{name}.dataset", model.dataset, self.datasets)
        for name, variant in self.variants.items():
            where = f"variants.{name}"
            _known(f"{where}.parent", variant.parent, {**self.models, **self.variants})
            _known(f"{where}.teacher", variant.teacher, {**self.models, **self.variants})
            _known(f"{where}.baseline", variant.baseline, self.variants)
            _known(f"{where}.dataset", variant.dataset, self.datasets)
            _known(f"{where}.schedule", variant.schedule, self.schedules)
        for name in self.variants:
            self._fits_its_task(name)
            self._can_be_resized(name)
        for name, pair in self.runtimes.items():
            self._fits_a_pair(f"runtimes.{name}", pair)
        for format_name, cells in self.formats:
            self._fit_their_variants(f"formats.{format_name}", cells)
        for name, entry in self.sensitivity.items():
            self._is_quantized(f"sensitivity.{name}", name, entry)
        _known("active.variant", self.active.variant, self.variants)
        return self

    def input_size(self, name: str) -> tuple[int, int]:
        """(height, width) in pixels that a model or variant takes."""
        while (variant := self.variants.get(name)) is not None:
            if isinstance(variant, ResizeVariant):
                return variant.size, variant.size
            name = variant.parent
        source = self.models[name].input
        return source.height, source.width

    def _is_quantized(self, where: str, name: str, entry: Sensitivity) -> None:
        _known(where, name, self.variants)
        variant = self.variants[name]
        if (step := self._made_by(name)) != "quantize":
            raise ValueError(
                f"{where}: the step of {name} is {step}; only variants of the step "
                "quantize have layers to round"
            )
        for key in ("task", "dataset"):
            _repeats(where, entry, name, variant, key)

    def _fits_a_pair(self, where: str, pair: RuntimePair) -> None:
        _known(f"{where}.fp32", pair.fp32, self.variants)
        _known(f"{where}.int8", pair.int8, self.variants)
        if (step := self._made_by(pair.fp32)) in {"quantize", "cast"}:
            raise ValueError(
                f"{where}.fp32 is {pair.fp32}, whose step is {step}; name a variant in single "
                "precision, such as the chain's baseline"
            )
        if (step := self._made_by(pair.int8)) != "quantize":
            raise ValueError(
                f"{where}.int8 is {pair.int8}, whose step is {step}; name one of the step quantize"
            )
        fp32, int8 = ("{} x {}".format(*self.input_size(key)) for key in (pair.fp32, pair.int8))
        if fp32 != int8:
            raise ValueError(
                f"{where}: {pair.fp32} takes {fp32} pixels, but {pair.int8} {int8}, and smaller "
                "images are faster in any runtime; name two variants of one size"
            )
        for name in (pair.fp32, pair.int8):
            for format_name, cells in self.formats:
                if name not in cells:
                    raise ValueError(
                        f"{where}: {name} is not in formats.{format_name}, and runtimes are "
                        "compared in every format; add it there, or remove the pair"
                    )

    def _fit_their_variants(self, where: str, cells: dict[str, FormatCell]) -> None:
        for name, cell in cells.items():
            _known(f"{where}.{name}", name, self.variants)
            for key in ("task", "dataset", "baseline"):
                _repeats(f"{where}.{name}", cell, name, self.variants[name], key)
            if cell.baseline not in cells:
                raise ValueError(
                    f"{where}.{name}: its baseline {cell.baseline} is not in {where}, and latency "
                    "is measured beside it; add it"
                )

    def _fits_its_task(self, name: str) -> None:
        variant, model = self.variants[name], self._model_of(name)
        for where, task in (
            (f"models.{model}", self.models[model].task),
            (f"datasets.{variant.dataset}", self.datasets[variant.dataset].task),
        ):
            if variant.task != task:
                raise ValueError(
                    f"variants.{name}.task is {variant.task}, but {where} is for the task {task}"
                )

    def _can_be_resized(self, name: str) -> None:
        variant = self.variants[name]
        if not isinstance(variant, ResizeVariant):
            return
        if variant.task != "detect":
            raise ValueError(
                f"variants.{name}.step is resize, which is for detectors: a classifier pools its "
                "whole map into one answer and knows objects in the size that it was trained with; "
                "give its model another `input` and train it"
            )
        if self.input_size(variant.parent) == (variant.size, variant.size):
            raise ValueError(
                f"variants.{name}.size is {variant.size}, which {variant.parent} takes already; "
                "give another multiple of 32, or remove the variant"
            )

    def _made_by(self, name: str) -> str:
        """The step that gave the variant its weights and ranges: resizing leaves both alone."""
        while (variant := self.variants[name]).step == "resize" and variant.parent in self.variants:
            name = variant.parent
        return variant.step

    def _model_of(self, name: str) -> str:
        """The model that the variant's chain ends at."""
        seen = [name]
        while (parent := self.variants[seen[-1]].parent) in self.variants:
            if parent in seen:
                raise ValueError(f"variants.{name}.parent: the chain {seen} comes back to {parent}")
            seen.append(parent)
        return parent


def _known(key: str, name: str, among: dict[str, Any]) -> None:
    if name not in among:
        raise ValueError(f"{key} is {name!r}, which is not defined; known: {', '.join(among)}")


def _repeats(where: str, entry: Section, name: str, variant: Section, key: str) -> None:
    own, expected = getattr(entry, key), getattr(variant, key)
    if own != expected:
        raise ValueError(
            f"{where}.{key} is {own!r}, but variants.{name}.{key} is {expected!r}; write the same"
        )
