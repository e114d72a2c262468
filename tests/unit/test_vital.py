"""What fails in the threads that a worker cannot do without."""

import pytest

from ttp.worker.vital import Vital


def test_the_first_failure_stays() -> None:
    vital = Vital()
    with vital:
        pass
    vital.check()
    with vital:
        raise MemoryError
    with vital:
        raise ValueError
    with vital:
        pass
    with pytest.raises(MemoryError):
        vital.check()


def test_a_thread_ends_without_a_word_of_its_own() -> None:
    def work() -> None:
        raise MemoryError("nobody else is told")

    vital = Vital()
    thread = vital.thread("vital", work)
    thread.start()
    thread.join()
    with pytest.raises(MemoryError, match="nobody else"):
        vital.check()
