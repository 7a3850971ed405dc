"""Room for bodies: never more than there is, in the order they came, and nobody waits for ever."""

import asyncio
import math
import random
import time

import pytest

from gateway.errors import Overloaded
from gateway.web.room import FREE, Room, Share


def share(room, until=math.inf):
    return Share(room, until)


async def begun(*waiting):
    """Tasks that have got as far as they can."""
    tasks = [asyncio.create_task(each) for each in waiting]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


def come(tasks):
    return [task.done() for task in tasks]


async def test_small_bodies_do_not_count():
    room = Room(1)
    await asyncio.gather(*(share(room).cover(FREE) for _ in range(100)))
    assert room.taken == 0


async def test_what_does_not_fit_waits_for_its_turn_in_the_order_it_came():
    room = Room(10)
    first, *later = [share(room) for _ in range(4)]
    await first.cover(FREE + 8)
    tasks = await begun(*(each.cover(FREE + size) for each, size in zip(later, (6, 4, 2), strict=True)))
    assert come(tasks) == [False] * 3  # the last would fit, but goes before nobody
    first.give_back()
    await asyncio.sleep(0)
    await asyncio.gather(*tasks[:2])
    assert room.taken == 10
    assert not tasks[2].done()
    later[0].give_back()
    await tasks[2]
    assert room.taken == 6


async def test_a_body_larger_than_all_the_room_comes_in_alone():
    room = Room(10)
    small, large, next_one = share(room), share(room), share(room)
    await small.cover(FREE + 1)
    tasks = await begun(large.cover(FREE + 50), next_one.cover(FREE + 1))
    assert come(tasks) == [False, False]
    small.give_back()
    await tasks[0]
    assert (room.taken, tasks[1].done()) == (50, False)
    large.give_back()
    await tasks[1]
    assert room.taken == 1


async def test_those_that_grow_do_not_wait_for_each_other_for_ever():
    """Each holds what the other needs: one goes on, beyond the room, until it has all and gives it back."""
    room = Room(10)
    pair = share(room), share(room)
    for each in pair:
        await each.cover(FREE + 5)

    async def grow(each):
        for size in range(6, 21):
            await each.cover(FREE + size)
            most.append(room.taken)
        each.give_back()

    most = []
    await asyncio.gather(*map(grow, pair))
    assert (max(most), room.taken) == (25, 0)


async def test_who_has_waited_long_enough_is_refused_and_holds_up_nobody():
    room = Room(10)
    holder, late, next_one = share(room), share(room, time.perf_counter() + 0.01), share(room)
    await holder.cover(FREE + 5)
    tasks = await begun(late.cover(FREE + 10), next_one.cover(FREE + 5))
    with pytest.raises(Overloaded) as refused:
        await tasks[0]
    assert refused.value.code == "waited_too_long"
    await tasks[1]
    assert (late.held, room.taken) == (0, 10)


async def test_a_turn_that_comes_to_one_who_leaves_is_not_lost():
    room = Room(10)
    holder, leaver, next_one = share(room), share(room), share(room)
    await holder.cover(FREE + 10)
    leaving, staying = await begun(leaver.cover(FREE + 10), next_one.cover(FREE + 10))
    leaving.cancel()
    holder.give_back()  # in the same moment
    await asyncio.wait([leaving])
    leaver.give_back()
    await staying
    assert room.taken == 10


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_all_of_it_is_given_back(seed):
    """Bodies of known and unknown length, some larger than the room; some callers leave, some wait a moment only."""
    rng, room, overdrawn = random.Random(seed), Room(100), []

    async def body():
        mine = share(room, rng.choice([math.inf, time.perf_counter() + rng.uniform(0, 0.01)]))
        try:
            size = 0
            for _ in range(rng.randint(1, 5)):
                size += rng.choice([1, 10, 50, 120])
                await mine.cover(FREE + size)
                overdrawn.append(room.taken)
                await asyncio.sleep(rng.choice([0, 0, 0.001]))
        finally:
            mine.give_back()

    tasks = [asyncio.create_task(body()) for _ in range(60)]
    for task in rng.sample(tasks, 10):
        await asyncio.sleep(0)
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(end) for end in ends} <= {type(None), Overloaded, asyncio.CancelledError}
    assert room.taken == 0
    assert max(overdrawn) <= 100 + 5 * 120  # the room, and one body
    await share(room).cover(FREE + 100)
