import pytest

from benchmarks.tracking import page, truth
from benchmarks.tracking.compare import Comparison, Row
from benchmarks.tracking.truth import Sign
from benchmarks.tracking.watch import Policy
from edgesmith.serve.result import Seen

BOXES = [(10.0, 10.0, 50.0, 50.0), (100.0, 10.0, 150.0, 60.0)]
FRAMES = 10


def signs(judged: bool = True) -> dict[int, list[Sign]]:
    return {k: [Sign(1, 0, BOXES[0], True), Sign(2, 1, BOXES[1], judged)] for k in range(FRAMES)}


def answers(*tracks: tuple[int, int]) -> list[list[Seen]]:
    """For each span of frames the numbers that the two signs have."""
    spans = FRAMES // len(tracks)
    return [
        [Seen(0, 0.9, box, number) for box, number in zip(BOXES, pair, strict=True)]
        for pair in tracks
        for _ in range(spans)
    ]


def test_right_tracks_are_perfect() -> None:
    found = truth.quality([truth.accumulate(signs(), answers((7, 9)))])
    assert (found.idf1, found.mota, found.switches) == (100.0, 100.0, 0)


def test_numbers_that_swap_cost_identity_and_two_switches() -> None:
    found = truth.quality([truth.accumulate(signs(), answers((7, 9), (9, 7)))])
    assert found.switches == 2
    assert found.idf1 == pytest.approx(50.0)
    assert found.mota == pytest.approx(100 * (1 - 2 / 20))


def test_what_is_not_judged_is_neither_missed_nor_false() -> None:
    both = truth.accumulate(signs(judged=False), answers((7, 9)))
    one = truth.accumulate(signs(judged=False), [found[:1] for found in answers((7, 9))])
    for accumulator in (both, one):
        found = truth.quality([accumulator])
        assert (found.mota, found.false_positives, found.misses) == (100.0, 0, 0)


def test_box_elsewhere_is_false_and_its_sign_missed() -> None:
    away = [[Seen(0, 0.9, (200.0, 200.0, 240.0, 240.0), 7)] for _ in range(FRAMES)]
    found = truth.quality([truth.accumulate(signs(judged=False), away)])
    assert (found.false_positives, found.misses, found.mota) == (10, 10, -100.0)


def test_films_count_together_and_their_numbers_apart() -> None:
    films = [truth.accumulate(signs(), answers((7, 9))) for _ in range(2)]
    assert truth.quality(films).signs == 40 and truth.quality(films).switches == 0


def row(policy: str, detections: int, mota: float) -> Row:
    return Row(
        policy=policy, carrier="flow", frames=100, detections=detections,
        detect_ms=detections / 20, track_ms=0.5, idf1=80.0, mota=mota, switches=1, misses=2,
        false_positives=3, signs=400,
    )  # fmt: skip


def test_page_gives_differences_to_every_frame() -> None:
    rows = [row("every frame", 100, 75.0), row("every 4th frame", 25, 74.0)]
    comparison = Comparison(
        artifact="a/ncnn", engine="ncnn 1", seeds=[1], seconds=1.0, size=[64, 48], rows=rows
    )
    lines = page.lines([comparison])
    assert "| every frame | 100.0 % | 5.50 |  | 80.0 | 75.0 |" in lines[-2]
    assert "| every 4th frame | 25.0 % | 1.75 | 68 % | 80.0 (+0.0) | 74.0 (-1.0) |" in lines[-1]
    assert page.quality_png([comparison]).startswith(b"\x89PNG")


def test_policies_have_names() -> None:
    assert Policy(1).words == "every frame" and Policy(2).words == "every 2nd frame"
    assert Policy(4, "hold").words == "every 4th frame, boxes left where they were"
