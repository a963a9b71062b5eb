import base64
import errno
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgesmith import contract as contracts
from edgesmith.deliver import golden, manifest, pull, selftest
from edgesmith.deliver.errors import (
    DeliverError,
    KeyFileError,
    ManifestError,
    SelfTestError,
    SignatureError,
    SpaceError,
    StoreError,
)
from edgesmith.deliver.store import Store
from tests.deliver.conftest import WEIGHT, Pull
from tests.deliver.publisher import Publisher, big, make

PASSED = selftest.Tested(200.0, 1.0, 1.0, "not run")


@pytest.fixture
def untested(monkeypatch: pytest.MonkeyPatch) -> None:
    """The self-test is another test's subject; it takes a process and a second."""
    monkeypatch.setattr(selftest, "test", lambda *_: PASSED)


def test_pull_activates_an_artifact_that_runs(published: Publisher, store: Store, pull_: Pull):
    done = pull_()
    assert done.changed and done.release.number == 1
    assert store.root.joinpath("current").resolve() == store.current() == store.current("tiny")
    assert contracts.verify(store.current()).variant == "tiny"
    test = done.release.artifacts["tiny"].test
    assert test.sqnr_db == 200 and test.engine.startswith("onnxruntime")
    again = pull_(key=None)  # the key was given once
    assert not again.changed and again.received_bytes == 0


def test_artifact_with_another_output_stays_inactive(
    publisher: Publisher, store: Store, pull_: Pull, tmp_path: Path
) -> None:
    first = publisher.artifact(make(tmp_path / "first"))
    publisher.publish(first)
    pull_()
    before = store.current()
    quantized = contracts.read(make(tmp_path / "second", seed=1))
    assert quantized.variant == "tiny"
    second = publisher.artifact(tmp_path / "second/tiny/onnx")
    lie = publisher.put_object(_negated(publisher, second))
    changed = second.golden.model_copy(update={"output": lie})
    publisher.publish(second.model_copy(update={"golden": changed}))
    with pytest.raises(SelfTestError, match="another output here"):
        pull_()
    assert store.current() == before and contracts.verify(before)
    assert store.kept() == [store.active()]


def _negated(publisher: Publisher, artifact: manifest.Artifact) -> bytes:
    return golden.encode(-golden.decode(publisher.remote / artifact.golden.output.place))


def test_runtime_that_crashes_fails_the_self_test_alone(
    published: Publisher, pull_: Pull, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(
        "import os, sys, signal\n"
        "if 'edgesmith.deliver.selftest' in ' '.join(sys.orig_argv):\n"
        "    os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    with pytest.raises(SelfTestError, match="SIGSEGV"):
        pull_()


@pytest.mark.usefixtures("untested")
def test_rollback_goes_back_one_step_and_is_not_undone_by_the_next_pull(
    publisher: Publisher, store: Store, pull_: Pull, tmp_path: Path
) -> None:
    for seed in (1, 2):
        publisher.publish(publisher.artifact(make(tmp_path / str(seed), seed=seed)))
        pull_()
    former, now = pull.roll_back(store)
    assert (former.number, now.number) == (2, 1) and store.active() == now
    with pytest.raises(ManifestError, match="rolled back from"):
        pull_()
    with pytest.raises(StoreError, match="no release before 1"):
        pull.roll_back(store)
    publisher.publish(publisher.artifact(make(tmp_path / "3", seed=3)))
    assert pull_().release.number == 3
    assert [release.number for release in store.kept()] == [1, 3]


@pytest.mark.usefixtures("untested")
def test_old_releases_go_and_their_objects_with_them(
    publisher: Publisher, store: Store, pull_: Pull, tmp_path: Path
) -> None:
    for seed in range(4):
        publisher.publish(publisher.artifact(make(tmp_path / str(seed), seed=seed)))
        pull_(keep=2)
    assert [release.number for release in store.kept()] == [3, 4]
    objects = {path.parent.name + path.name for path in store.root.glob("objects/sha256/*/*")}
    assert objects == set.union(*(release.hashes for release in store.kept()))


@pytest.mark.usefixtures("untested")
def test_variant_that_is_asked_for_joins_what_is_there(
    publisher: Publisher, store: Store, pull_: Pull, tmp_path: Path
) -> None:
    artifacts = [
        publisher.artifact(make(tmp_path / name, variant=name)) for name in ("tiny", "other")
    ]
    publisher.publish(*artifacts)
    done = pull_(variant="tiny")
    assert list(done.release.artifacts) == ["tiny"]
    assert done.skipped == {"other/onnx": "not asked for (--variant tiny)"}
    assert pull_(variant="other").release.default == "other"
    assert store.current("tiny").name == "tiny" and store.current().name == "other"
    with pytest.raises(StoreError, match="has no 'absent', it has other, tiny"):
        store.current("absent")


@pytest.mark.usefixtures("untested")
def test_files_are_copied_where_there_are_no_hard_links(
    published: Publisher, store: Store, pull_: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "as FAT answers")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert pull_().changed
    assert (store.current() / "notes.bin").stat().st_nlink == 1
    monkeypatch.setattr(Store, "free_bytes", lambda _: 2_500_000)  # enough for one of the two
    published.publish(published.artifact(make(store.root / "../next", weight=WEIGHT, seed=1)))
    with pytest.raises(SpaceError, match=r"3\.1 MB are needed"):
        pull_()


@pytest.mark.usefixtures("untested")
def test_damaged_file_of_the_active_release_is_fetched_again(
    published: Publisher, store: Store, pull_: Pull
) -> None:
    pull_()
    file = store.current() / "notes.bin"
    file.chmod(0o644)
    file.write_bytes(b"x" * file.stat().st_size)
    done = pull_()
    assert done.changed and done.release.number == 2
    assert contracts.verify(store.current())


@pytest.mark.usefixtures("untested")
def test_older_manifest_is_refused_unless_asked_for(published: Publisher, pull_: Pull):
    path = published.remote / manifest.PATH
    old = path.read_bytes()
    artifact = published.last()
    published.publish(artifact)
    pull_()
    path.write_bytes(old)
    with pytest.raises(ManifestError, match=r"serial 1 .* has seen serial 2"):
        pull_()
    assert not pull_(allow_older=True).changed


@pytest.mark.usefixtures("untested")
def test_expired_manifest_is_refused_unless_asked_for(published: Publisher, pull_: Pull):
    published.publish(published.last(), expires=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(ManifestError, match="expired on"):
        pull_()
    assert pull_(allow_older=True).changed


def test_nothing_is_fetched_without_a_trusted_key(
    published: Publisher, store: Store, pull_: Pull, tmp_path: Path
) -> None:
    with pytest.raises(SignatureError, match="trusts no key yet"):
        pull_(key=None)
    other = Publisher(tmp_path / "elsewhere", "other")
    with pytest.raises(SignatureError, match="if the publisher has a new key"):
        pull_(key=other.public)
    with pytest.raises(KeyFileError, match="not a public key"):
        pull_(key="ed25519:AAAA")
    for key in (str(tmp_path / "absent.pub"), "x" * 5000):
        with pytest.raises(KeyFileError, match="neither a line that begins with ed25519:"):
            pull_(key=key)
    assert not list(store.root.glob("keys/*")) and not list(store.root.glob("objects/*"))


def test_manifest_that_was_changed_is_refused(published: Publisher, pull_: Pull):
    path = published.remote / manifest.PATH
    sealed = json.loads(path.read_bytes())
    payload = base64.b64decode(sealed["payload"]).replace(b'"serial":1', b'"serial":9')
    sealed["payload"] = base64.b64encode(payload).decode()
    path.write_text(json.dumps(sealed))
    with pytest.raises(SignatureError, match="changed after it was signed"):
        pull_()


def test_device_that_runs_none_of_it_is_told_why(published: Publisher, store: Store, pull_: Pull):
    published.publish(published.last().model_copy(update={"format": "hef"}))
    with pytest.raises(DeliverError, match="tiny/hef: host does not take hef; it takes onnx"):
        pull_()


@pytest.mark.usefixtures("untested")
def test_manifest_that_promises_another_target_than_the_contract_is_refused(
    published: Publisher, pull_: Pull
) -> None:
    published.publish(published.last().model_copy(update={"precision": "int8"}))
    with pytest.raises(ManifestError, match="precision 'int8', its contract 'fp32'"):
        pull_()


def test_second_pull_into_a_store_in_use_is_refused(
    published: Publisher, store: Store, pull_: Pull
) -> None:
    with store.lock(), pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
        pull_()


def test_full_disk_is_known_before_anything_is_fetched(
    published: Publisher, pull_: Pull, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root alone")
    small = tmp_path / "small"
    small.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", small], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no tmpfs here: {done.stderr.decode().strip()}")
    try:
        with pytest.raises(SpaceError, match=r"2\.1 MB are needed and 1\.0 MB are free"):
            pull_(store=Store(small))
        assert not list(small.glob("partial/[0-9a-f]*"))
    finally:
        subprocess.run(["umount", small], check=True)


def test_disk_that_fills_meanwhile_stops_the_pull_and_what_came_is_used_later(
    published: Publisher, pull_: Pull, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root alone")
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no tmpfs here")
    held = Store(small)
    try:
        monkeypatch.setattr(Store, "free_bytes", lambda _: 1 << 40)  # as if another wrote since
        with pytest.raises(SpaceError, match="the disk became full"):
            pull_(store=held)
        subprocess.run(["mount", "-o", "remount,size=8M", small], check=True)
        done = pull_(store=held)
        assert done.changed and done.resumed_bytes > 500_000
        assert done.resumed_bytes + done.received_bytes < 1_010_000
        assert big(published.last()).size_bytes == 1_000_000
    finally:
        subprocess.run(["umount", small], check=True)
