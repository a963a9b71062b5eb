"""Against a DVC checkout with a local remote, by DVC's own commands."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgesmith.deliver import keys, pull
from edgesmith.deliver.errors import KeyFileError, PublishError
from edgesmith.deliver.source.source import open_source
from edgesmith.deliver.store import Store
from edgesmith.device.catalogue import reader
from edgesmith.publish import publish as publishing
from edgesmith.publish.publish import Published, Request
from tests.checkout import PARAMS
from tests.deliver.publisher import make

STAGES = """\
stages:
  export@{variant}:
    wdir: ../..
    cmd: mkdir -p artifacts/{variant} && cp -r built/{variant}/onnx artifacts/{variant}/onnx
    deps: [built/{variant}]
    outs: [artifacts/{variant}/onnx]
"""


def _dvc(folder: Path, *words: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *map(str, words)],
        cwd=folder,
        env={**os.environ, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose pipeline lies in a folder of its own, as ours do; pushed."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "params.yaml").write_text(PARAMS)
    make(folder / "built", variant="base")
    pipeline = folder / "pipelines/onnx"
    pipeline.mkdir(parents=True)
    (pipeline / "dvc.yaml").write_text(STAGES.format(variant="base").replace("@", "-"))
    _dvc(folder, "init", "--no-scm")
    _dvc(folder, "remote", "add", "-d", "store", "../remote")
    _dvc(folder, "repro", "-q", "pipelines/onnx/dvc.yaml")
    _dvc(folder, "push", "-q")
    cv2.imwrite(str(folder / "golden.png"), np.full((20, 30, 3), (10, 200, 90), np.uint8))
    keys.make(folder / "publish.key")
    return folder


@pytest.fixture
def checkout(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "checkout")
    shutil.copytree(built / "../remote", tmp_path / "remote")
    return tmp_path / "checkout"


def _publish(checkout: Path, **changes: object) -> Published:
    request = Request(checkout, [checkout / "publish.key"], golden=checkout / "golden.png")
    return publishing.publish(request._replace(**changes), lambda _: None)


def test_what_is_published_can_be_pulled(checkout: Path, tmp_path: Path) -> None:
    done = _publish(checkout)
    assert done.path == tmp_path / "remote/edgesmith/manifest.json" and done.beside_remote
    (artifact,) = done.manifest.artifacts
    assert artifact.key == "base/onnx" and artifact.golden.engine.startswith("onnxruntime")
    store = Store(tmp_path / "store")
    request = pull.Request(
        reader.read("host"), {"arch": "x86_64"}, key=done.key_texts[0], quiet=True
    )
    pulled = pull.pull(store, open_source(str(tmp_path / "remote")), request, lambda _: None)
    assert pulled.release.artifacts["base"].test.sqnr_db == 200
    own = sorted((checkout / "artifacts/base/onnx").iterdir())
    assert [path.read_bytes() for path in own] == [
        path.read_bytes() for path in sorted(store.current().iterdir())
    ]
    assert _publish(checkout).manifest.serial > done.manifest.serial


def test_artifact_that_is_not_in_the_remote_is_refused(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "remote/files")
    with pytest.raises(PublishError, match="dvc push artifacts/base/onnx"):
        _publish(checkout)
    done = _publish(checkout, cache=True)
    assert done.path == checkout / ".dvc/cache/edgesmith/manifest.json"


def test_object_that_is_damaged_in_the_remote_is_refused(checkout: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "remote/files").rglob("*"):
        if path.is_file() and path.suffix != ".dir":
            path.chmod(0o644)
            path.write_bytes(path.read_bytes() + b" ")
            path.chmod(0o444)  # as DVC left it, which it then does not look into again
    with pytest.raises(PublishError, match=r"its MD5 is .* and dvc.lock says"):
        _publish(checkout)


@pytest.mark.parametrize("what", ["built/base/onnx/model.onnx", "artifacts/base/onnx/model.onnx"])
def test_artifact_that_differs_from_its_lock_is_refused(checkout: Path, what: str) -> None:
    path = checkout / what
    path.unlink()
    path.write_bytes(b"other")
    with pytest.raises(PublishError, match=r"differ from what dvc\.lock says"):
        _publish(checkout)


@pytest.mark.slow
def test_artifacts_alone_are_enough_to_publish(checkout: Path) -> None:
    shutil.rmtree(checkout / "built")
    assert _publish(checkout).manifest.default == "base"


def test_variant_that_nobody_made_is_refused(checkout: Path) -> None:
    with pytest.raises(PublishError, match="there are base"):
        _publish(checkout, variants=["absent"])


def test_self_test_needs_an_image(checkout: Path) -> None:
    with pytest.raises(PublishError, match=r"dvc pull .*data/signs, or name an image"):
        _publish(checkout, golden=None)


@pytest.mark.slow
def test_publication_somewhere_else_is_said(checkout: Path, tmp_path: Path) -> None:
    done = _publish(checkout, output=tmp_path / "out")
    assert not done.beside_remote and done.path == tmp_path / "out/edgesmith/manifest.json"
    content = json.loads(done.path.read_text())
    assert set(content) == {"payloadType", "payload", "signatures"}


def test_key_that_is_not_there_is_said_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="edgesmith publish --new-key"):
        publishing.publish(Request(tmp_path, [tmp_path / "no.key"]), lambda _: None)
