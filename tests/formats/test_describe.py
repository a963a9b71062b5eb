from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgesmith.contract import Input
from edgesmith.errors import ExportError
from edgesmith.formats.describe import STRIDES, describe, output_names, outputs
from edgesmith.tasks.detect import networks
from tests import tiny_detector as tiny

NAMES = ["boxes8", "scores8", "boxes16", "scores16", "boxes32", "scores32"]


def test_a_detector_has_two_maps_per_level_with_their_stride() -> None:
    found = outputs(tiny.card())

    assert STRIDES == networks.STRIDES
    assert [output.name for output in found] == output_names(tiny.card()) == NAMES
    assert [output.stride for output in found] == [8, 8, 16, 16, 32, 32]
    assert [(o.meaning, o.decode) for o in found[:2]] == [("boxes", "ltrb"), ("scores", "sigmoid")]
    assert [output.shape for output in found[:2]] == [[1, 4, 8, 8], [1, 2, 8, 8]]
    assert found[5].shape == [1, 2, 2, 2]
    assert {output.quantization for output in found} == {None}


def test_channels_come_last_where_the_format_has_them_there() -> None:
    found = outputs(tiny.card(), layout="NHWC", batch=-1)

    assert [output.shape for output in found[:2]] == [[-1, 8, 8, 4], [-1, 8, 8, 2]]
    assert {output.layout for output in found} == {"NHWC"}


def test_a_contract_says_which_head_its_boxes_come_from(tmp_path: Path) -> None:
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant/weights").write_text("w")
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact/model").write_text("m")
    source = Input(
        name="in0", layout="NCHW", dtype="float32", shape=[1, 3, 64, 64], preprocess=tiny.SPEC
    )
    card = replace(tiny.card(), network=tiny.Network(tiny.SPEC, "one-to-many"))
    described = describe(
        card,
        tmp_path / "variant",
        tmp_path / "artifact",
        format="ncnn",
        source=source,
        results=outputs(card),
        tools=["torch"],
    )

    assert described.task == "detect"
    assert described.boxes is not None and described.boxes.head == "one-to-many"
    assert described.parent == card.name
    assert list(described.files) == ["model"]
    assert list(described.tools) == ["torch"]


def test_an_input_that_does_not_divide_into_cells_is_refused() -> None:
    spec = tiny.SPEC.model_copy(update={"width": 72})
    card = replace(tiny.card(), network=tiny.Network(spec, "one-to-one"))

    with pytest.raises(ExportError, match=r"64 x 72; a detector takes multiples of 32: change"):
        outputs(card)
