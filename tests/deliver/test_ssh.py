import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ssh.loopback import Loopback, loopback, why_not
from edgesmith.deliver import selftest
from edgesmith.deliver.errors import MissingError, SourceError, TransferError
from edgesmith.deliver.source.source import open_source
from edgesmith.remote.connection import CONFIG
from tests.deliver.conftest import WEIGHT, Pull
from tests.deliver.publisher import Publisher, big
from tests.deliver.test_pull import PASSED


@pytest.fixture(scope="module")
def host() -> Iterator[Loopback]:
    if why := why_not():
        pytest.skip(why)
    if shutil.which("sftp") is None:
        pytest.skip("no sftp; apt-get install openssh-client")
    with loopback() as started:
        yield started


@pytest.fixture
def address(host: Loopback, published: Publisher, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a copy of the remote on the host, in a folder with a space, a quote and a bracket."""
    monkeypatch.setenv(CONFIG, str(host.config))
    monkeypatch.setattr(selftest, "test", lambda *_: PASSED)
    folder = host.home / 're"mo [te'
    shutil.copytree(published.remote, folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    yield f"ssh://{host.account}@127.0.0.1:{host.port}{folder}".replace(" ", "%20")
    shutil.rmtree(folder)


def test_whole_artifact_over_ssh(address: str, pull_: Pull) -> None:
    done = pull_(address)
    assert done.changed and done.received_bytes > WEIGHT


def test_begun_file_is_gone_on_with_over_ssh(
    address: str, published: Publisher, tmp_path: Path
) -> None:
    wanted = big(published.last())
    content = (published.remote / wanted.place).read_bytes()
    part = tmp_path / "part"
    for begun in (b"", content[:300_000], content):
        part.write_bytes(begun)
        seen: list[int] = []
        open_source(address).fetch(wanted.place, part, WEIGHT, seen.append)
        assert part.read_bytes() == content
        assert all(position > len(begun) for position in seen)


def test_file_longer_than_signed_stops_at_its_size_over_ssh(
    address: str, published: Publisher, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    place = big(published.last()).place
    with pytest.raises(SourceError, match="longer than the 5,000 bytes"):
        open_source(address).fetch(place, part, 5000, lambda _: None)
    assert part.stat().st_size <= 5120  # ulimit counts blocks on some systems


def test_what_is_not_there_or_not_known_is_said(
    address: str, host: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingError, match="files/md5/00/00"):
        open_source(address).fetch("files/md5/00/00", tmp_path / "part", 10, lambda _: None)
    monkeypatch.setenv(CONFIG, str(host.write_config("stranger", "")))
    with pytest.raises(SourceError, match="its host key is unknown here"):
        open_source(address).fetch("files/md5/00/00", tmp_path / "part", 10, lambda _: None)
    monkeypatch.setenv(CONFIG, os.devnull)
    with pytest.raises((SourceError, TransferError)):
        open_source("ssh://127.0.0.1:9/x").fetch("x", tmp_path / "part", 10, lambda _: None)
