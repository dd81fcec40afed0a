"""The same for many Spaces: in parallel, as fast as the Hub's quota allows, and stopped at once.

The queue waits for the quota, not the calls in it: no call sits out two windows, none is refused
because others were quicker, and whoever stops the queue stops it between two requests.
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
from airflow_provider_hfspaces.hub.http.retry import RateBudget, RetryPolicy

__all__ = ["Done", "Quota", "Stopped", "in_parallel", "queue_client"]

T = TypeVar("T")
R = TypeVar("R")

_TICK = 0.2
"""Seconds between two looks whether to stop."""

_GRACE = 3.0
"""Seconds that requests under way get when the queue is stopped. Airflow gives a killed task five."""

_LONG = 30.0
"""Seconds of waiting after which the rest of a batch is prepared anew."""

_MOST_REFUSALS = 20
"""How often one call is put back for the Hub's rate limit."""


class Stopped(Exception):
    """The queue was stopped before this was sent."""


class Quota:
    """When the next request of several at once may go, by what the Hub has said of the quota.

    What is under way counts, so that no window is overdrawn.

    :param budget: what the Hub has said.
    """

    def __init__(self, budget: RateBudget, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget, self._clock = budget, clock
        self._until = self._probed = 0.0

    def wait(self, under_way: int) -> float:
        """Seconds until one more may go; 0 for now.

        :param under_way: how many requests have no answer yet.
        """
        now = self._clock()
        if now < self._until:
            return self._until - now
        left, reset = self._budget.remaining, self._budget.seconds_to_reset()
        closed = self._budget.wait()
        if closed or (left == 0 and reset):
            # The Hub tells whole seconds, rounded down.
            self._until = now + (reset or closed) + 1
            return self._until - now
        if left is None:
            return 0.0
        if not reset:
            # A new window, of which nothing is known until an answer has come.
            if under_way and now - self._probed < 1:
                return _TICK
            self._probed = now
            return 0.0
        return _TICK if left <= under_way else 0.0

    def hold(self, seconds: float) -> None:
        """Let nothing go for so many seconds."""
        self._until = max(self._until, self._clock() + seconds)

    def seconds_for(self, requests: int) -> float:
        """How long so many requests have to wait for new windows, 0 if this one has room for them."""
        budget = self._budget
        if budget.remaining is None or not (budget.quota and budget.window):
            return 0.0
        over = requests - (budget.remaining if budget.seconds_to_reset() else budget.quota)
        if over <= 0:
            return 0.0
        return budget.seconds_to_reset() + (over - 1) // budget.quota * budget.window


@dataclass(frozen=True)
class Done(Generic[T, R]):
    """What has become of one item.

    :ivar result: what the call returned; ``None`` with an error.
    :ivar error: what it raised.
    """

    item: T
    result: R | None = None
    error: Exception | None = None


def queue_client(client: HubClient, stop: threading.Event, parallel: int) -> HubClient:
    """A client for :func:`in_parallel`: leaves rate limits to the queue, and ends its waits with it."""

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise Stopped

    return client.queued(retry=RetryPolicy(total_rate_limited=0), sleep=sleep, connections=parallel)


def in_parallel(
    items: Iterable[T],
    act: Callable[[T], R],
    *,
    quota: Quota,
    parallel: int,
    stop: threading.Event,
    prepare: Callable[[Sequence[T]], Iterable[T]] = lambda batch: batch,
    batch: int = 100,
) -> Iterator[Done[T, R]]:
    """Do something to each item, several at once, and yield what has become of it as it is done.

    An item that meets the Hub's rate limit comes again later. When the queue is stopped, nothing new
    is sent; what was under way is yielded if it ends soon, the rest is not.

    :param act: called in threads, with the item; sends with a :func:`queue_client`.
    :param parallel: how many at once.
    :param stop: set to stop.
    :param prepare: called in this thread with the items of each batch before any of them is begun,
        and again with those that had to wait long for the quota; returns those to go on with.
    :param batch: how many items make a batch.
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
                    if held > _LONG:
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
                # Not stop.wait: the signal handler that stops the queue runs in this thread too.
                time.sleep(min(held, _TICK))
                continue
            for future in wait(running, _TICK, FIRST_COMPLETED).done:
                item, refusals = running.pop(future)
                again = _put_back(future, refusals, quota)
                if again is not None:
                    ready.append((item, again))
                else:
                    yield from _ended(item, future)
        if running:
            for future in wait(running, _GRACE).done:
                yield from _ended(running[future][0], future)
    finally:
        pool.shutdown(wait=not stop.is_set(), cancel_futures=True)


def _put_back(future: Future[R], refusals: int, quota: Quota) -> int | None:
    """How often it has been refused by now, if it is to come again for that."""
    error = future.exception()
    if not isinstance(error, HubRateLimited) or refusals >= _MOST_REFUSALS:
        return None
    quota.hold(min(2.0**refusals, 60.0) if error.retry_after is None else error.retry_after + 1)
    return refusals + 1


def _ended(item: T, future: Future[R]) -> Iterator[Done[T, R]]:
    error = future.exception()
    if isinstance(error, Stopped):
        return
    if isinstance(error, Exception):
        yield Done(item, error=error)
    elif error is not None:
        raise error
    else:
        yield Done(item, result=future.result())
