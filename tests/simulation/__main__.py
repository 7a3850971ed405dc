"""`python -m tests.simulation [--seed N] [--worlds N] [--requests N]`: more of the same, or one world again."""

from __future__ import annotations

import argparse
import sys

from rich.progress import track

from tests.simulation.run import simulate

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the first world")
parser.add_argument("--worlds", type=int, default=40)
parser.add_argument("--requests", type=int, default=2500, help="in each world")
asked = parser.parse_args()
for seed in track(range(asked.seed, asked.seed + asked.worlds), description="Worlds"):
    try:
        simulate(seed, asked.requests)
    except BaseException:
        sys.stderr.write(
            f"again with: python -m tests.simulation --seed {seed} --worlds 1 --requests {asked.requests}\n"
        )
        raise
