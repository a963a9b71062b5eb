"""Which image goes into which split: stratified, decided by the seed, checked before writing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Never

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


@dataclass(frozen=True)
class _Pool:
    """Entries by class, in the order in which they are taken."""

    classes: list[list[Entry]]

    def __len__(self) -> int:
        return sum(map(len, self.classes))

    def take(self, count: int) -> tuple[list[Entry], _Pool]:
        """The first entries of each class, `count` in all, and the pool that remains."""
        seats = _seats([len(entries) for entries in self.classes], count)
        taken: list[Entry] = []
        for entries, k in zip(self.classes, seats, strict=True):
            taken += entries[:k]
        rest = [entries[k:] for entries, k in zip(self.classes, seats, strict=True)]
        return taken, _Pool(rest)

    def backwards(self) -> _Pool:
        """The same entries, taken from the other end."""
        return _Pool([entries[::-1] for entries in self.classes])


def split_source(source: Source, rule: Dataset, seed: int, key: str) -> dict[str, list[Sample]]:
    """The images of every split, read and each decoded once.

    `key` names the rule in messages (`datasets.signs`). The rules are those of `params.Dataset`.
    Raises DataError when there are fewer images than asked for or one cannot be decoded.
    """
    own = {split: _shuffled(source, split, seed) for split in ("train", "val", "test")}
    if rule.train is None:
        chosen = _for_evaluation_alone(own, rule, key)
    else:
        chosen = _for_training(own, rule, key)
    total = sum(map(len, chosen.values()))
    with tqdm(total=total, desc="checking images", unit=" images", disable=None) as progress:
        return {split: _checked(entries, progress) for split, entries in chosen.items()}


def _for_training(own: dict[str, _Pool], rule: Dataset, key: str) -> dict[str, list[Entry]]:
    pool = own["train"]
    everything = len(pool)
    chosen: dict[str, list[Entry]] = {"val": [], "test": []}
    for split, asked in (("test", rule.test), ("val", rule.val)):
        if asked is None:
            continue
        if len(own[split]):
            count = asked or len(own[split])
            _refuse_more(f"{key}.{split}", count, len(own[split]), f"in the source's {split}")
            chosen[split], _ = own[split].take(count)
        else:
            count = asked or round(everything * _CARVED_SHARE[split])
            _refuse_more(f"{key}.{split}", count, len(pool), "left in train to carve it from")
            chosen[split], pool = pool.take(count)
    if not len(pool):
        raise DataError(
            f"params.yaml: {key}: test and val leave no image to train on; lower them, "
            "or say `train: null` for a dataset that is only evaluated on"
        )
    count = rule.train or len(pool)
    _refuse_more(f"{key}.train", count, len(pool), "left in train after test and val")
    chosen["train"], _ = pool.take(count)
    seen = frozenset(_digest(entry) for split in ("val", "test") for entry in chosen[split])
    # From the other end than train: where train is a part of the pool, the two hardly overlap.
    chosen["calibration"] = _calibration(pool.backwards(), rule, key, seen)
    return chosen


def _for_evaluation_alone(own: dict[str, _Pool], rule: Dataset, key: str) -> dict[str, list[Entry]]:
    pool = next(own[split] for split in ("train", "val", "test") if len(own[split]))
    calibration = _calibration(pool, rule, key, frozenset())
    seen = frozenset(_digest(entry) for entry in calibration)
    whole = own["test"] if len(own["test"]) else pool
    rest = _Pool([[e for e in entries if _digest(e) not in seen] for entries in whole.classes])
    val: list[Entry] = []
    if rule.val:
        _refuse_more(f"{key}.val", rule.val, len(rest), "left after calibration")
        val, rest = rest.take(rule.val)
    if not len(rest):
        raise DataError(
            f"params.yaml: {key}: calibration and val leave no image for test; lower them"
        )
    count = rule.test or len(rest)
    _refuse_more(f"{key}.test", count, len(rest), "left after calibration and val")
    return {"train": [], "val": val, "test": rest.take(count)[0], "calibration": calibration}


def _calibration(pool: _Pool, rule: Dataset, key: str, seen: frozenset[str]) -> list[Entry]:
    """Images of the pool, stratified, none with a content that is in `seen`."""
    _refuse_more(f"{key}.calibration", rule.calibration, len(pool), "left for it in train")
    chosen: list[Entry] = []
    seats = _seats([len(entries) for entries in pool.classes], rule.calibration)
    for entries, wanted in zip(pool.classes, seats, strict=True):
        unseen = (entry for entry in entries if _digest(entry) not in seen)
        found = list(islice(unseen, wanted))
        if len(found) < wanted:
            raise DataError(
                f"params.yaml: {key}.calibration needs {wanted} images like {entries[0].where}, "
                f"but only {len(found)} of that class are not also in val or test; lower it, "
                "or remove the duplicates"
            )
        chosen += found
    return chosen


def _refuse_more(key: str, asked: int, there: int, where: str) -> None:
    if asked > there:
        raise DataError(
            f"params.yaml: {key} asks for {asked} images, but {there} are {where}; "
            "lower the count or add images"
        )


def _shuffled(source: Source, split: str, seed: int) -> _Pool:
    """A split's entries by class, each class in an order that the seed alone decides."""
    rng = np.random.default_rng([seed, _ORDER[split]])
    names = ("train", "") if split == "train" else (split,)
    classes: list[list[Entry]] = [[] for _ in source.labels]
    for entry in source.entries:
        if entry.split in names:
            classes[entry.label].append(entry)
    return _Pool([[entries[k] for k in rng.permutation(len(entries))] for entries in classes])


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


def _digest(entry: Entry) -> str:
    return hashlib.sha256(entry.load()).hexdigest()


def _checked(entries: Iterable[Entry], progress: tqdm[Never]) -> list[Sample]:
    samples = []
    for entry in entries:
        content = entry.load()
        decode_image(content, entry.where)
        samples.append(Sample(entry.label, entry.name, content))
        progress.update()
    return samples
