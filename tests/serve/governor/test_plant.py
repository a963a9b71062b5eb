"""The governor on a simulated device, and the simulation itself."""

import pytest

from edgesmith.serve.governor import Governor, Level, ladder
from edgesmith.serve.governor.plant import Plant

RUNGS = ladder([((128, 128), 0.6)], [("small/ncnn", 0.3)])
COSTS = {(rung.size, rung.artifact): rung.cost for rung in RUNGS}
HOUR = 3600


def governed(plant: Plant, seconds: int, delay: int = 0) -> tuple[list[float], list[Level]]:
    """Temperature and level in every second; the sensor is `delay` seconds late."""
    governor = Governor(RUNGS)
    temperatures, levels = [plant.run(0.0, 0.001)], []
    for second in range(seconds):
        level = governor.step(temperatures[max(len(temperatures) - 1 - delay, 0)], float(second))
        load = 0.0 if level.stop else COSTS[level.size, level.artifact] / level.skip
        temperatures.append(plant.run(min(load, 1.0), 1.0))
        levels.append(level)
    return temperatures, levels


def test_plant_settles_where_its_resistances_say() -> None:
    plant = Plant(ambient_c=25.0)
    assert plant.run(0.0, 60.0) == pytest.approx(plant.settles_c(0.0), abs=0.01)
    assert plant.run(1.0, 2 * HOUR) == pytest.approx(plant.settles_c(1.0), abs=0.1)
    assert plant.settles_c(1.0) == pytest.approx(105.0)


def test_plant_warms_faster_at_first_than_a_single_capacity_would() -> None:
    """The chip leads the board: after one of its own time constants it is well on its way."""
    plant = Plant()
    rise = plant.run(1.0, 10.0) - plant.settles_c(0.0)
    assert rise > 0.6 * plant.load_w * plant.chip_k_per_w


@pytest.mark.parametrize("ambient", [20.0, 30.0, 40.0, 45.0])
@pytest.mark.parametrize("delay", [0, 5])
def test_temperature_settles_without_swinging(ambient: float, delay: int) -> None:
    temperatures, levels = governed(Plant(ambient_c=ambient), 2 * HOUR, delay)
    last = temperatures[-HOUR:]
    assert max(last) - min(last) < 0.5
    assert max(temperatures) < 86.0
    changes = sum(a[:4] != b[:4] for a, b in zip(levels[-HOUR:], levels[-HOUR + 1 :], strict=False))
    assert changes <= 2
    assert not any(level.stop for level in levels)


def test_cool_room_costs_no_speed() -> None:
    _, levels = governed(Plant(ambient_c=25.0, board_k_per_w=3.0), HOUR)
    assert all(level.skip == 1.0 for level in levels)


def test_too_hot_a_room_stops_cools_and_resumes() -> None:
    """At 60 °C even the lowest step is too much; idling is 90 °C only without a fan."""
    plant = Plant(ambient_c=60.0, idle_w=0.5, load_w=20.0)
    temperatures, levels = governed(plant, 2 * HOUR)
    stops = [k for k in range(1, len(levels)) if levels[k].stop and not levels[k - 1].stop]
    starts = [k for k in range(1, len(levels)) if levels[k - 1].stop and not levels[k].stop]
    assert stops and starts and starts[0] > stops[0]
    assert temperatures[starts[0]] <= 70.0
    assert max(temperatures) < 91.0
