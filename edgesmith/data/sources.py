"""From a dataset's parameters to its stored form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from tqdm import tqdm

from edgesmith.data.cifar import batches, has_batches
from edgesmith.data.classify.store import Sample, write_dataset
from edgesmith.data.detect.store import AnnotatedImage, write_scenes
from edgesmith.data.folders import image_folder, synset_folder
from edgesmith.data.index import DatasetIndex
from edgesmith.data.labels.annotated import AnnotatedSource
from edgesmith.data.labels.coco import coco_instances
from edgesmith.data.labels.splits import split_annotated
from edgesmith.data.labels.voc import voc_layout
from edgesmith.data.labels.yolo import yolo_layout
from edgesmith.data.png import encode_png
from edgesmith.data.scenes import plates
from edgesmith.data.scenes.generate import scene
from edgesmith.data.signs.faces import LABELS
from edgesmith.data.signs.generate import label_of, sign_image
from edgesmith.data.splits import split_source
from edgesmith.data.tree import Tree, read_tree
from edgesmith.errors import DataError
from edgesmith.params import Dataset
from edgesmith.preprocess import UInt8Array


class _Reader(Protocol):
    def __call__(self, path: Path, tree: Tree, key: str, *, drop: bool) -> AnnotatedSource: ...


_READERS: dict[str, _Reader] = {"yolo": yolo_layout, "coco": coco_instances, "voc": voc_layout}


def prepare_dataset(name: str, rule: Dataset, seed: int, folder: Path) -> DatasetIndex:
    """Read or generate, split, check and store the dataset `datasets.<name>`; its index.

    Nothing is written unless every image is sound; what a user should know of a source besides is
    printed. Raises DataError naming file and remedy.
    """
    key = f"datasets.{name}"
    if rule.source in {"signs", "scenes"}:
        counts = _counts(rule, key)
        source = f"{rule.source}: generated, seed {seed}, "
        source += f"difficulty {rule.difficulty}, {rule.size} px"
        if rule.source == "signs":
            return write_dataset(folder, LABELS, _signs(rule, seed, counts), source)
        return write_scenes(folder, plates.LABELS, _scenes(rule, seed, counts), source)
    path = Path(rule.path)
    tree = read_tree(path)
    source = f"{rule.source}: {path.name}"
    if rule.source in _READERS:
        read = _READERS[rule.source]
        annotated = read(path, tree, key, drop=rule.on_bad_labels == "drop")
        images = split_annotated(annotated, rule, seed, key)
        for note in annotated.notes:
            tqdm.write(note)
        return write_scenes(folder, annotated.labels, images, source)
    if rule.source == "synsets":
        found = synset_folder(path, tree)
    elif rule.source == "cifar10" and has_batches(tree):
        found = batches(path, tree)
    else:
        found = image_folder(path, tree)
    return write_dataset(folder, found.labels, split_source(found, rule, seed, key), source)


def _counts(rule: Dataset, key: str) -> dict[str, int]:
    """Images of every split of a generator."""
    counts = {
        "train": rule.train,
        "val": rule.val,
        "test": rule.test,
        "calibration": rule.calibration,
    }
    for split, count in counts.items():
        if count == 0:
            raise DataError(
                f"params.yaml: {key}.{split} is 0 (all there are), but a generator has no end; "
                "say how many images, or null for none"
            )
    return {split: count or 0 for split, count in counts.items()}


def _signs(rule: Dataset, seed: int, counts: dict[str, int]) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {}
    total = sum(counts.values())
    with tqdm(total=total, desc="generating signs", unit=" images", disable=None) as progress:
        for split, count in counts.items():
            samples[split] = []
            for index in range(count):
                image = sign_image(seed, split, index, rule.size, rule.difficulty)
                samples[split].append(
                    Sample(label_of(index), f"{index:06d}.png", encode_png(image))
                )
                progress.update()
    return samples


def _scenes(
    rule: Dataset, seed: int, counts: dict[str, int]
) -> dict[str, Iterator[AnnotatedImage]]:
    """Scenes of every split, each made when it is written."""

    def make(split: str, count: int) -> Iterator[AnnotatedImage]:
        for index in tqdm(range(count), desc=f"generating {split}", unit=" images", disable=None):
            made = scene(seed, split, index, rule.size, rule.difficulty)
            x1, y1, x2, y2 = made.boxes.astype(np.float64).T / rule.size
            boxes = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=1)
            yield AnnotatedImage(f"{index:06d}.jpg", _jpeg(made.image), boxes, made.classes)

    return {split: make(split, count) for split, count in counts.items()}


def _jpeg(image: UInt8Array) -> bytes:
    # A quarter of PNG's bytes, as noise does not compress, and a tenth of its time.
    pixels = np.ascontiguousarray(image[:, :, ::-1])
    _, content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return bytes(content.tobytes())
