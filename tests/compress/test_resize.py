"""A detector with another input size: what stays, what is counted and computed anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesmith.compress.quantize import ranges
from edgesmith.compress.quantize.graph import give_ranges, simulate
from edgesmith.data.detect.store import load_scenes
from edgesmith.errors import ParamsError
from edgesmith.report.accuracy import sqnr_db
from edgesmith.tasks import store
from edgesmith.tasks.predict import predict
from tests import tiny, tiny_scenes
from tests.tiny_detector import LABELS, SIZE
from tests.tiny_scenes import variant

LARGE = 96
# Of strides 8, 16 and 32.
CELLS = 12 * 12 + 6 * 6 + 3 * 3
CHAIN = {
    "base": tiny_scenes.BASE,
    "half": variant("cast", "base"),
    "ptq": variant("quantize", "base", method="ptq", observer="minmax", keep_float=["boxes.?.2"]),
    "base-96": variant("resize", "base", size=LARGE),
    "half-96": variant("resize", "half", size=LARGE),
    "ptq-96": variant("resize", "ptq", size=LARGE),
    "own-96": variant("resize", "base", size=LARGE, baseline="own-96"),
    # Ranges of images of the new size.
    "base-96-ptq": variant("quantize", "base-96", method="ptq", observer="minmax"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder models/ with the whole chain."""
    folder = tmp_path_factory.mktemp("resized")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tiny_scenes.use_tiny_network(patch)
        tiny_scenes.write_data(folder, val=2)
        tiny_scenes.write_params(folder, variants=CHAIN)
        tiny.run("init", "net")
        for name, keys in CHAIN.items():
            tiny.run(keys["step"], name)
    return folder / "models"


@pytest.mark.parametrize("parent", ["base", "half", "ptq"])
def test_weights_and_ranges_stay_and_operations_are_counted_anew(models: Path, parent: str) -> None:
    old, new = models / parent, models / f"{parent}-96"
    own, resized = store.read_card(old), store.read_card(new)
    given = {"height": LARGE, "width": LARGE}

    assert (new / store.WEIGHTS).read_bytes() == (old / store.WEIGHTS).read_bytes()
    assert (new / ranges.FILE).is_file() == (parent == "ptq") == (old / ranges.FILE).is_file()
    assert resized.network.input == own.network.input.model_copy(update=given)
    kept = {"precision", "batch_norm_folded", "params", "layers", "labels"}
    assert resized.model_dump(include=kept) == own.model_dump(include=kept)
    assert (resized.parent, resized.step, resized.trained) == (parent, "resize", {})
    # Attention's grow with the square of its cells.
    assert 1 <= resized.macs / own.macs / (LARGE / SIZE) ** 2 < 1.05


def test_ranges_are_copied_with_the_layers_that_stay_float(models: Path) -> None:
    own, copied = ranges.read(models / "ptq"), ranges.read(models / "ptq-96")

    assert copied == own
    assert copied.float_layers and store.read_card(models / "ptq-96").precision == "mixed"


@pytest.mark.parametrize("name", ["base-96", "half-96", "ptq-96"])
def test_stored_outputs_are_those_of_the_stored_network_at_the_new_size(
    models: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_scenes.use_tiny_network(monkeypatch)
    net, card = store.load(models / name)
    spec = card.network.input
    images = load_scenes(models.parent / "data/blocks", "test", spec).images
    if name == "ptq-96":
        found = ranges.read(models / name)
        graph = simulate(net, spec, found.scheme, found.float_layers)
        give_ranges(graph, found.activations)
        expected = predict(graph, images, spec)
    else:
        expected = predict(net.float(), images, spec)
    stored = store.load_reference(models / name)

    assert images.shape == (tiny_scenes.COUNTS["test"], LARGE, LARGE, 3)
    assert list(stored) == ["self"]  # other cells cannot be compared one by one
    assert stored["self"].shape == (tiny_scenes.COUNTS["test"], CELLS, 4 + len(LABELS))
    np.testing.assert_allclose(stored["self"], expected, atol=1e-4)


def test_ranges_of_the_parents_size_fit_the_new_one_less_well_than_its_own(models: Path) -> None:
    single, carried, anew = (
        store.load_reference(models / name)["self"] for name in ("base-96", "ptq-96", "base-96-ptq")
    )

    assert 15 < sqnr_db(carried, single) < sqnr_db(anew, single) < 60


def test_what_comes_after_a_resized_parent_is_compared_at_its_size(models: Path) -> None:
    stored = store.load_reference(models / "base-96-ptq")

    # The baseline, of another size, is not there to inherit.
    assert set(stored) == {"self", "parent"}
    assert np.array_equal(stored["parent"], store.load_reference(models / "base-96")["self"])
    assert store.read_card(models / "base-96-ptq").network.input.height == LARGE


def test_a_resized_network_can_be_the_baseline_of_its_size(models: Path) -> None:
    stored = store.load_reference(models / "own-96")

    assert set(stored) == {"self", "baseline"}
    assert np.array_equal(stored["self"], stored["baseline"])


def test_the_stage_of_another_step_is_refused(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models.parent)
    tiny_scenes.use_tiny_network(monkeypatch)

    with pytest.raises(ParamsError, match=r"variants\.half\.step is cast, not resize; run"):
        tiny.run("resize", "half")
