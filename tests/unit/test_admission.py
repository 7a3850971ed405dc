"""For whom there is room, and how the room shrinks and comes back with the event loop's lag."""

import asyncio
import random
import time
from itertools import pairwise

import pytest

from gateway.errors import Overloaded
from gateway.web.admission import Admission
from gateway.web.brake import EVERY, Brake, feel
from tests.waiting import until


def entered(admission, many, batch=False):
    """How many of them got in, and with which codes the others did not."""
    codes = set()
    for done in range(many):
        try:
            admission.enter(batch=batch)
        except Overloaded as refused:
            codes.add(refused.code)
            return done, codes
    return many, codes


def test_live_traffic_may_have_all_of_it():
    admission = Admission(8)
    assert entered(admission, 20) == (8, {"overloaded"})
    admission.leave(batch=False)
    assert entered(admission, 20) == (1, {"overloaded"})


def test_a_batch_gets_a_quarter():
    admission = Admission(8)
    assert entered(admission, 20, batch=True) == (2, {"batch_waits"})
    assert entered(admission, 20) == (6, {"overloaded"})
    admission.leave(batch=True)
    assert entered(admission, 1) == (1, set())


def test_a_batch_gets_nothing_while_live_traffic_fills_three_quarters():
    admission = Admission(8)
    entered(admission, 6)
    assert entered(admission, 1, batch=True) == (0, {"batch_waits"})
    admission.leave(batch=False)
    assert entered(admission, 1, batch=True) == (1, set())


def test_who_turns_out_to_be_a_batch_counts_as_one_or_stays_what_it_was():
    admission = Admission(8)
    entered(admission, 7)
    with pytest.raises(Overloaded):
        admission.turn_into_batch()
    admission.leave(batch=False)
    admission.turn_into_batch()
    assert admission.in_flight == 6
    for batch in (True, *[False] * 5):
        admission.leave(batch=batch)
    assert entered(admission, 20) == (8, {"overloaded"})


def test_it_needs_no_second_place_for_that():
    alone = Admission(1)
    entered(alone, 1)
    alone.turn_into_batch()
    alone.leave(batch=True)
    assert alone.in_flight == 0


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_batch_gets_through_where_there_is_hardly_any_room(most):
    assert entered(Admission(most), 5, batch=True)[0] == 1


@pytest.mark.parametrize("load", [0.5, 0.7, 0.75, 0.8, 1.0, 3.0])
def test_live_goodput_under_a_flood_of_batches(load):
    """Live traffic needs this much of all places; batches ask for each that is free."""
    assert goodput(load, flooded=True) >= 0.9 * goodput(load, flooded=False)


def goodput(load, *, flooded, seed=7, places=64, seconds=20.0, takes=0.1):
    """Live submissions that got in, of a Poisson stream, while a batch tenant tries a thousand times a second."""
    live_rate = load * places / takes
    rng, admission, done, at = random.Random(seed), Admission(places), 0, 0.0
    leaving, next_live = [], rng.expovariate(live_rate)
    while at < seconds:
        at += 0.001
        while leaving and leaving[0][0] <= at:
            admission.leave(batch=leaving.pop(0)[1])
        if flooded and entered(admission, 1, batch=True)[0]:
            leaving.append((at + takes, True))
        while next_live <= at:
            next_live += rng.expovariate(live_rate)
            if entered(admission, 1)[0]:
                leaving.append((at + takes, False))
                done += 1
    return done


# The brake, with a clock and a lag of ours


class Machine:
    """An event loop whose lag is a function of the time and of how many submissions there may be."""

    def __init__(self, lag, most=256):
        self.admission = Admission(most)
        self.brake = Brake(self.admission)
        self.lag = lag
        self.now = 0.0
        self.caps = []  # one for each sample

    def run(self, seconds):
        until = self.now + seconds
        while self.now < until:
            lag = self.lag(self.now, self.admission.cap)
            self.now += EVERY + lag
            self.brake.sample(lag, self.now)
            self.caps.append(self.admission.cap)
        return self.caps

    @property
    def turns(self):
        """How often the cap changed its direction."""
        steps = [after - before for before, after in pairwise(self.caps) if after != before]
        return sum(a * b < 0 for a, b in pairwise(steps))


def test_a_loop_that_keeps_up_is_left_alone():
    assert set(Machine(lambda now, cap: 0.004).run(600)) == {256}


def test_one_long_pause_is_no_overload():
    assert set(Machine(lambda now, cap: 3.0 if 10 < now < 10.1 else 0.0).run(60)) == {256}


def test_nor_are_many_short_ones():
    """Half of the samples are late, never a whole second of them."""
    assert set(Machine(lambda now, cap: 0.4 if int(now / 0.8) % 2 else 0.0).run(120)) == {256}


def test_sustained_lag_halves_the_cap_and_no_sooner_than_after_a_second():
    machine = Machine(lambda now, cap: 0.2 if now > 10 else 0.0)
    assert min(machine.run(11)) == 256
    machine.run(1)
    assert machine.admission.cap == 128


def test_it_starves_nobody_even_if_the_lag_never_ends():
    machine = Machine(lambda now, cap: 0.5)
    machine.run(3600)
    assert min(machine.caps) == machine.admission.cap == 64
    assert machine.turns == 0
    small = Machine(lambda now, cap: 0.5, most=1)
    assert set(small.run(60)) == {1}


def test_the_cap_comes_back_slowly_and_whole():
    machine = Machine(lambda now, cap: 0.5 if now < 60 else 0.0)
    machine.run(60)
    assert machine.admission.cap == 64
    machine.run(30)
    assert 64 < machine.admission.cap < 128
    machine.run(120)
    assert machine.admission.cap == 256


def test_a_hiccup_now_and_then_does_not_keep_it_down():
    machine = Machine(lambda now, cap: 0.5 if now < 10 or now % 3 < 0.2 else 0.0)
    machine.run(300)
    assert machine.admission.cap == 256


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bears", [100, 150, 200, 240])
def test_where_the_load_is_too_much_it_settles_near_what_the_machine_bears(bears, seed):
    """Lag comes of more submissions than the machine bears, give or take a tenth. It neither flaps nor starves."""
    rng = random.Random(seed)
    machine = Machine(lambda now, cap: 0.3 if cap > bears * rng.uniform(0.9, 1.1) else rng.uniform(0, 0.05))
    machine.run(60)
    machine.caps.clear()
    machine.run(1800)
    mean = sum(machine.caps) / len(machine.caps)
    assert 0.6 * bears <= mean <= 1.05 * bears
    assert machine.turns <= 2 * 1800 / 30  # down and up again, at most every 30 seconds
    late = sum(cap > 1.1 * bears for cap in machine.caps) / len(machine.caps)
    assert late < 0.2


async def test_it_feels_a_loop_that_is_held_up():
    lags = []
    task = asyncio.create_task(feel(Brake(Admission(8)), lags.append))
    await until(lambda: lags and min(lags) < 0.15)
    before = len(lags)
    time.sleep(0.3)  # noqa: ASYNC251  # what must not happen
    await until(lambda: len(lags) > before)
    task.cancel()
    assert lags[before] > 0.15
