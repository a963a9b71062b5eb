import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesmith.deliver import envelope, keys, manifest
from edgesmith.deliver.errors import KeyFileError, ManifestError, SignatureError

HASH = "0" * 64


def _value(**changes: object) -> dict:
    place = f"edgesmith/objects/{HASH}"
    golden = {
        "image": {"sha256": HASH, "size_bytes": 1, "place": place},
        "output": {"sha256": HASH, "size_bytes": 1, "place": place},
        "min_sqnr_db": 40,
        "engine": "engine-1",
    }
    artifact = {
        "variant": "tiny",
        "format": "onnx",
        "task": "classify",
        "model": "tiny",
        "precision": "fp32",
        "target": "any",
        "files": [
            {
                "name": name,
                "sha256": digit * 64,
                "size_bytes": 2,
                "place": f"files/md5/00/{'1' * 30}",
            }
            for name, digit in (("contract.json", "1"), ("model.onnx", "2"))
        ],
        "golden": golden,
    }
    return {
        "version": 1,
        "serial": 1,
        "created": "2026-11-25T12:00:00Z",
        "default": "tiny",
        "artifacts": [artifact],
        **changes,
    }


def _parse(value: object) -> manifest.Manifest:
    return manifest.parse(json.dumps(value).encode(), "test")


def test_canonical_bytes_are_those_of_their_own_parsing() -> None:
    made = _parse(_value())
    content = manifest.canonical(made)
    assert manifest.canonical(manifest.parse(content, "test")) == content
    assert b" " not in content and content.index(b'"artifacts"') < content.index(b'"version"')


ESCAPES = ["../evil", "/etc/passwd", "a/b", "..", ".hidden", "", "a\0b", "a\nb", "a" * 200, "ü"]


@pytest.mark.parametrize("name", ESCAPES)
def test_no_name_leads_out_of_the_store(name: str) -> None:
    for key in ("variant", "format"):
        value = _value()
        value["artifacts"][0][key] = name
        with pytest.raises(ManifestError):
            _parse(value)
    value = _value()
    value["artifacts"][0]["files"][1]["name"] = name
    with pytest.raises(ManifestError):
        _parse(value)


@pytest.mark.parametrize(
    "place", ["../../secret", "/etc/passwd", "files/md5/../../x", "files/md5/00/x?y", "edgesmith/x"]
)
def test_no_place_leads_out_of_the_source(place: str) -> None:
    value = _value()
    value["artifacts"][0]["files"][0]["place"] = place
    with pytest.raises(ManifestError, match="place"):
        _parse(value)


@pytest.mark.parametrize(
    ("path", "wrong", "says"),
    [
        (("version",), 2, "version 2, and this edgesmith reads version 1; pip install --upgrade"),
        (("serial",), 0, "serial"),
        (("default",), "absent", "not among the artifacts"),
        (("created",), "2026-11-25T12:00:00", "created"),
        (("more",), 1, "more"),
        (("artifacts", 0, "files", 1, "size_bytes"), 1 << 40, "size_bytes"),
        (("artifacts", 0, "files", 1, "size_bytes"), -1, "size_bytes"),
        (("artifacts", 0, "files", 1, "sha256"), HASH, "two sizes for one content"),
        (("artifacts", 0, "files", 1, "name"), "contract.json", "distinct"),
        (("artifacts", 0, "golden", "output", "size_bytes"), 1 << 30, "bytes for a self-test"),
    ],
)
def test_what_cannot_be_is_refused(path: tuple, wrong: object, says: str) -> None:
    value = _value()
    place = value
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = wrong
    with pytest.raises(ManifestError, match=says):
        _parse(value)


@given(st.binary(max_size=200))
def test_bytes_of_no_manifest_are_refused_and_never_a_crash(content: bytes) -> None:
    with pytest.raises(ManifestError):
        manifest.parse(content, "test")
    with pytest.raises((ManifestError, SignatureError)):
        envelope.unseal(content, {}, "test")


def test_deeply_nested_json_is_refused() -> None:
    with pytest.raises(ManifestError):
        manifest.parse(b"[" * 100_000, "test")


def test_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "new/publish.key"
    text = keys.make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    with pytest.raises(KeyFileError, match="never overwritten"):
        keys.make(path)
    assert path.read_bytes() == content
    assert keys.public_text(keys.load(path).public_key()) == text
    assert keys.public_text(keys.parse(text)) == text
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="others can read it"):
        keys.load(path)


def test_either_of_two_keys_opens_what_both_signed(tmp_path: Path) -> None:
    pair = [keys.parse(keys.make(tmp_path / name)) for name in ("old", "new")]
    sealed = envelope.seal(b"payload", [keys.load(tmp_path / name) for name in ("old", "new")])
    for key in pair:
        trusted = {keys.identity(key): key}
        assert envelope.unseal(sealed, trusted, "x") == (b"payload", keys.identity(key))


def test_signature_is_of_the_type_too(tmp_path: Path) -> None:
    """The example of the DSSE specification: what is signed for one purpose is for no other."""
    assert envelope._message("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    key = keys.parse(keys.make(tmp_path / "key"))
    sealed = json.loads(envelope.seal(b"payload", [keys.load(tmp_path / "key")]))
    sealed["payloadType"] = "text/plain"
    with pytest.raises(ManifestError, match="text/plain"):
        envelope.unseal(json.dumps(sealed).encode(), {keys.identity(key): key}, "x")
