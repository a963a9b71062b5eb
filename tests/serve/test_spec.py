import re
from pathlib import Path

import pytest

from edgesmith.serve.errors import SourceError
from edgesmith.serve.sources import spec
from edgesmith.serve.sources.spec import parse


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "street.mp4").touch()
    (tmp_path / "images").mkdir()
    (tmp_path / "images/b.png").touch()
    (tmp_path / "images/a.jpg").touch()
    (tmp_path / "images/notes.txt").touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "kind", "address"),
    [
        ("synthetic", "synthetic", ""),
        ("picamera", "picamera", ""),
        ("rtsp://me:word@10.0.0.2/live", "stream", "rtsp://me:word@10.0.0.2/live"),
        ("http://10.0.0.2/mjpeg", "stream", "http://10.0.0.2/mjpeg"),
        ("street.mp4", "video", "street.mp4"),
        ("images", "folder", "images"),
    ],
)
def test_kind_of_source_is_seen_from_its_name(
    here: Path, text: str, kind: str, address: str
) -> None:
    found = parse(text, width=320, height=240)
    assert (found.kind, found.address, found.width) == (kind, address, 320)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("street.avi", "no such file.*a source is /dev/video0"),
        ("empty", "no .jpg.* file in this folder"),
        ("ftp://host/a.mp4", "ftp:// is none of rtsp"),
        ("camera:93", "there is no /dev/video93"),
        ("93", "there is no /dev/video93"),
        ("/dev/video93", "there is no /dev/video93;.*(no camera is attached|present: )"),
    ],
)
def test_source_that_cannot_be_says_why_and_what_would_do(
    here: Path, text: str, words: str
) -> None:
    with pytest.raises(SourceError) as error:
        parse(text)
    assert re.search(words, str(error.value)), error.value


def test_options_that_cannot_be_are_named() -> None:
    with pytest.raises(SourceError, match=r"width: .*greater than or equal to 16"):
        parse("synthetic", width=2)


def test_images_of_a_folder_come_by_name(here: Path) -> None:
    assert [path.name for path in spec.images(here / "images")] == ["a.jpg", "b.png"]
