from edgesmith.serve.patience import Patience


def test_waits_double_up_to_a_limit() -> None:
    patience = Patience(most=100)
    assert [patience.failed(second) for second in range(8)] == [0, 0.5, 1, 2, 4, 8, 8, 8]


def test_last_failure_is_one_too_many() -> None:
    patience = Patience(most=3)
    assert [patience.failed(0), patience.failed(1), patience.failed(2)] == [0, 0.5, None]


def test_failure_after_a_calm_minute_is_a_first_one() -> None:
    patience = Patience(most=3)
    assert [patience.failed(0), patience.failed(1)] == [0, 0.5]
    assert patience.failed(62) == 0


def test_something_else_begins_afresh() -> None:
    patience = Patience(most=1)
    assert patience.failed(0) is None
    patience = Patience(most=2)
    patience.failed(0)
    patience.forget()
    assert patience.failed(1) == 0
