from __future__ import annotations

import pickle
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesmith import files
from edgesmith.data.classify.store import Split, load_split
from edgesmith.data.index import read_index
from edgesmith.data.sources import prepare_dataset
from edgesmith.errors import DataError
from edgesmith.params import Dataset
from edgesmith.preprocess import Preprocess
from tests.data.conftest import classes, picture, put


def rule(path: Path, **changes: Any) -> Dataset:
    return Dataset.model_validate(
        {"source": "imagefolder", "path": str(path), "calibration": 4, **changes}
    )


def prepare(tmp_path: Path, dataset: Dataset, seed: int = 1) -> Path:
    folder = tmp_path / "out" / "pets"
    prepare_dataset("pets", dataset, seed, folder)
    return folder


def refused(tmp_path: Path, dataset: Dataset, message: str) -> None:
    """The dataset is refused with this message, and nothing is left on the disk."""
    with pytest.raises(DataError, match=message):
        prepare(tmp_path, dataset)
    assert not (tmp_path / "out" / "pets").exists()


def contents(folder: Path, split: str) -> set[bytes]:
    with tarfile.open(folder / f"{split}.tar") as tar:
        return {tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def pack(root: Path, mode: str = "w") -> Path:
    path = root.with_suffix(".tar")
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        tar.add(root, root.name)
    return path


SPLIT = {
    **classes("cat dog", 10, "train/"),
    **classes("cat dog", 5, "test/", seed=100),
}


def test_own_splits_are_kept_and_val_is_carved_from_train(tmp_path: Path) -> None:
    folder = prepare(tmp_path, rule(put(tmp_path / "pets", SPLIT)))

    assert read_index(folder).counts == {"train": 18, "val": 2, "test": 10, "calibration": 4}
    assert read_index(folder).labels == ["cat", "dog"]
    assert contents(folder, "test") == {v for k, v in SPLIT.items() if k.startswith("test")}
    assert not contents(folder, "train") & contents(folder, "val")


def test_val_and_test_are_carved_where_there_are_no_splits(tmp_path: Path) -> None:
    folder = prepare(tmp_path, rule(put(tmp_path / "pets", classes("cat dog", 20))))
    parts = [contents(folder, split) for split in ("train", "val", "test")]

    assert [len(part) for part in parts] == [28, 4, 8]
    assert len(set.union(*parts)) == 40


def test_calibration_is_stratified_and_apart_from_val_and_test(
    tmp_path: Path, spec: Preprocess
) -> None:
    uneven = {**classes("cat", 40), **classes("dog emu", 20, seed=5000)}
    folder = prepare(tmp_path, rule(put(tmp_path / "pets", uneven), calibration=12))
    labels = load_split(folder, "calibration", spec).labels

    assert Counter(labels.tolist()) == {0: 6, 1: 3, 2: 3}
    calibration = contents(folder, "calibration")
    assert not calibration & (contents(folder, "test") | contents(folder, "val"))


def test_calibration_never_takes_a_copy_of_a_test_image(tmp_path: Path) -> None:
    copies = {f"train/cat/copy{k}.png": picture(100 + k) for k in range(5)}
    root = put(tmp_path / "pets", {**SPLIT, **copies})
    folder = prepare(tmp_path, rule(root, val=None, calibration=16))

    assert not contents(folder, "calibration") & contents(folder, "test")
    refused(
        tmp_path / "more",
        rule(root, val=None, calibration=18),
        r"datasets\.pets\.calibration needs 11 images .*only 10 of that class.*lower it",
    )


def test_counts_are_totals_and_draw_evenly(tmp_path: Path, spec: Preprocess) -> None:
    root = put(tmp_path / "pets", classes("a b c", 20))
    folder = prepare(tmp_path, rule(root, train=15, val=6, test=9, calibration=3))

    def per_class(split: str) -> list[int]:
        return sorted(Counter(load_split(folder, split, spec).labels.tolist()).values())

    assert [per_class(s) for s in ("train", "val", "test", "calibration")] == [
        [5, 5, 5],
        [2, 2, 2],
        [3, 3, 3],
        [1, 1, 1],
    ]
    assert not contents(folder, "train") & contents(folder, "calibration")


def test_the_seed_decides_and_nothing_else(tmp_path: Path) -> None:
    root = put(tmp_path / "pets", classes("cat dog", 20))
    hashes = [
        files.sha256_folder(prepare(tmp_path / str(turn), rule(path, train=10), seed))
        for turn, (seed, path) in enumerate([(1, root), (1, root), (2, root)])
    ]

    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_tar_is_read_like_the_directory(tmp_path: Path, mode: str) -> None:
    root = put(tmp_path / "pets", {**SPLIT, "README.txt": b"hello", "train/cat/.x.png": b"no"})
    tar = pack(put(tmp_path / "packed" / "pets", SPLIT), mode)
    folder, other = prepare(tmp_path / "a", rule(root)), prepare(tmp_path / "b", rule(tar))

    assert contents(folder, "train") == contents(other, "train")
    assert files.sha256(folder / "test.tar") == files.sha256(other / "test.tar")


def test_synsets_keep_the_whole_list_and_an_evaluation_set_needs_no_train(
    tmp_path: Path, spec: Preprocess
) -> None:
    lines = "".join(f"n{k:02d} a name, another\n" for k in range(50))
    some = {f"n{k:02d}/one.png": picture(k) for k in range(0, 50, 5)}
    root = put(tmp_path / "pets", {**some, "synsets.txt": lines.encode()})
    asked = rule(root, source="synsets", train=None, val=None, calibration=3)
    folder = prepare(tmp_path, asked)

    assert len(read_index(folder).labels) == 50
    assert read_index(folder).counts == {"train": 0, "val": 0, "test": 7, "calibration": 3}
    assert not contents(folder, "test") & contents(folder, "calibration")
    # One image per class: the chosen classes lie evenly over the list.
    assert load_split(folder, "calibration", spec).labels.tolist() == [5, 20, 40]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    refused(tmp_path, rule(tmp_path / "nowhere"), "nowhere: no such folder or tar; correct `path`")


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    root = put(tmp_path / "pets", classes("cat dog", 20))
    (root / "emu").mkdir()

    refused(tmp_path, rule(root), "pets: emu: holds no image; add images or remove the folder")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"the file is empty; replace it"),
        (b"hello", r"not an image that OpenCV can decode"),
        (picture(7)[:-30], r"truncated PNG .*fetch the file again"),
    ],
)
def test_a_damaged_image_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    root = put(tmp_path / "pets", {**classes("cat dog", 20), "cat/bad.png": content})

    refused(tmp_path, rule(root), rf"cat/bad\.png: {message}")


def test_a_label_outside_the_list_is_named(tmp_path: Path) -> None:
    root = put(tmp_path / "pets", {**SPLIT, "test/emu/1.png": picture(1)})
    listed = put(tmp_path / "listed", {**classes("cat dog", 9), "synsets.txt": b"cat\nemu\n"})

    refused(tmp_path, rule(root), "test/emu: 'emu' is not among the folders of train; rename")
    refused(tmp_path, rule(listed, source="synsets"), r"dog: 'dog' is not in synsets\.txt; rename")


def test_classes_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    put(root, {"train/Cat/1.png": picture(1), "train/cat/1.png": picture(2)})

    refused(tmp_path, rule(root), "'Cat' and 'cat' differ in upper and lower case only; rename")


def test_one_class_is_not_enough(tmp_path: Path) -> None:
    root = put(tmp_path / "pets", classes("cat", 20))

    refused(tmp_path, rule(root), "images of 1 classes; a classifier needs 2")


def test_an_image_outside_a_class_is_named(tmp_path: Path) -> None:
    root = put(tmp_path / "pets", {**classes("cat dog", 20), "cat/more/1.png": picture(1)})

    refused(tmp_path, rule(root), r"cat/more/1\.png: not where an image is expected")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"calibration": 99}, r"datasets\.pets\.calibration asks for 99 images, but 18 are left"),
        ({"train": 99}, r"datasets\.pets\.train asks for 99 images, but 18 are left in train"),
        ({"test": 99}, r"datasets\.pets\.test asks for 99 images, but 10 are in the source's test"),
        ({"val": 20}, r"datasets\.pets: test and val leave no image to train on"),
        ({"train": None, "test": 99}, r"datasets\.pets\.test asks for 99 images, but 10 are left"),
    ],
)
def test_more_images_than_there_are_is_refused(
    tmp_path: Path, changes: dict[str, int | None], message: str
) -> None:
    refused(tmp_path, rule(put(tmp_path / "pets", SPLIT), **changes), message)


def test_a_cut_archive_is_named(tmp_path: Path) -> None:
    tar = pack(put(tmp_path / "pets", SPLIT), "w:xz")
    tar.write_bytes(tar.read_bytes()[:-2000])

    refused(tmp_path, rule(tar), r"pets\.tar: not a readable tar, or cut short .*fetch")


def test_an_evaluation_set_may_give_val_its_images(tmp_path: Path) -> None:
    root = put(tmp_path / "pets", classes("cat dog", 9))
    folder = prepare(tmp_path, rule(root, train=None, val=6))
    parts = [contents(folder, split) for split in ("val", "test", "calibration")]

    assert read_index(folder).counts == {"train": 0, "val": 6, "test": 8, "calibration": 4}
    assert len(set.union(*parts)) == 18
    too_many = r"datasets\.pets\.val asks for 15 images, but 14 are left after calibration"
    refused(tmp_path / "more", rule(root, train=None, val=15), too_many)


def test_synsets_need_their_list(tmp_path: Path) -> None:
    root = put(tmp_path / "pets", classes("cat dog", 9))

    refused(tmp_path, rule(root, source="synsets"), r"holds no synsets\.txt; add it")


def test_signs_are_generated_with_even_classes(tmp_path: Path, spec: Preprocess) -> None:
    asked = rule(tmp_path, source="signs", size=32, train=60, val=20, test=40, calibration=25)
    folder = prepare(tmp_path, asked)
    again = prepare(tmp_path / "again", asked)

    assert read_index(folder).counts == {"train": 60, "val": 20, "test": 40, "calibration": 25}
    assert set(Counter(load_split(folder, "test", spec).labels.tolist()).values()) == {2}
    assert files.sha256_folder(folder) == files.sha256_folder(again)
    parts = [contents(folder, split) for split in ("train", "val", "test", "calibration")]
    assert len(set.union(*parts)) == 145
    refused(
        tmp_path / "none", rule(tmp_path, source="signs"), "train is 0 .*a generator has no end"
    )


def batches(root: Path, per_batch: int = 4, bad: dict[str, object] | None = None) -> Path:
    rng = np.random.default_rng(0)
    labels = [number % 2 for number in range(per_batch)]
    written: dict[str, object] = {"batches.meta": {b"label_names": [b"cat", b"dog"]}}
    for name in [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
        pixels = rng.integers(0, 256, (per_batch, 3072), dtype=np.uint8)
        written[name] = {b"data": pixels, b"labels": labels}
    written |= bad or {}
    return put(
        root, {f"cifar-10-batches-py/{name}": pickle.dumps(v, 2) for name, v in written.items()}
    )


def test_cifar_batches_become_images(tmp_path: Path) -> None:
    root = batches(tmp_path / "cifar")
    folder = prepare(tmp_path, rule(root, source="cifar10"))
    spec = Preprocess(height=32, width=32, mean=(0, 0, 0), std=(1, 1, 1))
    split: Split = load_split(folder, "test", spec)
    with (root / "cifar-10-batches-py" / "test_batch").open("rb") as stream:
        batch = pickle.load(stream)

    assert read_index(folder).counts == {"train": 18, "val": 2, "test": 4, "calibration": 4}
    first = batch[b"data"][0].reshape(3, 32, 32).transpose(1, 2, 0)
    assert split.names[0] == "cat/test_batch-00000.png"
    assert np.array_equal(split.images[0], first)


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path, ("/",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("test_batch", _Evil(), r"test_batch: not the pickled arrays .*asks for pathlib"),
        ("test_batch", {b"data": [1]}, r"test_batch: not a CIFAR-10 batch"),
        (
            "data_batch_2",
            {b"data": np.zeros((1, 3072), np.uint8), b"labels": [9]},
            r"data_batch_2: image 0: label 9 is not one of the 2",
        ),
    ],
)
def test_cifar_batches_with_anything_else_are_refused(
    tmp_path: Path, name: str, content: object, message: str
) -> None:
    root = batches(tmp_path / "cifar", bad={name: content})

    refused(tmp_path, rule(root, source="cifar10"), message)


def test_a_missing_cifar_batch_is_named(tmp_path: Path) -> None:
    root = batches(tmp_path / "cifar")
    (root / "cifar-10-batches-py" / "data_batch_3").unlink()

    refused(tmp_path, rule(root, source="cifar10"), "data_batch_3 is missing; unpack")


@pytest.mark.slow
def test_real_cifar10(tmp_path: Path, shared: Path) -> None:
    asked = rule(
        shared / "cifar10.tar.xz", source="cifar10", train=100, val=20, test=50, calibration=20
    )
    folder = prepare(tmp_path, asked)
    spec = Preprocess(height=32, width=32, mean=(0, 0, 0), std=(1, 1, 1))

    assert read_index(folder).counts == {"train": 100, "val": 20, "test": 50, "calibration": 20}
    assert set(Counter(load_split(folder, "calibration", spec).labels.tolist()).values()) == {2}
    assert read_index(folder).labels[:2] == ["airplane", "automobile"]


def test_real_imagenet_images(tmp_path: Path, shared: Path) -> None:
    tar = shared / "imagenet200.tar"
    folder = prepare(
        tmp_path, rule(tar, source="synsets", train=None, val=None, test=40, calibration=48)
    )
    index = read_index(folder)

    assert len(index.labels) == 1000
    assert index.counts == {"train": 0, "val": 0, "test": 40, "calibration": 48}
    assert not contents(folder, "test") & contents(folder, "calibration")


def test_files_that_only_look_like_tars_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pets.tar"
    path.write_bytes(b"not a tar" * 200)

    refused(tmp_path, rule(path), r"pets\.tar: not a readable tar")
