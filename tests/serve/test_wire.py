from edgesmith.serve import wire
from edgesmith.serve.result import Result, Seen


def test_result_arrives_as_it_was() -> None:
    result = Result(
        index=7,
        captured_s=1_700_000_000.25,
        objects=(Seen(2, 0.5, (1.0, 2.5, 3.0, 4.0), 9), Seen(0, 0.25)),
        detected=True,
        ms={"capture": 0.25, "infer": 12.5},
        artifact="yolo26n-qat/ncnn",
    )
    assert wire.decode(wire.encode(result)) == result
