"""Against moto, which speaks S3's own protocol over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from edgesmith.deliver import selftest
from edgesmith.deliver.errors import MissingError, SourceError
from edgesmith.deliver.source.source import open_source
from tests.deliver.conftest import WEIGHT, Pull
from tests.deliver.publisher import Publisher, big
from tests.deliver.test_pull import PASSED


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, published: Publisher, monkeypatch: pytest.MonkeyPatch) -> str:
    """The remote's files in a bucket, below a prefix."""
    monkeypatch.setattr(selftest, "test", lambda *_: PASSED)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-reader")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="models")
    for path in published.remote.rglob("*"):
        if path.is_file():
            name = f"dvc/remote/{path.relative_to(published.remote).as_posix()}"
            client.put_object(Bucket="models", Key=name, Body=path.read_bytes())
    return "s3://models/dvc/remote"


def test_whole_artifact_from_s3(bucket: str, pull_: Pull) -> None:
    done = pull_(bucket)
    assert done.changed and done.received_bytes > WEIGHT


def test_begun_object_is_gone_on_with_from_s3(
    bucket: str, published: Publisher, tmp_path: Path
) -> None:
    wanted = big(published.last())
    content = (published.remote / wanted.place).read_bytes()
    part = tmp_path / "part"
    part.write_bytes(content[:300_000])
    seen: list[int] = []
    open_source(bucket).fetch(wanted.place, part, WEIGHT, seen.append)
    assert part.read_bytes() == content and min(seen) > 300_000


def test_object_that_s3_has_not_is_named(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="s3://models/dvc/remote/files"):
        open_source(bucket).fetch("files/md5/00/11", tmp_path / "part", 10, lambda _: None)


def test_request_is_signed_and_the_secret_stays_here(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(bucket)
    url = source._url("files/md5/00/11")
    assert "X-Amz-Signature=" in url and "secret-of-reader" not in url
    assert "X-Amz" not in str(source)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "host:9000")
    with pytest.raises(SourceError, match="write https://host:port"):
        open_source(bucket)


def test_bucket_without_credentials_is_asked_for_as_anybody(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "X-Amz" not in open_source(bucket)._url("files/md5/00/11")
