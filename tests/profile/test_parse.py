"""Profiles that are not what they should be, and what is computed from known ones."""

import json

import pytest

from edgesmith.errors import RuntimeUnavailableError
from edgesmith.profile import compare
from edgesmith.profile.families import family
from edgesmith.profile.litert import assemble
from edgesmith.profile.litert_library import Event
from edgesmith.profile.onnxruntime import parse
from edgesmith.profile.recording import Kernel, Node, Recording, Run, typical
from edgesmith.profile.summary import Subject, Summary, summarise
from edgesmith.profile.words import against, paragraph


def _summary(variant: str, layers: dict[str, tuple[str, float]], plain_ms: float) -> Summary:
    """A summary of layers by name: operator and microseconds, 1 µs apart."""
    kernels, start = [], 0.0
    for number, (_, duration) in enumerate(layers.values()):
        kernels.append(Kernel(node=number, start_us=start, duration_us=duration))
        start += duration + 1
    recording = Recording(
        engine="abacus 1",
        method="counting",
        caveats=[],
        starts_known=True,
        nodes=[Node(name=name, op=op) for name, (op, _) in layers.items()],
        runs=[Run(total_us=start, kernels=kernels)] * 4,
    )
    subject = Subject(variant=variant, format="x", precision="fp32")
    return summarise(recording, subject, threads=1, machine="here", plain_ms=[plain_ms] * 4)


def test_a_profile_of_another_form_is_refused() -> None:
    for text in ("", "{}", "[1]", '[{"name": "model_run"}]', json.dumps([])):
        with pytest.raises(RuntimeUnavailableError, match="cannot be read"):
            parse(text, [100.0])


def test_operators_of_litert_must_be_the_same_in_every_inference() -> None:
    one = Event("Add (ND)", 3.0, True)
    with pytest.raises(RuntimeUnavailableError, match="no operator"):
        assemble([(10.0, [Event("Invoke", 8.0, False)])], [])
    with pytest.raises(RuntimeUnavailableError, match="differ"):
        assemble([(10.0, [one]), (10.0, [one, one])], [])
    nodes, runs = assemble([(10.0, [one])], [Node(name="sum", op="ADD", shape="1×2")])
    assert (nodes[0].name, nodes[0].op, runs[0].total_us) == ("sum", "Add", 10.0)


def test_interrupted_inferences_are_left_out() -> None:
    runs = [Run(total_us=total, kernels=[]) for total in (5, 1, 90, 2)]
    assert [run.total_us for run in typical(runs)] == [1, 2]


def test_the_framework_is_what_kernels_leave_of_the_plain_run() -> None:
    found = _summary("base", {"a": ("Conv", 100), "b": ("Reorder", 50)}, plain_ms=0.4)
    assert (found.kernel_ms, found.run_ms) == (0.15, 0.152)
    assert found.framework_ms == pytest.approx(0.25) and found.conversion_ms == 0.05
    assert found.overhead_ms == {"between kernels": 0.002}
    assert found.gaps[0].model_dump() == {"after": "a", "before": "b", "ms": 0.001}
    assert "The framework is the bottleneck" in paragraph(found)
    assert "The kernels are the bottleneck" in paragraph(
        found.model_copy(update={"framework_share": 0.05})
    )
    assert "cannot be told" in paragraph(found.model_copy(update={"kernels_over_plain": 1.5}))


def test_layers_match_by_name_then_by_order_then_by_sum() -> None:
    fp32 = {"c1": ("Conv", 90), "same": ("Conv", 60), "end": ("Gemm", 9), "r": ("ReorderOutput", 2)}
    int8 = {
        "q": ("QuantizeLinear", 5),
        "t": ("Transpose", 5),
        "other1": ("QLinearConv", 30),
        "same": ("QLinearConv", 20),
        "last": ("QGemm", 12),
    }
    pair = compare.compare(_summary("int8", int8, 0.1), _summary("fp32", fp32, 0.2))
    assert [(p.first, p.second, p.by) for p in pair.layers] == [
        ("other1", "c1", "order"),
        ("same", "same", "name"),
        ("last", "end", "order"),
    ]
    assert pair.families["weights"].ratio == pytest.approx(159 / 62, rel=1e-3)
    assert pair.families["conversion"].saved_ms == -0.008
    assert pair.unmatched == ["quantizing, transposing and reordering: 2 and 1"]
    words = against(pair)
    assert "2.00 times as long" in words and "Lost: quantizing" in words
    assert "1 of 3 matched layers are slower, most of all last (+0.003 ms)" in words


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("QLinearConv", "weights"),
        ("QuantizeLinear", "conversion"),
        ("DequantizeLinear", "conversion"),
        ("QLinearAdd", "add"),
        ("QLinearGlobalAveragePool", "pool"),
        ("quantized::linear", "weights"),
        ("aten::addmm", "weights"),
        ("Convert (NC, F32, QS8)", "conversion"),
        ("Fully Connected GEMM", "weights"),
        ("Clip", "other"),
    ],
)
def test_operators_have_families(op: str, expected: str) -> None:
    assert family(op) == expected
