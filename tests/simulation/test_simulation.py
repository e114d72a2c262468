"""Histories of producers, workers, network and server, each from one seed: the promise holds in every one.

`python tests/simulation/run.py --seed N` tells one; `make simulate` runs 10,000.
"""

import logging
from collections import Counter
from collections.abc import Iterator

import pytest

pytest.importorskip("lupa", reason="lupa runs the scripts of the modelled server")
from simulation.world import simulate

pytestmark = pytest.mark.once

SEEDS = 200
PARTS = 4


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A thousand warnings of a lost network are none."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("part", range(PARTS))
def test_the_promise_holds(part: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(part, SEEDS, PARTS):
        try:
            seen += simulate(seed).oracle.stats
        except Exception as error:
            error.add_note(f"again: python tests/simulation/run.py --seed {seed}")
            raise
    # Not vacuous: everything that can go wrong did.
    expected = {"kill", "freeze", "cut off", "clock", "memory", "stop", "submit NO", "submit FULL", "commit FENCED"}
    expected |= {"ready", "held", "delayed", "dead", "ready child", "failed over"}
    assert seen["resent"] > 0
    assert expected <= seen.keys()


def test_a_seed_is_a_history() -> None:
    assert simulate(5).digest == simulate(5).digest != simulate(6).digest
