"""The stage `sensitivity` on a tiny ladder variant, and the sections that it needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesmith.errors import ParamsError
from edgesmith.report import sensitivity
from edgesmith.report.sensitivity_plot import sensitivity_png
from tests import tiny

ENTRY = {"task": "classify", "dataset": "tints", "images": 8}
AUTO = tiny.variant("quantize", "base", method="ladder", max_drop=1)


@pytest.mark.slow
def test_layers_are_ranked_and_rungs_shown(checkout: Path) -> None:
    variants = {**tiny.CHAIN, "auto": AUTO}
    tiny.write_params(checkout, variants=variants, sensitivity={"auto": ENTRY})
    tiny.run("quantize", "auto")
    tiny.run("sensitivity", "auto")
    stored = json.loads((sensitivity.FOLDER / "auto.json").read_text())
    (record,) = sensitivity.read_all(["auto", "absent"])
    levels = [level.sqnr_db for level in record.layers.values()]
    picture = (sensitivity.FOLDER / "auto.png").read_bytes()
    text = sensitivity.markdown([record])

    assert len(levels) == 53 and levels == sorted(levels) and levels[0] > 10
    assert (record.images, record.ladder.taken, list(record.ladder.rungs)) == (8, "ptq", ["ptq"])
    assert "null" not in json.dumps(stored)
    assert picture.startswith(b"\x89PNG") and picture == sensitivity_png(record)
    assert f"| auto | {next(iter(record.layers))} | {levels[0]:.1f} dB | ptq |" in text
    assert sensitivity.markdown([]) == ""


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("ptp", ENTRY, "sensitivity.ptp is 'ptp', which is not defined"),
        ("half", ENTRY, "sensitivity.half: the step of half is cast; only variants of the step"),
        ("ptq", ENTRY | {"dataset": "hues"}, "sensitivity.ptq.dataset is 'hues', but variants"),
        ("ptq", ENTRY | {"task": "detect"}, "sensitivity.ptq.task is 'detect', but variants"),
        ("ptq", ENTRY | {"images": 0}, "sensitivity.ptq.images is 0; input should be greater"),
    ],
)
def test_an_entry_that_fits_no_quantized_variant_is_refused(
    tmp_path: Path, name: str, entry: dict[str, object], message: str
) -> None:
    with pytest.raises(ParamsError) as caught:
        tiny.write_params(tmp_path, variants=tiny.CHAIN, sensitivity={name: entry})
    assert message in str(caught.value)


def test_a_variant_without_an_entry_is_refused(checkout: Path) -> None:
    with pytest.raises(ParamsError, match=r"sensitivity\.base is not defined; add it"):
        tiny.run("sensitivity", "base")
