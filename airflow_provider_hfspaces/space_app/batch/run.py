"""SpaceBatch: send many items to an app, with a journal from which a later run continues. Start here."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from array import array
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from airflow_provider_hfspaces.space_app.batch.claim import Claim
from airflow_provider_hfspaces.space_app.batch.engine import LONGEST_BACKOFF_SECONDS, BatchLimits, Engine
from airflow_provider_hfspaces.space_app.batch.errors import (
    BatchError,
    BatchStalled,
    BatchStopped,
    InvalidItems,
)
from airflow_provider_hfspaces.space_app.batch.folder import BatchFolder
from airflow_provider_hfspaces.space_app.batch.items import Item, ItemSource, digests_of, items_from
from airflow_provider_hfspaces.space_app.batch.journal import Journal, JournalState, fingerprint_of
from airflow_provider_hfspaces.space_app.batch.outcomes import Outcome, outcome_of
from airflow_provider_hfspaces.space_app.batch.progress import Progress
from airflow_provider_hfspaces.space_app.batch.report import BatchReport
from airflow_provider_hfspaces.space_app.batch.results import read_manifest, write_results
from airflow_provider_hfspaces.space_app.batch.senders import Sender

__all__ = ["SpaceBatch"]


class SpaceBatch:
    """Sends many items to the app of a Space. Each item has exactly one line in the results.

    ::

        batch = SpaceBatch("acme/caption", items=Path("items.jsonl"), output=Path("captions"))
        report = asyncio.run(batch.run(GradioSender(app, "/predict", batch.folder)))
        print(report.in_words())

    The output folder contains ``results.jsonl``, with one line for each item in the order of the items, and
    ``manifest.json``, which is written last. After a crash or an error, a later run continues from the
    subfolder ``_journal``. An item may run more than once in the app: if its answer is lost, or if the
    process dies before the answer is in the journal.

    :param repo_id: the Space, as ``owner/name``.
    :param items: a list of JSON values, or the path object of a JSON Lines file.
    :param output: path object of a folder, on a disk or in an object storage.
    :param holder: name of the worker; by default one for this process. A later batch with this name takes
        over the folder at once.
    :param limits: limits on the calls, and conditions under which the batch ends early.
    :param key: field of the items whose value identifies each item in the results; by default none.
    :param recover: waits until the Space runs, and returns its machine, such as ``{"hardware": "t4-small",
        "replicas": 1}``. Called with ``None`` before anything is sent, and with the error after each
        interruption. It raises an exception if the Space will not run. By default it returns at once.
    :param log: logger for progress and warnings.
    :param sleep: waits for a number of seconds while the claim of another worker is watched.
    :ivar folder: the output folder.
    :ivar limits: the limits, which may be changed until :meth:`run`.
    """

    def __init__(
        self,
        repo_id: str,
        items: Any,
        output: Any,
        *,
        holder: str | None = None,
        limits: BatchLimits | None = None,
        key: str | None = None,
        recover: Callable[[Exception | None], Awaitable[dict[str, Any]]] | None = None,
        log: Any = None,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        self.folder = BatchFolder(output)
        self._repo_id = repo_id
        self._source: ItemSource = items_from(items)
        self._holder = holder or f"process {os.getpid()} on {socket.gethostname()}"
        self.limits = limits or BatchLimits()
        self._key = key
        self._recover = recover or _nothing
        self._log = log or logging.getLogger(__name__)
        self._sleep = sleep
        self._name = f"Space {repo_id}"
        self._digests: array[int] | None = None
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[Any] | None = None
        self._stopped: BatchError | None = None

    def check(self) -> int:
        """Read all items, write a test file to the output folder, and return the number of items.

        :raises InvalidItems: for the first item that is not JSON, with its line or position.
        :raises InvalidOutput: if the output folder cannot be written.
        """
        if self._digests is None:
            digests = digests_of(self._checked_items())
            self.folder.check()
            self._digests = digests
        return len(self._digests)

    async def run(self, sender: Sender) -> BatchReport:
        """Run the batch, or continue an earlier run.

        :param sender: sends the items to an endpoint of the app.
        :raises InvalidInput: if the items, the output folder or the endpoint are not valid. Nothing was sent.
        :raises BatchError: if the batch ended before all items were finished. The next run continues.
        """
        self._loop, self._running = asyncio.get_running_loop(), asyncio.current_task()
        try:
            await asyncio.to_thread(self.check)
            claim = await asyncio.to_thread(
                Claim.take, self.folder, self._holder, sleep=self._sleep_unless_stopped, log=self._log
            )
            try:
                return await self._run(sender, claim)
            finally:
                await asyncio.to_thread(self._release, claim)
        except asyncio.CancelledError:
            if self._stopped is not None:
                raise self._stopped from None
            raise

    def stop(self, reason: str) -> None:
        """End the batch from another thread or a signal handler: cancel its calls, and write the journal.

        :param reason: the reason in the error that :meth:`run` raises.
        """
        self._stopped = BatchStopped(f"{self._name}: the batch was stopped: {reason}.")
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._interrupt)

    def _interrupt(self) -> None:
        if self._engine is not None:
            self._engine.stop(self._stopped)
        elif self._running is not None:
            self._running.cancel()

    async def _run(self, sender: Sender, claim: Claim) -> BatchReport:
        assert self._digests is not None
        items = len(self._digests)
        journal = Journal(self.folder, fingerprint_of(sender.request), self._digests)
        state = await asyncio.to_thread(journal.read)
        engine = None
        if state.done < items:
            engine = await self._prepare(sender, claim, journal, state)
            self._engine = engine
            try:
                await engine.run()
            finally:
                self._engine = None
            state = await asyncio.to_thread(journal.read)
        else:
            self._log.info("%s: all %s items are already done.", self._name, f"{items:,}")
        report = self._report(items, state, engine)
        if engine is not None or await asyncio.to_thread(read_manifest, self.folder) is None:
            manifest = {"items": items, "done": report.done, "failed": report.failed, **sender.request}
            await asyncio.to_thread(write_results, self.folder, journal, items, manifest)
        return report

    async def _prepare(self, sender: Sender, claim: Claim, journal: Journal, state: JournalState) -> Engine:
        """Wait for the app, and compare the remaining items with its declaration."""
        if self._stopped is not None:
            raise self._stopped
        machine = await self._wait_for_app(sender)
        await asyncio.to_thread(self._check_inputs, sender, state)
        items = len(state.states)
        self._log.info(
            "%s: %s items, %s of them already done; at most %d calls at a time.",
            self._name,
            f"{items:,}",
            f"{state.done:,}",
            self.limits.max_in_flight,
        )
        return Engine(
            name=self._name,
            send=sender.send,
            remaining=self._remaining(state),
            journal=journal,
            claim=claim,
            limits=self.limits,
            progress=Progress(self._name, items, state.done, log=self._log),
            machine=machine,
            key_of=self._key_of,
            recover=self._recover,
            visit=sender.visit,
            log=self._log,
        )

    async def _wait_for_app(self, sender: Sender) -> dict[str, Any]:
        """Wait until the app sends its declaration, and return the machine on which it runs."""
        began, backoff = time.monotonic(), self.limits.backoff
        error: Exception | None = None
        while True:
            machine = await self._recover(error)
            try:
                await sender.prepare()
            except Exception as problem:
                if outcome_of(problem) not in (Outcome.UNAVAILABLE, Outcome.BUSY):
                    raise
                waited = time.monotonic() - began
                if waited > self.limits.stalled:
                    raise BatchStalled(
                        f"{self._name}: the app has not answered for {waited:.0f} seconds: {problem} Check "
                        f"on the Hub whether the Space is running, and run the batch again."
                    ) from problem
                error = problem
            else:
                return machine
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, LONGEST_BACKOFF_SECONDS)

    def _check_inputs(self, sender: Sender, state: JournalState) -> None:
        for item in self._remaining(state):
            sender.check(item)

    def _remaining(self, state: JournalState) -> Iterator[Item]:
        """Yield the items without a result, including the items that failed in an earlier run."""
        assert self._digests is not None
        number = 0
        for item in self._source:
            number += 1
            if item.index >= len(self._digests) or item.digest != self._digests[item.index]:
                raise self._changed_error(item.place)
            if not state.is_done(item.index):
                yield item
        if number < len(self._digests):
            raise self._changed_error(f"item {number}")

    def _changed_error(self, place: str) -> InvalidItems:
        return InvalidItems(
            f"items changed while the batch ran, at {place}. Write the items under a new name instead of "
            f"changing them."
        )

    def _checked_items(self) -> Iterator[Item]:
        for item in self._source:
            if self._key is not None and not (isinstance(item.value, Mapping) and self._key in item.value):
                raise InvalidItems(f"{item.place} has no field {self._key!r}, which key names.")
            yield item

    def _key_of(self, item: Item) -> Any:
        return None if self._key is None else item.value[self._key]

    def _report(self, items: int, state: JournalState, engine: Engine | None) -> BatchReport:
        return BatchReport(
            repo_id=self._repo_id,
            output=str(self.folder),
            results=self.folder.results,
            items=items,
            done=state.done,
            failed=state.failed,
            called=engine.called if engine else 0,
            repeated=state.repeated,
            segments=tuple(state.segments),
            own_segments=tuple(engine.segments) if engine else (),
            failures=tuple(engine.failures) if engine else (),
        )

    def _sleep_unless_stopped(self, seconds: float) -> None:
        self._sleep(seconds)
        if self._stopped is not None:
            raise self._stopped

    def _release(self, claim: Claim) -> None:
        try:
            claim.release()
        except (
            Exception
        ) as error:  # the batch's own error counts, and a claim that stays is only watched longer
            self._log.warning("%s: the claim on %s stays: %s", self._name, self.folder, error)


async def _nothing(error: Exception | None) -> dict[str, Any]:
    """Return an unknown machine: the default of ``recover``."""
    return {}
