"""Counters in shared memory: the twins agree, and processes see each other's."""

import mmap
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

CELLS = 4
number = st.integers(min_value=-2, max_value=2**64 + 1)
step = st.tuples(st.sampled_from(["add", "set", "get"]), st.integers(-2, CELLS + 1), number)


def play(twin: Any, steps: list[tuple[str, int, int]]) -> tuple[list[Any], bytes]:
    memory = bytearray(CELLS * 8)
    counters = twin.Counters(memory)
    said: list[Any] = []
    for what, cell, value in steps:
        try:
            said.append(counters.get(cell) if what == "get" else getattr(counters, what)(cell, value))
        except (IndexError, ValueError) as error:
            said.append((type(error), str(error)))
    del counters
    return said, bytes(memory)


@given(st.lists(step, max_size=30))
def test_the_twins_agree(both: tuple[Any, Any], steps: list[tuple[str, int, int]]) -> None:
    native, pure = (play(twin, steps) for twin in both)
    assert native == pure


def test_unfit_memory_is_refused(backend: Any) -> None:
    with pytest.raises(BufferError):
        backend.Counters(memoryview(bytes(8)))
    with pytest.raises(ValueError, match="whole cells"):
        backend.Counters(bytearray(12))
    assert len(backend.Counters(bytearray(0))) == 0


def test_processes_count_together(backend: Any) -> None:
    counters = backend.Counters(mmap.mmap(-1, 16))
    for _ in range(2):
        if (pid := os.fork()) == 0:
            counters.add(1, 21)
            os._exit(0)
        os.waitpid(pid, 0)
    assert (counters.get(0), counters.get(1)) == (0, 42)
