from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from edgesmith import files
from edgesmith.data.classify.store import Sample, load_split, write_dataset
from edgesmith.data.index import read_index
from edgesmith.errors import DataError
from edgesmith.preprocess import Preprocess, decode_image, fit
from tests.data.conftest import picture

LABELS = ["cat", "dog"]


def samples(count: int) -> list[Sample]:
    return [Sample(k % 2, f"{k:02d}.png", picture(k)) for k in range(count)]


def store(folder: Path, train: list[Sample]) -> Path:
    write_dataset(folder, LABELS, {"train": train, "test": samples(4)}, "a test")
    return folder


def test_what_was_written_is_read_back(tmp_path: Path, spec: Preprocess) -> None:
    folder = store(tmp_path / "pets", samples(6))
    split = load_split(folder, "train", spec)

    assert split.images.shape == (6, 16, 24, 3)
    assert split.labels.dtype == np.int64
    assert list(split.labels) == [0, 1, 0, 1, 0, 1]
    assert split.names[:2] == ["cat/00.png", "dog/01.png"]
    assert np.array_equal(split.images[1], fit(decode_image(picture(1), "dog"), spec))
    assert read_index(folder).counts == {"train": 6, "val": 0, "test": 4, "calibration": 0}
    assert read_index(folder).labels == LABELS


def test_bytes_depend_neither_on_order_nor_on_time(tmp_path: Path) -> None:
    first = store(tmp_path / "first", samples(6))
    again = store(tmp_path / "again", samples(6)[::-1])

    assert files.sha256_folder(first) == files.sha256_folder(again)
    with tarfile.open(first / "train.tar") as tar:
        assert all(m.mtime == m.uid == m.gid == 0 and not m.uname for m in tar)


def test_the_first_images_of_a_split_are_of_all_classes(tmp_path: Path, spec: Preprocess) -> None:
    uneven = [Sample(0, f"{k}.png", picture(k)) for k in range(5)] + samples(2)[1:]
    split = load_split(store(tmp_path / "pets", uneven), "train", spec)

    assert list(split.labels) == [0, 1, 0, 0, 0, 0]


def test_an_empty_split_is_an_empty_array(tmp_path: Path, spec: Preprocess) -> None:
    split = load_split(store(tmp_path / "pets", []), "train", spec)

    assert split.images.shape == (0, 16, 24, 3)
    assert len(split) == 0


def test_a_failure_leaves_the_earlier_dataset(tmp_path: Path) -> None:
    folder = store(tmp_path / "pets", samples(6))
    before = files.sha256_folder(folder)

    with pytest.raises(DataError, match=r"two images are named cat/a\.png; rename"):
        store(folder, [Sample(0, "a.png", picture(0)), Sample(0, "a.png", picture(1))])
    assert files.sha256_folder(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


def test_a_missing_dataset_names_file_and_remedy(tmp_path: Path, spec: Preprocess) -> None:
    with pytest.raises(DataError, match=r"pets/dataset\.json: cannot be read.*dvc repro"):
        load_split(tmp_path / "pets", "test", spec)


def test_an_unknown_split_names_the_known_ones(tmp_path: Path, spec: Preprocess) -> None:
    with pytest.raises(DataError, match="no split 'dev'; it has train, val, test, calibration"):
        load_split(store(tmp_path / "pets", samples(2)), "dev", spec)


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_a_damaged_tar_is_refused(tmp_path: Path, spec: Preprocess, damage: str) -> None:
    path = store(tmp_path / "pets", samples(2)) / "test.tar"
    content = bytearray(path.read_bytes())
    content[600] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(bytes(content if damage == "changed" else content[:700]))

    with pytest.raises(DataError, match=r"test\.tar: .*dvc pull"):
        load_split(path.parent, "test", spec)


def test_an_index_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = store(tmp_path / "pets", samples(2))
    index = folder / "dataset.json"
    index.write_text(index.read_text().replace('"version": 1', '"version": 9'))

    with pytest.raises(DataError, match=r"dataset\.json: version: "):
        read_index(folder)
