from __future__ import annotations

from collections.abc import Callable

import pytest

from edgesmith.errors import ExportError
from edgesmith.formats.tflite import FILE
from edgesmith.formats.tflite_check import examine
from edgesmith.formats.tflite_graph import Graph
from tests.formats.conftest import Converted


@pytest.fixture
def case(converted: Callable[[str], Converted]) -> Converted:
    return converted("resnet18")


def test_a_float_file_is_not_for_the_edge_tpu(case: Converted) -> None:
    report = examine(case.converted.content, "float")

    assert report.counts["CONV_2D"] == 20 and report.counts["ADD"] == 8
    assert report.dtypes == ("float32",)
    assert not report.edge_tpu
    assert any("is float32" in fault for fault in report.edge_tpu_faults)


def test_only_the_operator_that_the_edge_tpu_lacks_is_a_fault(case: Converted) -> None:
    report = examine((case.folder / FILE).read_bytes(), "int")

    # ResNet's padded max pooling.
    assert [fault.split(" ")[0] for fault in report.edge_tpu_faults] == ["PADV2"]
    assert report.edge_tpu_faults[0].endswith("not an operator of the Edge TPU")


def test_a_free_dimension_is_a_fault(case: Converted) -> None:
    graph = Graph((case.folder / FILE).read_bytes(), "int")
    source = graph.tensor(graph.input)
    source.shapeSignature = [-1, *graph.shape(graph.input)[1:]]

    assert any(
        "input has a free dimension" in f for f in examine(graph.pack(), "x").edge_tpu_faults
    )


@pytest.mark.parametrize(
    "content", [b"", b"not a tflite file at all", b"\0\0\0\0ONNX" + b"\0" * 64]
)
def test_what_is_no_tflite_file_is_refused(content: bytes) -> None:
    with pytest.raises(ExportError, match=r"^broken: not a \.tflite file"):
        examine(content, "broken")


def test_a_file_that_was_cut_is_refused(case: Converted) -> None:
    content = (case.folder / FILE).read_bytes()
    with pytest.raises(ExportError, match=r"^cut: a damaged \.tflite file"):
        examine(content[:64], "cut")
