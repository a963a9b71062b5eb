from edgesmith.events.changes import Changes
from edgesmith.events.event import Event
from edgesmith.serve.result import Result, Seen, Status

LABELS = ["car", "person", "sign"]
BOX = (10.0, 10.0, 50.0, 40.0)


class Film:
    """Frames ten a second, by a clock of their own; `wall_s` is what the device's clock says."""

    def __init__(self) -> None:
        self.now = 0.0
        self.wall_s = 1_800_000_000.0
        self.changes = Changes(LABELS, clock=lambda: self.now)
        self.index = 0

    def show(
        self,
        *objects: Seen,
        frames: int = 1,
        detected: bool = True,
        state: str = "running",
        step: str = "",
        restarts: dict[str, int] | None = None,
    ) -> list[tuple[str, str]]:
        found: list[Event] = []
        for _ in range(frames):
            result = Result(self.index, self.wall_s, objects, detected, {}, "a/onnx")
            status = Status(state, 10.0, 1, 0, 1, restarts or {}, None, step)  # type: ignore
            found += self.changes.of(result, status)
            self.index += 1
            self.now += 0.1
            self.wall_s += 0.1
        return [(event.kind, event.words) for event in found if event.kind != "state"]


def _car(score: float = 0.9, label: int = 0, track: int | None = 1) -> Seen:
    return Seen(label, score, BOX, track)


def test_object_begins_once_and_ends_when_it_was_gone_for_a_while() -> None:
    film = Film()
    assert film.show(_car(), frames=10) == [("begin", "car 1 appeared")]
    assert film.show(frames=15) == []  # hidden for a moment
    assert film.show(_car(), frames=5) == []
    assert film.show(frames=25) == [("end", "car 1 gone after 2.9 s")]
    assert film.show(_car(), frames=5) == [("begin", "car 1 appeared")]


def test_what_flickers_up_is_no_event() -> None:
    film = Film()
    assert film.show(_car(), frames=2) + film.show(frames=50) == []


def test_event_tells_score_box_and_when_it_was_seen_first() -> None:
    changes = Changes(LABELS)
    events = [
        event
        for number in range(3)
        for event in changes.of(
            Result(number, 100.0 + number, (_car(0.5 + number / 10),), True, {}, "a/onnx"),
            Status("running", 1, 1, 0, 1),
        )
    ]
    assert events[-1] == Event(
        "begin", 100.0, "car 1 appeared", "car", 1, 0.7, BOX, {"artifact": "a/onnx"}
    )
    (ended,) = changes.end()
    assert ended.more == {"frames": 3, "seconds": 2.0, "best_score": 0.7}
    assert changes.end() == []


def test_label_changes_when_the_model_insists() -> None:
    film = Film()
    film.show(_car(), frames=5)
    assert film.show(_car(label=2), frames=2) == []
    assert film.show(_car()) == []
    assert film.show(_car(label=2), frames=10, detected=False) == []  # the tracker only repeats it
    assert film.show(_car(label=2), frames=3) == [("label", "sign 1 was car")]
    assert film.show(frames=30) == [("end", "sign 1 gone after 2.0 s")]


def test_object_without_a_track_gives_no_event() -> None:
    assert Film().show(_car(track=None), frames=20) == []


def test_two_objects_of_one_label_are_two() -> None:
    found = Film().show(_car(), _car(track=2), frames=3)
    assert found == [("begin", "car 1 appeared"), ("begin", "car 2 appeared")]


def test_clock_that_is_set_ends_nothing() -> None:
    film = Film()
    film.show(_car(), frames=5)
    film.wall_s -= 86400 * 365
    assert film.show(_car(), frames=5) == []
    film.wall_s += 86400 * 3650
    assert film.show(_car(), frames=5) == []


def test_classifiers_answer_counts_when_it_stays() -> None:
    film = Film()
    stop, car = Seen(2, 0.9), Seen(0, 0.8)
    assert film.show(stop, frames=10) == [("answer", "sign")]
    assert film.show(car) + film.show(stop) + film.show(car, frames=2) + film.show(stop) == []
    assert film.show(Seen(0, 0.3), frames=10) == []  # unsure
    assert film.show(car, frames=3) == [("answer", "car")]
    assert film.show(stop, frames=9, detected=False) == []


def test_loops_state_step_and_restarts_are_events() -> None:
    changes = Changes(LABELS)

    def told(status: Status) -> list[str]:
        return [event.words for event in changes.of(Result(0, 1.0, (), True, {}, "a"), status)]

    assert told(Status("running", 1, 1, 0, 1)) == ["running"]
    assert told(Status("running", 1, 2, 0, 1)) == []
    assert told(Status("cooling", 1, 3, 0, 1, {}, 86.0, "stopped at 86 °C")) == [
        "cooling",
        "stopped at 86 °C",
    ]
    assert told(Status("running", 1, 4, 0, 1, {"infer": 1})) == [
        "running",
        "full speed again",
        "infer was replaced",
    ]
    assert told(Status("running", 1, 5, 0, 1, {"infer": 1})) == []


def test_restarts_before_the_first_frame_are_told_with_the_state_alone() -> None:
    status = Status("running", 1, 1, 0, 1, {"infer": 2, "sink": 1})
    (event,) = Changes(LABELS).of(Result(0, 1.0, (), True, {}, "a/onnx"), status)
    assert event.kind == "state" and event.more["restarts"] == {"infer": 2, "sink": 1}
