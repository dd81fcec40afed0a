"""Run one call for many Spaces in parallel, within the Hub's rate limit.

Come here to change how fast bulk operations send, or how they stop. The queue waits for the rate limit, and
not each call on its own. So no call waits for two windows, parallel calls do not exceed the limit together,
and a stop takes effect between two requests.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from airflow_provider_hfspaces.hub.errors import HubRateLimited
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.quota import RateBudget
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy

__all__ = [
    "PARALLEL_LOOKS",
    "Quota",
    "Result",
    "Stopped",
    "in_parallel",
    "queue_client",
    "stoppable_sleep",
]

T = TypeVar("T")
R = TypeVar("R")

PARALLEL_LOOKS = 8
"""Number of Spaces that work without a limit of its own looks at together."""

_TICK_SECONDS = 0.2
"""Interval between two checks of the stop event."""

_STOP_GRACE_SECONDS = 3.0
"""Time for requests that are under way when the queue is stopped.

A process that gets a signal to stop is often killed after five seconds."""

_LONG_WAIT_SECONDS = 30.0
"""Wait for the rate limit after which the rest of a batch is prepared again."""

_MAX_REFUSALS = 20
"""Number of times that one item is sent again after a 429."""


class Stopped(Exception):
    """The queue was stopped before this request was sent."""


class Quota:
    """Decides from the Hub's rate-limit headers when the next of several parallel items may start.

    Items in flight count too, so that parallel requests never exceed a window.

    :param budget: the rate limit, as the Hub's last answers reported it.
    :param per_item: number of requests that each item sends; by default 1.
    :param clock: returns the current time in seconds.
    """

    def __init__(
        self, budget: RateBudget, *, per_item: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._budget, self._per_item, self._clock = budget, per_item, clock
        self._until = self._probed = 0.0

    def wait(self, under_way: int) -> float:
        """Return the seconds until another item may start; 0 if it may start now.

        :param under_way: number of items in flight.
        """
        now = self._clock()
        if now < self._until:
            return self._until - now
        remaining, reset = self._budget.remaining, self._budget.seconds_to_reset()
        closed = self._budget.wait()
        if closed or (remaining == 0 and reset):
            # The Hub reports whole seconds, rounded down.
            self._until = now + (reset or closed) + 1
            return self._until - now
        if remaining is None:
            return 0.0
        if not reset:
            # A new window: until its first answer, send only one item a second.
            if under_way and now - self._probed < 1:
                return _TICK_SECONDS
            self._probed = now
            return 0.0
        return _TICK_SECONDS if remaining < (under_way + 1) * self._per_item else 0.0

    def hold(self, seconds: float) -> None:
        """Send nothing for this number of seconds."""
        self._until = max(self._until, self._clock() + seconds)

    def seconds_for(self, items: int) -> float:
        """Return the seconds that these items have to wait for new windows; 0 if this window has room."""
        budget, requests = self._budget, items * self._per_item
        if budget.remaining is None or not (budget.quota and budget.window):
            return 0.0
        over = requests - (budget.remaining if budget.seconds_to_reset() else budget.quota)
        if over <= 0:
            return 0.0
        return budget.seconds_to_reset() + (over - 1) // budget.quota * budget.window


@dataclass(frozen=True)
class Result(Generic[T, R]):
    """The result of one item.

    :ivar item: the item.
    :ivar value: the return value of the function; ``None`` if it raised an exception.
    :ivar error: the exception that the function raised; ``None`` if it returned.
    """

    item: T
    value: R | None = None
    error: Exception | None = None


def queue_client(client: HubClient, stop: threading.Event, parallel: int) -> HubClient:
    """Return a client for :func:`in_parallel`, which does not wait for rate limits itself.

    :param stop: an event that stops the queue. It also ends the client's waits between two tries.
    :param parallel: number of items at a time.
    """

    return client.queued(
        retry=RetryPolicy(total_rate_limited=0), sleep=stoppable_sleep(stop), connections=parallel
    )


def stoppable_sleep(stop: threading.Event) -> Callable[[float], None]:
    """Return a function that waits, and raises :class:`Stopped` if the event is set before or meanwhile."""

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise Stopped

    return sleep


def in_parallel(
    items: Iterable[T],
    act: Callable[[T], R],
    *,
    quota: Quota,
    parallel: int,
    stop: threading.Event,
    prepare: Callable[[Sequence[T]], Iterable[T]] = lambda batch: batch,
    batch: int = 100,
) -> Iterator[Result[T, R]]:
    """Call a function for each item, several at a time, and yield the results in the order in which they end.

    An item that fails with a 429 is called again later. After a stop, no new item starts, and items in flight
    are yielded if they end within 3 seconds.

    ::

        sender = queue_client(client, stop, 8)
        for result in in_parallel(
            repo_ids,
            lambda repo_id: sender.send(calls.pause(repo_id)),
            quota=Quota(client.budget),
            parallel=8,
            stop=stop,
        ):
            print(result.item, result.error or "paused")

    :param act: called with an item, in a thread. It sends its requests with a :func:`queue_client`.
    :param quota: decides when the next item may start.
    :param parallel: number of items at a time.
    :param stop: an event that stops the queue.
    :param prepare: called in this thread with the items of a batch before the first item starts, and again
        for items that waited long for the rate limit. It returns the items to continue with; by default all.
    :param batch: number of items in a batch; by default 100.
    :raises BaseException: of ``act``, if it is not an ``Exception``.
    """
    rest, ready = deque(items), deque[tuple[T, int]]()
    running: dict[Future[R], tuple[T, int]] = {}
    pool = ThreadPoolExecutor(parallel, thread_name_prefix="hf-spaces")

    def begin(item: T) -> R:
        if stop.is_set():
            raise Stopped
        return act(item)

    try:
        while (rest or ready or running) and not stop.is_set():
            held = 0.0
            while (rest or ready) and len(running) < parallel and not stop.is_set():
                held = quota.wait(len(running))
                if held:
                    if held > _LONG_WAIT_SECONDS:
                        rest.extendleft(item for item, _ in reversed(ready))
                        ready.clear()
                    break
                if not ready:
                    group = [rest.popleft() for _ in range(min(batch, len(rest)))]
                    ready.extend((item, 0) for item in prepare(group))
                    continue
                item, refusals = ready.popleft()
                running[pool.submit(begin, item)] = item, refusals
            if not running:
                # Not stop.wait(): the signal handler that sets the event may run in this thread.
                time.sleep(min(held, _TICK_SECONDS))
                continue
            for future in wait(running, _TICK_SECONDS, FIRST_COMPLETED).done:
                item, refusals = running.pop(future)
                again = _refusals_if_retried(future, refusals, quota)
                if again is not None:
                    ready.append((item, again))
                else:
                    yield from _results_of(item, future)
        if running:
            for future in wait(running, _STOP_GRACE_SECONDS).done:
                yield from _results_of(running[future][0], future)
    finally:
        pool.shutdown(wait=not stop.is_set(), cancel_futures=True)


def _refusals_if_retried(future: Future[R], refusals: int, quota: Quota) -> int | None:
    """Return the number of 429s so far if the item is called again; otherwise ``None``."""
    error = future.exception()
    if not isinstance(error, HubRateLimited) or refusals >= _MAX_REFUSALS:
        return None
    quota.hold(min(2.0**refusals, 60.0) if error.retry_after is None else error.retry_after + 1)
    return refusals + 1


def _results_of(item: T, future: Future[R]) -> Iterator[Result[T, R]]:
    error = future.exception()
    if isinstance(error, Stopped):
        return
    if isinstance(error, Exception):
        yield Result(item, error=error)
    elif error is not None:
        raise error
    else:
        yield Result(item, value=future.result())
