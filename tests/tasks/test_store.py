from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from edgesmith.data.classify.store import load_split
from edgesmith.errors import ModelError
from edgesmith.tasks import store
from edgesmith.tasks.count import count
from edgesmith.tasks.predict import predict
from tests.tiny import LABELS, SIZE, SPEC, run, variant, write_params


@pytest.fixture
def base(trained: Path, tmp_path: Path) -> Path:
    """A stored variant, to be damaged."""
    return Path(shutil.copytree(trained / "models/base", tmp_path / "models/base"))


def edit_card(folder: Path, **changes: object) -> None:
    path = folder / store.CARD
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("name", ["base", "small", "half", "small-half"])
def test_a_stored_network_comes_back_with_its_logits(chain: Path, name: str) -> None:
    net, card = store.load(chain / "models" / name)
    test = load_split(chain / "data/tints", "test", SPEC)
    logits = predict(net, test.images, SPEC)
    expected = store.load_reference(chain / "models" / name)["self"]

    assert not net.training
    assert card.labels == LABELS
    assert (card.params, card.macs) == count(net, SIZE, SIZE)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=2e-2 if "half" in name else 1e-4)


@pytest.mark.parametrize("name", ["half", "small-half"])
def test_half_precision_is_stored_in_half_the_bytes(chain: Path, name: str) -> None:
    net, card = store.load(chain / "models" / name)
    size = (chain / "models" / name / store.WEIGHTS).stat().st_size
    text = 110 * len(net.state_dict())  # safetensors' header: a line for every tensor

    assert card.precision == "fp16"
    assert all(parameter.dtype is torch.float16 for parameter in net.parameters())
    assert 2 * card.params < size < 2 * card.params + text


def test_half_precision_is_not_rounded_again(chain: Path, checkout: Path) -> None:
    shutil.copytree(chain / "models/half", checkout / "models/half")
    write_params(checkout, variants={"half": variant("cast", "base"), "x": variant("cast", "half")})

    with pytest.raises(ModelError, match=r"variants\.x\.parent: half is fp16 already"):
        run("cast", "x")


@pytest.mark.parametrize("name", ["base", "qat", "small"])
def test_a_stored_variant_holds_no_pickle(chain: Path, name: str) -> None:
    files = sorted(path.name for path in (chain / "models" / name).iterdir())
    more = ["quantization.json"] if name == "qat" else []

    assert files == sorted([store.WEIGHTS, store.CARD, store.REFERENCE, *more])
    for file in files:
        content = (chain / "models" / name / file).read_bytes()
        assert content[:2] not in {b"PK", b"\x80\x02", b"\x80\x04"}


def test_storing_again_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    net, card = store.load(trained / "models/base")
    store.save(tmp_path, net, card)

    for name in (store.WEIGHTS, store.CARD):
        assert (tmp_path / name).read_bytes() == (trained / "models/base" / name).read_bytes()


def test_a_card_says_where_the_network_came_from(chain: Path) -> None:
    card = store.read_card(chain / "models/small-half")

    assert (card.parent, card.step, card.model) == ("small", "cast", "net")
    assert len(card.parent_sha256 or "") == 64


@pytest.mark.parametrize("keep", [0, 4, 100, 50_000])
def test_weights_cut_short_are_named(base: Path, keep: int) -> None:
    path = base / store.WEIGHTS
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(ModelError, match=r"models/base/weights\.safetensors: unreadable .*repro"):
        store.load(base)


@pytest.mark.parametrize("name", [store.WEIGHTS, store.CARD])
def test_a_missing_file_is_named(base: Path, name: str) -> None:
    (base / name).unlink()

    with pytest.raises(ModelError, match=rf"models/base/{name}: "):
        store.load(base)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}'])
def test_a_card_that_is_none_is_named(base: Path, content: str) -> None:
    (base / store.CARD).write_text(content)

    with pytest.raises(ModelError, match=r"models/base/model\.json: .*rebuild it"):
        store.load(base)


@pytest.mark.parametrize("inputs", [0, -3, 8.5])
def test_a_card_with_impossible_channels_names_the_layer(base: Path, inputs: float) -> None:
    layers = json.loads((base / store.CARD).read_text())["layers"]
    layers["classifier.1"]["inputs"] = inputs
    edit_card(base, layers=layers)

    with pytest.raises(ModelError, match=r"layers\.classifier\.1\.inputs"):
        store.load(base)


def test_a_card_of_another_architecture_is_refused(base: Path) -> None:
    network = json.loads((base / store.CARD).read_text())["network"]
    edit_card(base, network=network | {"architecture": "resnet18", "width": 1.0})

    with pytest.raises(ModelError, match=r"model\.json: its layers are not those"):
        store.load(base)


def test_a_card_of_other_widths_than_the_weights_is_refused(base: Path) -> None:
    layers = json.loads((base / store.CARD).read_text())["layers"]
    layers["classifier.1"]["inputs"] -= 8
    edit_card(base, layers=layers)

    with pytest.raises(ModelError, match=r"weights\.safetensors: does not fit .*'classifier\.1"):
        store.load(base)


def test_a_card_that_claims_folding_does_not_fit_the_weights(base: Path) -> None:
    edit_card(base, batch_norm_folded=True)

    with pytest.raises(ModelError, match=r"weights\.safetensors: does not fit model\.json"):
        store.load(base)


def test_an_untrained_start_has_no_reference(trained: Path) -> None:
    assert store.load_reference(trained / "models/net") == {}


def test_a_damaged_reference_is_named(base: Path) -> None:
    (base / store.REFERENCE).write_bytes(b"damaged")

    with pytest.raises(ModelError, match=r"reference\.safetensors: unreadable"):
        store.load_reference(base)


def test_references_are_those_of_the_chain(chain: Path) -> None:
    base = store.load_reference(chain / "models/base")
    small = store.load_reference(chain / "models/small")
    rounded = store.load_reference(chain / "models/small-half")

    assert set(base) == {"self", "baseline"}
    assert np.array_equal(base["self"], base["baseline"])
    assert np.array_equal(rounded["parent"], small["self"])
    assert np.array_equal(rounded["baseline"], base["self"])
    assert rounded["self"].shape == (32, len(LABELS))
