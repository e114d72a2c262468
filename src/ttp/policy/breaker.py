"""Whether a dependency that tasks call is worth calling now. No I/O."""

import functools
import inspect
import math
import random
import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Literal, ParamSpec, TypeVar

from ttp.errors import CircuitOpen, TaskTimeout
from ttp.policy.clock import Clock
from ttp.policy.window import Window

P = ParamSpec("P")
R = TypeVar("R")

State = Literal["closed", "open", "half_open"]

TRIALS_PASS = 0.8  # of the trial calls must succeed
RAMP_FROM = 0.1  # of the calls are let through just after recovery
REFUSED_WAIT = 1.0  # seconds within which a call that had no room in a trial or ramp is tried again


def dependency_failed(error: BaseException) -> bool:
    """Whether an exception says that the dependency, not the call, is at fault.

    True for ConnectionError, TimeoutError, `TaskTimeout`, and for errors of HTTP clients that carry a status
    of 500 or more (as ``error.response.status_code``, ``error.status`` or ``error.code``).
    """
    if isinstance(error, (ConnectionError, TimeoutError, TaskTimeout)):
        return True
    of_response = getattr(getattr(error, "response", None), "status_code", None)
    status = of_response or getattr(error, "status", None) or getattr(error, "code", None)
    return isinstance(status, int) and 500 <= status <= 599


class CircuitBreaker:
    """One for each dependency: a database, a service. Share it between all tasks that call the dependency.

    Closed, calls pass and are counted. It opens when, of at least min_calls in the window, failure_rate failed
    or slow_rate were slow. Open, nothing passes for `wait` seconds (doubled each time, up to max_wait). Then
    it is half open: up to `trials` calls at a time pass; if 4 of 5 succeed it closes, and lets 10 % of the calls
    pass, rising to all within `ramp` seconds; else it opens again.

    Use it with ``@app.task(breaker=…)``: tasks are then put off, unfailed and with their attempt unchanged,
    while it is open. Or use it anywhere as a decorator (of functions and coroutine functions) or context manager
    (sync and async): these raise `CircuitOpen` while it is open, and a handler that lets that out is put off too.

    Args:
        name: of the dependency, for logs and metrics.
        failure_rate: of the calls in the window that failed, above or at which it opens; over 0, at most 1.
        slow_rate: likewise of the slow calls.
        slow_after: seconds above which a call is slow; None: no call is.
        min_calls: calls in the window below which it never opens.
        window: seconds.
        wait: seconds it stays open at first.
        max_wait: seconds it stays open at most.
        trials: calls that decide when it is half open.
        ramp: seconds until all calls pass again.
        retry_budget: retries per call in the window, above which retries wait for the policy's max_delay.
        failure: whether an exception counts as a failure of the dependency; others count as success.
        clock: what it goes by.
        rng: source of jitter.
    """

    def __init__(
        self,
        name: str,
        *,
        failure_rate: float = 0.5,
        slow_rate: float = 0.8,
        slow_after: float | None = None,
        min_calls: int = 20,
        window: float = 10.0,
        wait: float = 5.0,
        max_wait: float = 60.0,
        trials: int = 5,
        ramp: float = 10.0,
        retry_budget: float = 0.1,
        failure: Callable[[BaseException], bool] = dependency_failed,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        for what, rate in (("failure_rate", failure_rate), ("slow_rate", slow_rate)):
            if not 0 < rate <= 1:
                raise ValueError(f"{what} must be over 0 and at most 1, not {rate}")
        for what, number in (("min_calls", min_calls), ("trials", trials)):
            if number < 1:
                raise ValueError(f"{what} must be at least 1, not {number}")
        if window <= 0 or not 0 < wait <= max_wait:
            raise ValueError("window and wait must be positive, and max_wait no less than wait")
        if ramp < 0 or retry_budget < 0:
            raise ValueError("ramp and retry_budget must not be negative")
        self.name = name
        self.failure = failure
        self.slow_after = math.inf if slow_after is None else slow_after
        self._failure_rate, self._slow_rate = failure_rate, slow_rate
        self._min_calls, self._trials = min_calls, trials
        self._wait, self._first_wait, self._max_wait = wait, wait, max_wait
        self._ramp = ramp
        self._retry_budget = retry_budget
        self._clock = clock or Clock()
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._lock = threading.Lock()
        self._calls = Window(window)  # calls, failures, slow
        self._retries = Window(window)
        self._open = False
        self._until = 0.0  # open until then; half open after that
        self._closed_at = -math.inf  # when it last recovered
        self._epoch = 0
        self._trial_ends = 0.0  # when trial calls that never reported are given up
        self._passed = self._failed = 0  # of the trials
        self._entered: ContextVar[tuple[tuple[float, int], ...]] = ContextVar(f"breaker {name}", default=())

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.name!r}, {self.state}>"

    @property
    def state(self) -> State:
        """Closed, open (nothing passes) or half open (trials pass)."""
        if not self._open:
            return "closed"
        return "open" if self._clock.monotonic() < self._until else "half_open"

    @property
    def epoch(self) -> int:
        """Grows with each change of state. Handed to `record`, it keeps calls of an earlier state from counting."""
        return self._epoch

    # decisions

    def admit(self, calls: int = 1) -> int:
        """How many of so many calls may be made now. Each must be recorded."""
        if not self._open and self._closed_at == -math.inf:
            return calls  # never tripped: no lock, no clock
        with self._lock:
            now = self._clock.monotonic()
            if not self._open:
                if (since := now - self._closed_at) >= self._ramp:
                    self._closed_at = -math.inf
                    return calls
                share = RAMP_FROM + (1 - RAMP_FROM) * since / self._ramp
                return min(calls, int(calls * share + self._rng.random()))
            if now < self._until or now < self._trial_ends:
                return 0
            self._trial_ends = now + self._wait
            return min(calls, self._trials - self._passed - self._failed)

    def retry_after(self) -> float:
        """Seconds that a call which was not admitted had better wait, with jitter."""
        with self._lock:
            rest = self._until - self._clock.monotonic() if self._open else 0.0
            return rest + self._rng.random() * self._wait if rest > 0 else self._rng.random() * REFUSED_WAIT

    def record(self, calls: int = 1, *, failures: int = 0, slow: int = 0, epoch: int | None = None) -> None:
        """Count calls that have ended."""
        with self._lock:
            if epoch is not None and epoch != self._epoch:
                return
            now = self._clock.monotonic()
            if not self._open:
                self._calls.add(now, calls, failures, slow)
                total, failed, slowed = self._calls.sums(now, 3)
                if total >= self._min_calls and (
                    failed >= self._failure_rate * total or slowed >= self._slow_rate * total
                ):
                    self._trip(now)
            elif now >= self._until:
                bad = max(failures, slow)
                self._failed += bad
                self._passed += calls - bad
                self._trial_ends = 0.0
                needed = math.ceil(TRIALS_PASS * self._trials)
                if self._failed > self._trials - needed:
                    self._wait = min(self._max_wait, self._wait * 2)
                    self._trip(now)
                elif self._passed >= needed:
                    self._open = False
                    self._closed_at = now
                    self._wait = self._first_wait
                    self._reset()

    def may_retry(self) -> bool:
        """Whether one more retry is within the budget; if so, it is counted."""
        with self._lock:
            now = self._clock.monotonic()
            (calls,) = self._calls.sums(now, 1)
            (retries,) = self._retries.sums(now, 1)
            if retries >= max(self._min_calls, self._retry_budget * calls):
                return False
            self._retries.add(now, 1)
            return True

    def _trip(self, now: float) -> None:
        self._open = True
        self._until = now + self._wait
        self._reset()

    def _reset(self) -> None:
        self._epoch += 1
        self._passed = self._failed = 0
        self._trial_ends = 0.0
        self._calls.clear()

    # for code of one's own

    def __enter__(self) -> None:
        if not self.admit():
            raise CircuitOpen(self.name, self.retry_after())
        entered = (self._clock.monotonic(), self._epoch)
        self._entered.set((*self._entered.get(), entered))

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        (*outer, (begun, epoch)) = self._entered.get()
        self._entered.set(tuple(outer))
        failed = error is not None and self.failure(error)
        slow = self._clock.monotonic() - begun > self.slow_after
        self.record(failures=int(failed), slow=int(slow), epoch=epoch)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Guard every call of a function or coroutine function."""
        call: Any = function
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self:
                    return await call(*args, **kwargs)

            return guarded_coroutine  # type: ignore[return-value]

        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                return function(*args, **kwargs)

        return guarded
