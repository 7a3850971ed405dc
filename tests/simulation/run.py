"""One world, from its seed to its end, in virtual time."""

from __future__ import annotations

import asyncio
import logging

import structlog

from tests.simulation.world import World
from tests.virtualtime import VirtualTimeLoop


def simulate(seed: int, requests: int) -> World:
    """Raises Violation where an invariant does not hold."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(_lived(seed, requests))
    finally:
        structlog.reset_defaults()


async def _lived(seed: int, requests: int) -> World:
    world = World(seed)
    await world.run(requests)
    return world
