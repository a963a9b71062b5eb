"""Which image goes into which split: stratified, decided by the seed, checked before writing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Never, Protocol, TypeVar

import numpy as np
from tqdm import tqdm

from edgesmith.data.classify.store import Sample
from edgesmith.data.folders import Entry, Source
from edgesmith.errors import DataError
from edgesmith.params import Dataset
from edgesmith.preprocess import decode_image

# What is carved out of train when the source lacks the split and the count is 0.
_CARVED_SHARE = {"test": 0.2, "val": 0.1}
_ORDER = {"train": 0, "": 0, "val": 1, "test": 2}


class Image(Protocol):
    """What splitting has to know of a source's entry."""

    @property
    def split(self) -> str:
        """The split it came in; "" when the source has no splits."""

    @property
    def where(self) -> str:
        """How to name it to a user."""

    @property
    def load(self) -> Callable[[], bytes]:
        """Gives its encoded bytes."""


E = TypeVar("E", bound=Image)


@dataclass(frozen=True)
class Pool(Generic[E]):
    """Entries by class, in the order in which they are taken."""

    classes: list[list[E]]

    def __len__(self) -> int:
        return sum(map(len, self.classes))

    def take(self, count: int) -> tuple[list[E], Pool[E]]:
        """The first entries of each class, `count` in all, and the pool that remains."""
        seats = _seats([len(entries) for entries in self.classes], count)
        taken: list[E] = []
        for entries, k in zip(self.classes, seats, strict=True):
            taken += entries[:k]
        rest = [entries[k:] for entries, k in zip(self.classes, seats, strict=True)]
        return taken, Pool(rest)

    def backwards(self) -> Pool[E]:
        """The same entries, taken from the other end."""
        return Pool([entries[::-1] for entries in self.classes])


@dataclass(frozen=True)
class Rules(Generic[E]):
    """How a kind of dataset is split.

    `rule` and `key` are its parameters and their name (`datasets.signs`), `stratum` gives the class
    of an entry out of `strata`. `calibrate(pool, rules, seen)` draws calibration images, none with
    a digest that is in `seen`.
    """

    rule: Dataset
    key: str
    strata: int
    stratum: Callable[[E], int]
    calibrate: Callable[[Pool[E], Rules[E], frozenset[str]], list[E]]


def split_source(source: Source, rule: Dataset, seed: int, key: str) -> dict[str, list[Sample]]:
    """The images of every split, read and each decoded once.

    `key` names the rule in messages (`datasets.signs`). The rules are those of `params.Dataset`.
    Raises DataError when there are fewer images than asked for or one cannot be decoded.
    """
    rules = Rules[Entry](
        rule, key, len(source.labels), lambda entry: entry.label, _calibrate_by_class
    )
    chosen = choose(source.entries, rules, seed)
    total = sum(map(len, chosen.values()))
    with tqdm(total=total, desc="checking images", unit=" images", disable=None) as progress:
        return {split: _checked(entries, progress) for split, entries in chosen.items()}


def choose(entries: Sequence[E], rules: Rules[E], seed: int) -> dict[str, list[E]]:
    """The entries of every split; DataError when there are fewer than asked for."""
    own = {split: _shuffled(entries, split, rules, seed) for split in ("train", "val", "test")}
    if rules.rule.train is None:
        return _for_evaluation_alone(own, rules)
    return _for_training(own, rules)


def refuse_more(key: str, asked: int, there: int, where: str) -> None:
    """DataError unless as many images are there as are asked for."""
    if asked > there:
        raise DataError(
            f"params.yaml: {key} asks for {asked} images, but {there} are {where}; "
            "lower the count or add images"
        )


def digest(entry: Image) -> str:
    """SHA-256 of an image's encoded content."""
    return hashlib.sha256(entry.load()).hexdigest()


def _for_training(own: dict[str, Pool[E]], rules: Rules[E]) -> dict[str, list[E]]:
    rule, key = rules.rule, rules.key
    pool = own["train"]
    everything = len(pool)
    chosen: dict[str, list[E]] = {"val": [], "test": []}
    for split, asked in (("test", rule.test), ("val", rule.val)):
        if asked is None:
            continue
        if len(own[split]):
            count = asked or len(own[split])
            refuse_more(f"{key}.{split}", count, len(own[split]), f"in the source's {split}")
            chosen[split], _ = own[split].take(count)
        else:
            count = asked or round(everything * _CARVED_SHARE[split])
            refuse_more(f"{key}.{split}", count, len(pool), "left in train to carve it from")
            chosen[split], pool = pool.take(count)
    if not len(pool):
        raise DataError(
            f"params.yaml: {key}: test and val leave no image to train on; lower them, "
            "or say `train: null` for a dataset that is only evaluated on"
        )
    count = rule.train or len(pool)
    refuse_more(f"{key}.train", count, len(pool), "left in train after test and val")
    chosen["train"], _ = pool.take(count)
    seen = frozenset(digest(entry) for split in ("val", "test") for entry in chosen[split])
    # From the other end than train: where train is a part of the pool, the two hardly overlap.
    chosen["calibration"] = _calibration(pool.backwards(), rules, seen)
    return chosen


def _for_evaluation_alone(own: dict[str, Pool[E]], rules: Rules[E]) -> dict[str, list[E]]:
    rule, key = rules.rule, rules.key
    pool = next(own[split] for split in ("train", "val", "test") if len(own[split]))
    calibration = _calibration(pool, rules, frozenset())
    seen = frozenset(digest(entry) for entry in calibration)
    whole = own["test"] if len(own["test"]) else pool
    rest = Pool([[e for e in entries if digest(e) not in seen] for entries in whole.classes])
    val: list[E] = []
    if rule.val:
        refuse_more(f"{key}.val", rule.val, len(rest), "left after calibration")
        val, rest = rest.take(rule.val)
    if not len(rest):
        raise DataError(
            f"params.yaml: {key}: calibration and val leave no image for test; lower them"
        )
    count = rule.test or len(rest)
    refuse_more(f"{key}.test", count, len(rest), "left after calibration and val")
    return {"train": [], "val": val, "test": rest.take(count)[0], "calibration": calibration}


def _calibration(pool: Pool[E], rules: Rules[E], seen: frozenset[str]) -> list[E]:
    """Images of the pool, none with a content that is in `seen`."""
    key = f"{rules.key}.calibration"
    refuse_more(key, rules.rule.calibration, len(pool), "left for it in train")
    return rules.calibrate(pool, rules, seen)


def _calibrate_by_class(
    pool: Pool[Entry], rules: Rules[Entry], seen: frozenset[str]
) -> list[Entry]:
    """Of each class as many as its share."""
    key = rules.key
    chosen: list[Entry] = []
    seats = _seats([len(entries) for entries in pool.classes], rules.rule.calibration)
    for entries, wanted in zip(pool.classes, seats, strict=True):
        unseen = (entry for entry in entries if digest(entry) not in seen)
        found = list(islice(unseen, wanted))
        if len(found) < wanted:
            raise DataError(
                f"params.yaml: {key}.calibration needs {wanted} images like {entries[0].where}, "
                f"but only {len(found)} of that class are not also in val or test; lower it, "
                "or remove the duplicates"
            )
        chosen += found
    return chosen


def _shuffled(entries: Sequence[E], split: str, rules: Rules[E], seed: int) -> Pool[E]:
    """A split's entries by class, each class in an order that the seed alone decides."""
    rng = np.random.default_rng([seed, _ORDER[split]])
    names = ("train", "") if split == "train" else (split,)
    classes: list[list[E]] = [[] for _ in range(rules.strata)]
    for entry in entries:
        if entry.split in names:
            classes[rules.stratum(entry)].append(entry)
    return Pool([[entries[k] for k in rng.permutation(len(entries))] for entries in classes])


def _seats(sizes: list[int], count: int) -> list[int]:
    """How many of each class, `count` in all, each within one of its exact proportion.

    Cumulative rounding: where a class's proportion is below one, the chosen classes lie evenly over
    the class order.
    """
    total, seen, seats, given = sum(sizes), 0, [], 0
    for size in sizes:
        seen += size
        upto = (2 * seen * count + total) // (2 * total) if total else 0
        seats.append(upto - given)
        given = upto
    return seats


def _checked(entries: Iterable[Entry], progress: tqdm[Never]) -> list[Sample]:
    samples = []
    for entry in entries:
        content = entry.load()
        decode_image(content, entry.where)
        samples.append(Sample(entry.label, entry.name, content))
        progress.update()
    return samples
