"""A hundred thousand submissions in worlds drawn from seeds; a failing one is printed and can be lived again."""

import pytest

from tests.simulation.run import simulate
from tests.simulation.world import World

REQUESTS = 2500  # in each of forty worlds


@pytest.mark.parametrize("seed", range(40))
def test_in_every_world_the_invariants_hold(seed):
    world = simulate(seed, REQUESTS)
    assert len(world.kept.records) > 0.9 * REQUESTS  # a few callers hang up


def test_a_seed_is_a_world():
    first, again, other = (outcomes(simulate(seed, 200)) for seed in (7, 7, 8))
    assert first == again != other


def outcomes(world: World) -> list[tuple[str, list[str]]]:
    return [
        (record.action.value, [answer.outcome.status for answer in record.answers])
        for record in world.kept.records.values()
    ]


def test_worlds_are_not_all_alike():
    """The simulation would prove nothing where nothing goes wrong, or everything does."""
    worlds = [simulate(seed, 300) for seed in range(12)]
    actions = {record.action.value for world in worlds for record in world.kept.records.values()}
    statuses = {
        answer.outcome.status for world in worlds for record in world.kept.records.values() for answer in record.answers
    }
    assert actions == {"allow", "review", "block"}
    assert statuses == {
        *("ok", "cached", "timeout", "throttled", "unavailable", "denied", "rejected", "drift", "open"),
    }
    assert sum(world.kept.late for world in worlds) > 0
    assert sum(world.kept.revised for world in worlds) > 0
    assert sum(world.kept.again for world in worlds) > 0
