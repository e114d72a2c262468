"""`make simulate`: many histories from their seeds, or one of them told: `python tests/simulation/run.py --seed N`."""

import argparse
import logging
import os
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from simulation.world import simulate


def attempt(seed: int) -> tuple[int, str, Counter[str]]:
    """(seed, what went wrong or "", what happened how often)."""
    logging.disable()
    try:
        world = simulate(seed)
    except Exception as error:
        return seed, f"{type(error).__name__}: {error}", Counter()
    return seed, "", world.oracle.stats + Counter({"tasks": len(world.oracle.accepted)})


def main() -> int:
    """Exits with 1 if a seed fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="tell this one's history")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    chosen = parser.parse_args()
    if chosen.seed is not None:
        try:
            simulate(chosen.seed, tell=True)
        except Exception:
            traceback.print_exc()
            return 1
        return 0
    begun, failed, stats = time.monotonic(), 0, Counter[str]()
    with ProcessPoolExecutor(chosen.jobs) as pool:
        seeds = range(chosen.first, chosen.first + chosen.seeds)
        for seed, wrong, happened in pool.map(attempt, seeds, chunksize=20):
            stats += happened
            if wrong:
                failed += 1
                sys.stdout.write(f"seed {seed}: {wrong}\n  again: python tests/simulation/run.py --seed {seed}\n")
    sys.stdout.write(", ".join(f"{name} {count:,}" for name, count in stats.most_common()) + "\n")
    sys.stdout.write(f"{chosen.seeds:,} seeds in {time.monotonic() - begun:.0f} s, {failed} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
