import json
from pathlib import Path

import pytest

from edgesmith.errors import DataError
from edgesmith.soak import rows
from tests.soak.recording import head, row


def _written(folder: Path, count: int) -> Path:
    with rows.Writer(folder, head()) as writer:
        for number in range(count):
            writer.add(row(2.0 * (number + 1)))
    return folder / rows.NAME


def test_what_is_written_is_read(tmp_path: Path) -> None:
    _written(tmp_path / "run", 3)
    assert rows.read(tmp_path / "run") == rows.Recording(head(), [row(2), row(4), row(6)])


def test_every_row_is_on_the_disk_before_the_next(tmp_path: Path) -> None:
    with rows.Writer(tmp_path, head()) as writer:
        writer.add(row(2))
        assert len(rows.read(tmp_path).rows) == 1


def test_row_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = _written(tmp_path, 3)
    path.write_text(path.read_text()[:-20])
    assert [found.elapsed_s for found in rows.read(tmp_path).rows] == [2, 4]


def test_damaged_row_in_the_middle_is_named(tmp_path: Path) -> None:
    path = _written(tmp_path, 3)
    lines = path.read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | {"inferences": 0})
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"soak\.jsonl:3: inferences"):
        rows.read(tmp_path)


def test_run_that_was_killed_before_it_began_is_named(tmp_path: Path) -> None:
    (tmp_path / rows.NAME).write_text('{"version": 1, "sta')
    with pytest.raises(DataError, match="before it began"):
        rows.read(tmp_path)


def test_folder_with_a_run_is_not_written_to_again(tmp_path: Path) -> None:
    path = _written(tmp_path, 1)
    before = path.read_bytes()
    with pytest.raises(DataError, match="would have cooled; name another --out"):
        rows.Writer(tmp_path, head())
    assert path.read_bytes() == before


def test_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="not an empty folder"):
        rows.Writer(tmp_path, head())


def test_missing_folder_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="name the folder of a soak run"):
        rows.read(tmp_path / "nowhere")
