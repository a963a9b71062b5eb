"""Two profiles side by side: what gained, what lost, and what one has and the other has not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat

from edgesmith.profile.families import Family, family
from edgesmith.profile.summary import LayerTime, Summary

FILE = "comparison.json"
_TITLES: dict[Family, str] = {
    "weights": "convolutions and matrix products",
    "add": "additions",
    "pool": "pooling",
    "conversion": "quantizing, transposing and reordering",
    "other": "other operators",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pair(_Part):
    """One layer in both; `by` says how they were found to be the same."""

    first: str
    second: str
    op_first: str
    op_second: str
    by: Literal["name", "order"]
    first_ms: NonNegativeFloat
    second_ms: NonNegativeFloat
    saved_ms: float


class Group(_Part):
    """All operators of one family, matched or not, or all time outside kernels.

    `saved_ms` is what the first saves; `ratio` how many times as fast it is, where both have it.
    """

    title: str
    first_ms: NonNegativeFloat
    second_ms: NonNegativeFloat
    saved_ms: float
    ratio: PositiveFloat | None = None


class Comparison(_Part):
    """`first` against `second`, whose inferences took turns."""

    version: Literal[1] = 1
    first: str
    second: str
    first_run_ms: PositiveFloat
    second_run_ms: PositiveFloat
    first_plain_ms: PositiveFloat
    second_plain_ms: PositiveFloat
    families: dict[str, Group]
    layers: list[Pair]
    only_first: list[str]
    only_second: list[str]
    unmatched: list[str] = Field(default_factory=list)
    words: str = ""


def compare(first: Summary, second: Summary) -> Comparison:
    """Layers by name where both have the name once, else by order in families of equal number.

    Families that differ in number and have no common names are left to their sums; `unmatched`
    names them.
    """
    pairs, unmatched = _match(first.layers, second.layers)
    matched_first = {pair.first for pair in pairs}
    matched_second = {pair.second for pair in pairs}
    groups: dict[str, Group] = {}
    for name, title in _TITLES.items():
        one = sum(layer.ms for layer in first.layers if family(layer.op) == name)
        other = sum(layer.ms for layer in second.layers if family(layer.op) == name)
        if one or other:
            groups[name] = _group(title, one, other)
    groups["overhead"] = _group(
        "time outside kernels", first.run_ms - first.kernel_ms, second.run_ms - second.kernel_ms
    )
    return Comparison(
        first=first.subject.label,
        second=second.subject.label,
        first_run_ms=first.run_ms,
        second_run_ms=second.run_ms,
        first_plain_ms=first.plain_ms,
        second_plain_ms=second.plain_ms,
        families=groups,
        layers=pairs,
        only_first=[layer.name for layer in first.layers if layer.name not in matched_first],
        only_second=[layer.name for layer in second.layers if layer.name not in matched_second],
        unmatched=unmatched,
    )


def _group(title: str, one: float, other: float) -> Group:
    one, other = max(0.0, round(one, 6)), max(0.0, round(other, 6))
    ratio = round(other / one, 4) if one and other else None
    return Group(
        title=title, first_ms=one, second_ms=other, saved_ms=round(other - one, 6), ratio=ratio
    )


def _match(first: Sequence[LayerTime], second: Sequence[LayerTime]) -> tuple[list[Pair], list[str]]:
    pairs: list[Pair] = []
    common = _once(first).keys() & _once(second).keys()
    by_name = {
        name for name in common if family(_once(first)[name].op) == family(_once(second)[name].op)
    }
    pairs += [
        _pair(layer, _once(second)[layer.name], "name") for layer in first if layer.name in by_name
    ]
    left_first = _by_family([layer for layer in first if layer.name not in by_name])
    left_second = _by_family([layer for layer in second if layer.name not in by_name])
    unmatched = []
    for name in left_first.keys() | left_second.keys():
        one, other = left_first.get(name, []), left_second.get(name, [])
        if len(one) == len(other):
            pairs += [_pair(a, b, "order") for a, b in zip(one, other, strict=True)]
        elif one and other:
            unmatched.append(f"{_TITLES[name]}: {len(one)} and {len(other)}")
    order = {layer.name: number for number, layer in enumerate(first)}
    return sorted(pairs, key=lambda pair: order[pair.first]), sorted(unmatched)


def _once(layers: Sequence[LayerTime]) -> Mapping[str, LayerTime]:
    count = Counter(layer.name for layer in layers)
    return {layer.name: layer for layer in layers if count[layer.name] == 1}


def _by_family(layers: Sequence[LayerTime]) -> dict[Family, list[LayerTime]]:
    found: dict[Family, list[LayerTime]] = defaultdict(list)
    for layer in layers:
        found[family(layer.op)].append(layer)
    return found


def _pair(one: LayerTime, other: LayerTime, by: Literal["name", "order"]) -> Pair:
    return Pair(
        first=one.name,
        second=other.name,
        op_first=one.op,
        op_second=other.op,
        by=by,
        first_ms=one.ms,
        second_ms=other.ms,
        saved_ms=round(other.ms - one.ms, 6),
    )
