"""From a dataset's parameters to its stored form."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from edgesmith.data.cifar import batches, has_batches
from edgesmith.data.classify.store import Sample, write_dataset
from edgesmith.data.folders import image_folder, synset_folder
from edgesmith.data.index import DatasetIndex
from edgesmith.data.png import encode_png
from edgesmith.data.signs.faces import LABELS
from edgesmith.data.signs.generate import label_of, sign_image
from edgesmith.data.splits import split_source
from edgesmith.data.tree import read_tree
from edgesmith.errors import DataError
from edgesmith.params import Dataset


def prepare_dataset(name: str, rule: Dataset, seed: int, folder: Path) -> DatasetIndex:
    """Read or generate, split, check and store the dataset `datasets.<name>`; its index.

    Nothing is written unless every image is sound. Raises DataError naming file and remedy.
    """
    key = f"datasets.{name}"
    if rule.source == "signs":
        samples = _signs(rule, seed, key)
        source = f"signs: generated, seed {seed}, difficulty {rule.difficulty}, {rule.size} px"
        return write_dataset(folder, LABELS, samples, source)
    path = Path(rule.path)
    tree = read_tree(path)
    if rule.source == "synsets":
        found = synset_folder(path, tree)
    elif rule.source == "cifar10" and has_batches(tree):
        found = batches(path, tree)
    else:
        found = image_folder(path, tree)
    samples = split_source(found, rule, seed, key)
    return write_dataset(folder, found.labels, samples, f"{rule.source}: {path.name}")


def _signs(rule: Dataset, seed: int, key: str) -> dict[str, list[Sample]]:
    counts = {
        "train": rule.train,
        "val": rule.val,
        "test": rule.test,
        "calibration": rule.calibration,
    }
    samples: dict[str, list[Sample]] = {}
    total = sum(count or 0 for count in counts.values())
    with tqdm(total=total, desc="generating signs", unit=" images", disable=None) as progress:
        for split, count in counts.items():
            if count == 0:
                raise DataError(
                    f"params.yaml: {key}.{split} is 0 (all there are), but a generator has no end; "
                    "say how many images, or null for none"
                )
            samples[split] = []
            for index in range(count or 0):
                image = sign_image(seed, split, index, rule.size, rule.difficulty)
                samples[split].append(
                    Sample(label_of(index), f"{index:06d}.png", encode_png(image))
                )
                progress.update()
    return samples
