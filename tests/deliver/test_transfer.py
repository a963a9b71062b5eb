import pytest

from edgesmith.deliver import selftest
from edgesmith.deliver.errors import MissingError, ObjectError, SourceError, TransferError
from edgesmith.deliver.source.source import open_source
from edgesmith.deliver.store import Store
from tests.deliver.conftest import WEIGHT, Pull
from tests.deliver.publisher import Publisher, big
from tests.deliver.server import Web
from tests.deliver.test_pull import PASSED


@pytest.fixture(autouse=True)
def _untested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "test", lambda *_: PASSED)


def _place(publisher: Publisher) -> str:
    return big(publisher.last()).place


def test_whole_artifact_over_http(published: Publisher, web: Web, pull_: Pull) -> None:
    done = pull_(web.address)
    assert done.changed and done.received_bytes == sum(
        part.size_bytes for part in published.last().objects
    )


def test_cut_transfer_goes_on_where_it_broke(published: Publisher, web: Web, pull_: Pull):
    web.cuts = [300_000, 200_000]
    assert pull_(web.address).changed
    asked = [ranges for path, ranges in web.seen if path == f"/{_place(published)}"]
    assert asked == ["", "bytes=300000-", "bytes=500000-"]
    assert WEIGHT <= web.sent < WEIGHT + 10_000  # no byte of it twice


def test_server_without_ranges_sends_it_all_again(published: Publisher, web: Web, pull_: Pull):
    web.ranges = False
    web.cuts = [300_000]
    assert pull_(web.address).changed
    assert web.sent > WEIGHT + 300_000


def test_pull_that_gave_up_is_gone_on_with_by_the_next(
    published: Publisher, web: Web, pull_: Pull, store: Store
) -> None:
    web.cuts = [400_000, 0, 0, 0, 0]
    with pytest.raises(TransferError, match="broke"):
        pull_(web.address, attempts=2)
    web.cuts = []
    done = pull_(web.address)
    assert done.resumed_bytes == 400_000
    assert not list(store.partial.iterdir())


def test_rest_of_another_content_is_thrown_away(
    published: Publisher, web: Web, pull_: Pull, store: Store
) -> None:
    with store.lock():
        wanted = big(published.last())
        (store.partial / wanted.sha256).write_bytes(b"x" * 1000)
    assert pull_(web.address).changed
    assert [r for path, r in web.seen if path == f"/{wanted.place}"] == ["bytes=1000-", ""]


def test_corrupted_object_is_fetched_twice_and_then_refused(
    published: Publisher, web: Web, pull_: Pull, store: Store
) -> None:
    path = published.remote / _place(published)
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ObjectError, match="twice not the content that was published"):
        pull_(web.address)
    assert len([p for p, _ in web.seen if p == f"/{_place(published)}"]) == 2
    assert store.active() is None


@pytest.mark.parametrize("over_http", [True, False])
def test_object_longer_than_signed_is_cut_at_its_size(
    published: Publisher, web: Web, pull_: Pull, store: Store, over_http: bool
) -> None:
    with (published.remote / _place(published)).open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(SourceError, match="longer than the 1,000,000 bytes"):
        pull_(web.address if over_http else published.remote)
    assert all(path.stat().st_size <= WEIGHT for path in store.partial.iterdir())


def test_shortened_object_is_refused(published: Publisher, pull_: Pull) -> None:
    path = published.remote / _place(published)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises((ObjectError, TransferError)):
        pull_()


def test_object_that_is_gone_is_named(published: Publisher, web: Web, pull_: Pull) -> None:
    (published.remote / _place(published)).unlink()
    for address in (web.address, published.remote):
        with pytest.raises(MissingError, match=_place(published)):
            pull_(address)


def test_busy_server_is_asked_again(published: Publisher, web: Web, pull_: Pull) -> None:
    web.statuses = [503]
    assert pull_(web.address).changed


def test_server_that_refuses_says_what_is_sent(published: Publisher, web: Web, pull_: Pull) -> None:
    web.statuses = [401]
    with pytest.raises(SourceError, match="EDGESMITH_AUTHORIZATION"):
        pull_(web.address)


def test_server_that_is_not_there_is_given_up(published: Publisher, pull_: Pull) -> None:
    with pytest.raises(TransferError, match="no answer"):
        pull_("http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("ftp://host/path", "cannot fetch from ftp://"),
        ("http://user:secret@host/path", "a password in an address"),
        ("https:///path", "names no host"),
        ("ssh://host", "names no folder"),
        ("ssh://-oProxyCommand=x/path", "cannot be part of a target"),
        ("/no/such/folder", "no such folder"),
        ("s3://", "write s3://bucket/prefix"),
    ],
)
def test_impossible_address_is_refused_with_the_remedy(address: str, says: str) -> None:
    with pytest.raises(Exception, match=says) as caught:
        open_source(address)
    assert "secret" not in str(caught.value)
