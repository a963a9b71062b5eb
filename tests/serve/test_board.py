import time

from edgesmith.serve.board import Board, Orders, new_board


def test_part_is_overdue_when_its_promise_is_over() -> None:
    board = new_board(0)
    board.promise("sink", 60)
    assert board.overdue_s("sink") < -59 and board.quiet_s("sink") < 1
    board.promise("sink", -1)
    assert board.overdue_s("sink") >= 1
    assert board.overdue_s("capture") > 0  # that never promised anything


def test_counters_outlive_the_process_that_counted() -> None:
    board = new_board(0)
    for _ in range(3):
        Board(board.handle).finish("inference")
    Board(board.handle).count_detected()
    assert (board.finished("inference"), board.finished("sink"), board.detected) == (3, 0, 1)


def test_orders_reach_every_process_as_they_were_given() -> None:
    board = new_board(0)
    other = Board(board.handle)
    assert other.orders() is None
    orders = Orders("running", "a/b", 2.5, True, "half as often", {"sink": 2}, 71.5)
    board.order(orders)
    assert other.orders() == orders
    board.order(Orders("degraded", "c"))
    assert other.orders() == Orders("degraded", "c")


def test_orders_that_are_being_written_are_not_read() -> None:
    board = new_board(0)
    board.order(Orders("running", "a"))
    assert board.orders() is not None
    halves = bytes(board._region.bytes)
    board.order(Orders("stopped", "another/artifact"))
    # What another process would find in the middle: new words under the old version's sum.
    torn = Board(board.handle)
    board._region.bytes[512:560] = halves[512:560]
    assert torn.orders() is None


def test_last_words_are_read_once() -> None:
    board = new_board(0)
    assert board.fault("capture") == ""
    Board(board.handle).blame("capture", "no such camera: plug it in – é")
    assert board.fault("sink") == ""
    assert board.fault("capture") == "no such camera: plug it in – é"
    assert board.fault("capture") == ""


def test_process_is_ready_by_its_own_number() -> None:
    board = new_board(0)
    board.ready("sink", 7)
    assert board.is_ready("sink", 7) and not board.is_ready("sink", 8)
    assert board.was_ready("sink") and not board.was_ready("capture")


def test_each_look_for_a_lost_source_counts() -> None:
    board = new_board(0)
    board.lost(True)
    board.lost(True)
    assert board.is_lost and board.attempts == 2
    board.lost(False)
    assert not board.is_lost and board.attempts == 2


def test_promises_are_kept_by_the_monotonic_clock(monkeypatch) -> None:
    board = new_board(0)
    board.promise("sink", 60)
    monkeypatch.setattr(time, "time", lambda: 4e9)  # a clock set forward by decades
    monkeypatch.setattr(time, "time_ns", lambda: int(4e18))
    assert board.overdue_s("sink") < 0
