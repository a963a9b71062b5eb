import uuid

from edgesmith.events.keys import Keys


def test_keys_are_uuids_of_version_7_in_order() -> None:
    keys = [Keys(clock=lambda: 1_800_000_000.5).make() for _ in range(2)]
    assert keys[0] != keys[1]
    for key in keys:
        parsed = uuid.UUID(key)
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
        assert parsed.int >> 80 == 1_800_000_000_500


def test_keys_of_one_millisecond_are_in_order_however_many() -> None:
    maker = Keys(clock=lambda: 1.0)
    keys = [maker.make() for _ in range(10_000)]
    assert keys == sorted(set(keys))


def test_keys_stay_in_order_when_the_clock_is_set_back() -> None:
    times = iter([1000.0, 5.0, 5.001, 1000.001, 1001.0])
    maker = Keys(clock=lambda: next(times))
    keys = [maker.make() for _ in range(5)]
    assert keys == sorted(set(keys))


def test_keys_go_on_after_those_of_an_earlier_run() -> None:
    last = Keys(clock=lambda: 2000.0).make()
    assert Keys(after=last, clock=lambda: 1000.0).make() > last
