"""Counters in shared memory: the twins agree, and processes see each other's."""

import mmap
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

CELLS = 4
number = st.integers(min_value=-2, max_value=2**64 + 1)
cell = st.integers(-2, CELLS + 1)
step = st.one_of(
    st.tuples(st.sampled_from(["add", "set"]), cell, number),
    st.tuples(st.just("get"), cell),
    st.tuples(st.just("values"), cell, cell),
)


def play(twin: Any, steps: list[tuple[Any, ...]]) -> tuple[list[Any], bytes]:
    memory = bytearray(CELLS * 8)
    counters = twin.Counters(memory)
    said: list[Any] = []
    for what, *arguments in steps:
        try:
            said.append(getattr(counters, what)(*arguments))
        except (IndexError, ValueError) as error:
            said.append((type(error), str(error)))
    del counters
    return said, bytes(memory)


@given(st.lists(step, max_size=30))
def test_the_twins_agree(both: tuple[Any, Any], steps: list[tuple[Any, ...]]) -> None:
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
