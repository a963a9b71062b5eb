from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgesmith.data.index import DatasetIndex, read_index
from edgesmith.errors import DataError

SPLIT = {"images": 3, "sha256": "0" * 64}


def write(folder: Path, **changes: Any) -> Path:
    content = {"version": 1, "source": "a test", "labels": ["cat"], "splits": {"test": SPLIT}}
    (folder / "dataset.json").write_text(json.dumps(content | changes))
    return folder


def test_an_index_without_a_task_is_of_images_with_a_class_each(tmp_path: Path) -> None:
    index = read_index(write(tmp_path))

    assert (index.task, index.labels, index.counts) == ("classify", ["cat"], {"test": 3})


def test_an_index_says_its_task(tmp_path: Path) -> None:
    index = read_index(write(tmp_path, task="detect"))

    assert index.task == "detect"
    assert DatasetIndex.model_validate(index.model_dump(mode="json")) == index


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "segment"}, "task: "),
        ({"version": 2}, "version: "),
        ({"splits": {"test": SPLIT | {"images": -1}}}, r"splits\.test\.images: "),
        ({"splits": {"test": SPLIT | {"sha256": "0"}}}, r"splits\.test\.sha256: "),
        ({"size": 3}, "size: "),
    ],
    ids=str,
)
def test_what_no_index_says_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"dataset\.json: {message}.*dvc pull"):
        read_index(write(tmp_path, **changes))
