"""Engine: sends the items of a batch to the app, with a limit on parallel calls, and journals the answers.

Come here to change how calls are repeated, or when a batch ends early. The engine runs on one event loop, and
uses the storage in threads, so that a slow storage does not block the calls.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.space_app.batch.claim import BEAT_SECONDS, Claim
from airflow_provider_hfspaces.space_app.batch.errors import (
    BatchError,
    BatchStalled,
    BatchStopped,
    BatchTimeout,
    ItemFailed,
    OutputFailed,
    TooManyFailures,
)
from airflow_provider_hfspaces.space_app.batch.items import Item
from airflow_provider_hfspaces.space_app.batch.journal import Journal, Segment, record_of
from airflow_provider_hfspaces.space_app.batch.outcomes import Outcome, outcome_of
from airflow_provider_hfspaces.space_app.batch.progress import Progress

__all__ = ["LONGEST_BACKOFF_SECONDS", "BatchLimits", "Engine"]

_ITEMS_PER_READ = 256
"""Number of items that are read from their source at a time."""

LONGEST_BACKOFF_SECONDS = 30.0
"""Longest wait before a call that the app did not accept is sent again."""

_CLEANUP_SECONDS = 3.0
"""Time that calls have to cancel themselves in the app when the batch ends early."""


@dataclass(frozen=True)
class BatchLimits:
    """Limits on the calls of a batch, and the conditions under which it ends early.

    ::

        SpaceBatch(repo_id, items, output, limits=BatchLimits(max_in_flight=16, max_failures=100))

    :ivar max_in_flight: number of calls in flight; by default 4.
    :ivar stop_on_item_error: end the batch at the first item that the app answers with an error; by default
        not.
    :ivar max_failures: end the batch when more items than this have failed in this run; by default no limit.
    :ivar max_tries: tries of an item whose calls are lost, before the item counts as failed; by default 5.
    :ivar timeout: seconds after which the batch ends; by default no limit.
    :ivar stalled: seconds without an answer from an unavailable app after which the batch ends; by default
        1,800.
    :ivar flush_items: number of records after which the journal is written; by default 500.
    :ivar flush_seconds: seconds after which the journal is written; by default 5.
    :ivar keep_awake: seconds without a call after which the app is visited; by default no visits.
    :ivar backoff: seconds before a call that the app did not accept is sent again, doubled each time up to
        30; by default 0.5.
    :ivar write_delays: seconds between the tries to write the journal; by default 1, 2 and 4.
    """

    max_in_flight: int = 4
    stop_on_item_error: bool = False
    max_failures: int | None = None
    max_tries: int = 5
    timeout: float | None = None
    stalled: float = 1800.0
    flush_items: int = 500
    flush_seconds: float = 5.0
    keep_awake: float | None = None
    backoff: float = 0.5
    write_delays: tuple[float, ...] = (1.0, 2.0, 4.0)


@dataclass
class Engine:
    """Sends items to the app, and writes the answers to the journal.

    :param name: the beginning of each message, such as ``Space acme/caption``.
    :param send: sends one item and returns the answer as JSON.
    :param remaining: the items to send, in their order.
    :param journal: receives the records.
    :param claim: the claim on the output folder, which the engine renews.
    :param limits: the limits of the batch.
    :param progress: counts the finished items.
    :param machine: the machine on which the app runs, such as its hardware and replicas.
    :param key_of: returns the user's key of an item.
    :param recover: called with an error; waits until the Space runs again, and returns its machine. It raises
        an exception if the Space will not run.
    :param visit: sends a request that runs nothing, to keep the app awake.
    :param log: receives messages.
    :ivar segments: the working times of this run, by machine. The last segment grows.
    """

    name: str
    send: Callable[[Item], Awaitable[Any]]
    remaining: Iterator[Item]
    journal: Journal
    claim: Claim
    limits: BatchLimits
    progress: Progress
    machine: dict[str, Any]
    key_of: Callable[[Item], Any]
    recover: Callable[[Exception], Awaitable[dict[str, Any]]]
    visit: Callable[[], Awaitable[None]]
    log: logging.Logger = field(default_factory=lambda: logging.getLogger(__name__))

    def __post_init__(self) -> None:
        self.segments = [Segment(self.machine)]
        self.called = 0
        self.repeated = 0
        self.failures: list[dict[str, Any]] = []
        self._failed = 0
        self._pending: list[bytes] = []
        self._fresh: list[Item] = []
        self._all_read = False
        self._recoveries = 0
        self._began = time.monotonic()
        self._last_answer = self._last_sent = self._segment_began = self._began
        self._stop: BatchError | None = None

    async def run(self) -> None:
        """Send all items, and return when each item has a record in the journal.

        :raises BatchError: if the batch ends early. The journal has the completed items.
        """
        self._reading, self._writing, self._recovering = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()
        self._stopping, self._full = asyncio.Event(), asyncio.Event()
        self._began = self._last_answer = self._last_sent = self._segment_began = time.monotonic()
        number = min(self.limits.max_in_flight, self.progress.remaining)
        workers = [asyncio.create_task(self._work()) for _ in range(number)]
        guards = [asyncio.create_task(each) for each in (self._flush_regularly(), self._beat(), self._end())]
        if self.limits.keep_awake:
            guards.append(asyncio.create_task(self._keep_awake(self.limits.keep_awake)))
        try:
            await _first_error(workers, guards)
        finally:
            await _cancel_all([*workers, *guards])
            await self._flush()

    def stop(self, error: BatchError | None = None) -> None:
        """End the batch early. Call this method from the event loop.

        :param error: the error that :meth:`run` raises; by default a :class:`BatchStopped`.
        """
        self._stop = error or BatchStopped(f"{self.name}: the batch was stopped.")
        self._stopping.set()

    async def _work(self) -> None:
        while (item := await self._next()) is not None:
            await self._call(item)

    async def _next(self) -> Item | None:
        async with self._reading:
            if not self._fresh and not self._all_read:
                self._fresh = await asyncio.to_thread(_take, self.remaining, _ITEMS_PER_READ)
                self._fresh.reverse()
                self._all_read = len(self._fresh) < _ITEMS_PER_READ
            return self._fresh.pop() if self._fresh else None

    async def _call(self, item: Item) -> None:
        began, tries, backoff = time.monotonic(), 0, self.limits.backoff
        while True:
            recoveries = self._recoveries
            self._last_sent = time.monotonic()
            self.called += 1
            tries += 1
            try:
                output = await self.send(item)
            except Exception as error:
                outcome = outcome_of(error)
                if outcome is Outcome.FATAL:
                    raise
                if outcome is Outcome.LOST and tries < self.limits.max_tries:
                    self.repeated += 1
                    self.log.info(
                        "%s: the call of item %d is lost; sending it again: %s", self.name, item.index, error
                    )
                elif outcome in (Outcome.LOST, Outcome.FAILED):
                    self._last_answer = time.monotonic()
                    await self._note_failure(item, error, tries, began)
                    return
                else:
                    # The call did not run.
                    tries -= 1
                    self.called -= 1
                if outcome is not Outcome.BUSY:
                    # Also after a lost call, because the Space may run on other hardware now.
                    await self._recover(error, recoveries)
                await self._pause(error, backoff)
                backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
            else:
                self._last_answer = time.monotonic()
                await self._note(item, tries, began, output=output)
                return

    async def _note(self, item: Item, tries: int, began: float, **outcome: Any) -> None:
        seconds = time.monotonic() - began
        key = self.key_of(item)
        record = record_of(item.index, item.digest, key=key, tries=tries, seconds=seconds, **outcome)
        self._pending.append(record)
        self.progress.note(is_result="error" not in outcome)
        if len(self._pending) >= self.limits.flush_items:
            self._full.set()
        if len(self._pending) >= 4 * self.limits.flush_items:
            # The storage is slower than the app.
            await self._flush()

    async def _note_failure(self, item: Item, error: Exception, tries: int, began: float) -> None:
        described = {"type": type(error).__name__, "message": str(error)}
        await self._note(item, tries, began, error=described)
        self._failed += 1
        if len(self.failures) < 10:
            self.failures.append({"index": item.index, "place": item.place, **described})
        if self._failed <= 3:
            self.log.warning("%s: item %d (%s) failed: %s", self.name, item.index, item.place, error)
        if self.limits.stop_on_item_error:
            raise ItemFailed(
                f"{self.name}: item {item.index} ({item.place}) failed: {error} Correct the item and run the "
                f"batch again, or let the batch continue after failed items."
            ) from error
        if self.limits.max_failures is not None and self._failed > self.limits.max_failures:
            raise TooManyFailures(
                f"{self.name}: {self._failed} items failed, and max_failures is {self.limits.max_failures}. "
                f"The last one is item {item.index} ({item.place}): {error}"
            ) from error

    async def _recover(self, error: Exception, recoveries: int) -> None:
        """Wait until the app answers again. Of several failed calls, only the first waits for the Space."""
        async with self._recovering:
            if self._recoveries == recoveries:
                self._use_machine(await self.recover(error))
                self._recoveries += 1
            silent = time.monotonic() - self._last_answer
            if silent > self.limits.stalled:
                raise BatchStalled(
                    f"{self.name}: the app has answered no item for {silent:.0f} seconds: {error} The next "
                    f"run with the same output folder continues."
                ) from error

    async def _pause(self, error: Exception, backoff: float) -> None:
        requested = getattr(error, "retry_after", None)
        await asyncio.sleep(requested or backoff * random.uniform(0.5, 1.0))

    async def _flush_regularly(self) -> None:
        while True:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._full.wait(), self.limits.flush_seconds)
            self._full.clear()
            await self._flush()
            self.progress.show_if_quiet()

    async def _flush(self) -> None:
        async with self._writing:
            records, self._pending = self._pending, []
            self._add_time()
            if records:
                segments = [Segment(each.machine, each.seconds) for each in self.segments]
                try:
                    await self._write(segments, records)
                except BaseException:
                    self._pending = records + self._pending
                    raise

    async def _write(self, segments: list[Segment], records: list[bytes]) -> None:
        """Write records to the journal, and retry if the storage fails."""
        for delay in (*self.limits.write_delays, None):
            try:
                await asyncio.to_thread(self.journal.write, self.claim.name, segments, records)
                return
            except Exception as error:  # noqa: PERF203 - each storage raises errors of its own
                if delay is None:
                    raise OutputFailed(
                        f"{self.name}: {len(records)} answers cannot be written to the output folder: "
                        f"{error}. Check the storage. The next run sends their items again."
                    ) from error
                await asyncio.sleep(delay)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await asyncio.to_thread(self.claim.renew)

    async def _end(self) -> None:
        """Wait for the timeout or for :meth:`stop`, and raise the error that ends the batch."""
        try:
            await asyncio.wait_for(self._stopping.wait(), self.limits.timeout)
        except asyncio.TimeoutError:
            raise BatchTimeout(
                f"{self.name}: the batch did not end within {self.limits.timeout:.0f} seconds; "
                f"{self.progress.in_words()}. The next run with the same output folder continues."
            ) from None
        assert self._stop is not None
        raise self._stop

    async def _keep_awake(self, interval: float) -> None:
        while True:
            quiet = time.monotonic() - self._last_sent
            if quiet < interval:
                await asyncio.sleep(interval - quiet)
                continue
            self._last_sent = time.monotonic()
            try:
                await self.visit()
            except Exception as error:  # if the app is down, the calls themselves raise the error
                self.log.debug("%s: a visit to keep the app awake failed: %s", self.name, error)

    def _use_machine(self, machine: dict[str, Any]) -> None:
        """Count the working time for this machine from now on."""
        self._add_time()
        if machine != self.segments[-1].machine:
            before = ", ".join(f"{name} {value}" for name, value in self.segments[-1].machine.items())
            now = ", ".join(f"{name} {value}" for name, value in machine.items())
            self.log.warning("%s: the machine has changed, from %s to %s.", self.name, before, now)
            self.segments.append(Segment(machine))

    def _add_time(self) -> None:
        now = time.monotonic()
        self.segments[-1].seconds += now - self._segment_began
        self._segment_began = now


def _take(items: Iterator[Item], number: int) -> list[Item]:
    taken = []
    for item in items:
        taken.append(item)
        if len(taken) == number:
            break
    return taken


async def _first_error(workers: list[asyncio.Task[None]], guards: list[asyncio.Task[None]]) -> None:
    """Wait until all workers have ended, and raise the first exception of a worker or a guard."""
    running = {*workers, *guards}
    while any(not worker.done() for worker in workers):
        ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for each in ended:
            each.result()


async def _cancel_all(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel the coroutines, and wait up to 3 seconds for calls to cancel themselves in the app."""
    for each in tasks:
        each.cancel()
    await asyncio.wait(tasks, timeout=_CLEANUP_SECONDS)
    for each in tasks:
        if each.done() and not each.cancelled():
            each.exception()
