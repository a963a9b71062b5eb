"""Which image with boxes goes into which split, and whether each is what its labels say."""

from __future__ import annotations

from functools import partial

import numpy as np
from tqdm import tqdm

from edgesmith.data.detect.store import AnnotatedImage
from edgesmith.data.labels.annotated import AnnotatedEntry, AnnotatedSource
from edgesmith.data.splits import Pool, Rules, choose, digest
from edgesmith.errors import DataError
from edgesmith.params import Dataset
from edgesmith.preprocess import decode_image

_SIZES_SHOWN = 20
# Apart from the seeds that `splits` draws with.
_ORDER_SEED = 9


def split_annotated(
    source: AnnotatedSource, rule: Dataset, seed: int, key: str
) -> dict[str, list[AnnotatedImage]]:
    """The images of every split, read and each decoded once.

    Rules and keys are those of `splits.split_source`. An image has several classes and counts for
    the one that is in the fewest images, so that rare classes are spread over the splits; images
    without objects are a class of their own. Calibration holds every class where it has room.
    Raises DataError when there are fewer images than asked for, one cannot be decoded, or has
    another size than its labels say.
    """
    images_with = np.zeros(len(source.labels), np.int64)
    for entry in source.entries:
        images_with[np.unique(entry.classes)] += 1

    def rarest(entry: AnnotatedEntry) -> int:
        present = np.unique(entry.classes)
        if not len(present):
            return len(source.labels)
        return int(present[np.argmin(images_with[present])])

    calibrate = partial(_calibrate_by_presence, classes=len(source.labels))
    rules = Rules[AnnotatedEntry](rule, key, len(source.labels) + 1, rarest, calibrate)
    chosen = choose(source.entries, rules, seed)
    # They come class by class; the first part of a split shall be like the whole of it. Calibration
    # is in the order in which it serves the classes.
    for place, split in enumerate(("train", "val", "test")):
        order = np.random.default_rng([seed, _ORDER_SEED, place]).permutation(len(chosen[split]))
        chosen[split] = [chosen[split][k] for k in order]
    return _checked(chosen)


def _calibrate_by_presence(
    pool: Pool[AnnotatedEntry],
    rules: Rules[AnnotatedEntry],
    seen: frozenset[str],
    classes: int,
) -> list[AnnotatedEntry]:
    """Images that hold every class alike often, in proportion to how often the pool does.

    Image after image the class is served that has had the smallest share of its images; of equal
    ones the rarest. Images without objects take part as a class.
    """
    free = [
        entry
        for entries in pool.classes
        for entry in entries
        if not seen or digest(entry) not in seen
    ]
    wanted = rules.rule.calibration
    if len(free) < wanted:
        raise DataError(
            f"params.yaml: {rules.key}.calibration is {wanted}, but only {len(free)} images are "
            "not also in val or test; lower it, or remove the duplicates"
        )
    presence = np.zeros((len(free), classes + 1), np.bool_)
    for row, entry in enumerate(free):
        presence[row, entry.classes] = True
        presence[row, classes] = not len(entry.classes)
    totals = presence.sum(axis=0)
    waiting = [np.flatnonzero(column).tolist()[::-1] for column in presence.T]
    had = np.zeros(classes + 1, np.int64)
    chosen: dict[int, None] = {}
    while len(chosen) < wanted:
        shares = np.where([bool(rows) for rows in waiting], had / np.maximum(totals, 1), np.inf)
        neediest = int(np.lexsort((totals, shares))[0])
        row = waiting[neediest].pop()
        if row not in chosen:
            chosen[row] = None
            had += presence[row]
    return [free[row] for row in chosen]


def _checked(chosen: dict[str, list[AnnotatedEntry]]) -> dict[str, list[AnnotatedImage]]:
    total = sum(map(len, chosen.values()))
    images: dict[str, list[AnnotatedImage]] = {}
    differing: dict[str, None] = {}
    with tqdm(total=total, desc="checking images", unit=" images", disable=None) as progress:
        for split, entries in chosen.items():
            images[split] = []
            for entry in entries:
                content = entry.load()
                height, width = decode_image(content, entry.where).shape[:2]
                if entry.size not in {None, (height, width)}:
                    said = "{1}x{0}".format(*entry.size) if entry.size else ""
                    text = f"{entry.where}: is {width}x{height}, but its labels say {said}"
                    differing[text] = None
                images[split].append(
                    AnnotatedImage(entry.name, content, entry.boxes, entry.classes)
                )
                progress.update()
    if differing:
        more = len(differing) - _SIZES_SHOWN
        lines = [*list(differing)[:_SIZES_SHOWN], *([f"… and {more} more"] if more > 0 else [])]
        raise DataError(
            "images that their labels were not made for; correct the size there (turned by EXIF?) "
            "or remove them:\n  " + "\n  ".join(lines)
        )
    return images
