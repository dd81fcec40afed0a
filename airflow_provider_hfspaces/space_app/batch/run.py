"""SpaceBatch: run many items through an app, with a journal from which a later run continues."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from array import array
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Protocol

from airflow_provider_hfspaces.space_app.batch.claim import Claim
from airflow_provider_hfspaces.space_app.batch.engine import BatchLimits, Engine
from airflow_provider_hfspaces.space_app.batch.errors import BatchError, BatchStopped, InvalidItems
from airflow_provider_hfspaces.space_app.batch.folder import BatchFolder
from airflow_provider_hfspaces.space_app.batch.items import Item, ItemSource, digests_of, items_from
from airflow_provider_hfspaces.space_app.batch.journal import Journal, JournalState, Segment, fingerprint_of
from airflow_provider_hfspaces.space_app.batch.progress import Progress
from airflow_provider_hfspaces.space_app.batch.report import BatchReport
from airflow_provider_hfspaces.space_app.batch.results import read_manifest, write_results

__all__ = ["Sender", "SpaceBatch"]


class Sender(Protocol):
    """Sends the items of a batch to one endpoint of an app."""

    repo_id: str

    @property
    def request(self) -> Mapping[str, Any]:
        """The endpoint and the inputs that all items share, as plain JSON."""

    async def prepare(self) -> None:
        """Read what the app says of itself. Nothing runs in the app."""

    def check(self, item: Item) -> None:
        """Raise ``InvalidItems`` if the item does not fit the endpoint."""

    async def send(self, item: Item) -> Any:
        """Send one item, and return the answer as JSON."""

    async def visit(self) -> None:
        """Send a request that runs nothing, which keeps the Space awake."""


class SpaceBatch:
    """Run many items through the app of a Space. Each item ends exactly once in the results.

    ::

        batch = SpaceBatch(sender, items=Path("items.jsonl"), output=Path("captions"))
        report = asyncio.run(batch.run())
        print(report.in_words())

    The output folder holds ``results.jsonl`` with one line for each item, in the order of the items, and
    ``manifest.json``, which is written last. Its folder ``_journal`` is what a later run continues from after
    a crash or an error. A call may run more than once in the app: if its answer is lost, or if the process
    dies before the answer is in the journal.

    :param sender: where the items go.
    :param items: a list of JSON values, or a path-like object of a JSON Lines file.
    :param output: a path-like object of a folder, on a disk or in an object storage.
    :param holder: who runs the batch. A later batch of the same holder takes the folder over at once; by
        default it is this process.
    :param limits: how many calls are open at a time, and when the batch ends early.
    :param key: the field of the items that identifies each of them in the results.
    :param recover: waits until the app answers again, after this error.
    :param machine: returns what the app runs on, such as ``{"hardware": "t4-small", "replicas": 1}``.
    :param log: where progress goes.
    """

    def __init__(
        self,
        sender: Sender,
        items: Any,
        output: Any,
        *,
        holder: str | None = None,
        limits: BatchLimits | None = None,
        key: str | None = None,
        recover: Callable[[Exception], Awaitable[None]] | None = None,
        machine: Callable[[], dict[str, Any]] = dict,
        log: logging.Logger | None = None,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        self._sender = sender
        self._source: ItemSource = items_from(items)
        self._folder = BatchFolder(output)
        self._holder = holder or f"process {os.getpid()} on {socket.gethostname()}"
        self._limits = limits or BatchLimits()
        self._key = key
        self._recover, self._machine = recover, machine
        self._log = log or logging.getLogger(__name__)
        self._sleep = sleep
        self._name = f"Space {sender.repo_id}"
        self._digests: array[int] | None = None
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[Any] | None = None
        self._stopped: BatchError | None = None

    def check(self) -> int:
        """Read all items once and try the output folder, and return the number of items.

        :raises InvalidItems: for the first item that is not JSON, with its line or position.
        :raises InvalidOutput: if the output folder cannot be written.
        """
        if self._digests is None:
            digests = digests_of(self._checked_items())
            self._folder.check()
            self._digests = digests
        return len(self._digests)

    async def run(self) -> BatchReport:
        """Run the batch, or continue it.

        :raises InvalidInput: if the items, the output folder or the endpoint are not valid. Nothing was sent.
        :raises BatchError: if the batch ended before all items were done. The next run continues.
        """
        self._loop, self._running = asyncio.get_running_loop(), asyncio.current_task()
        try:
            await asyncio.to_thread(self.check)
            claim = await asyncio.to_thread(
                Claim.take, self._folder, self._holder, sleep=self._sleep_unless_stopped
            )
            try:
                return await self._run(claim)
            finally:
                await asyncio.to_thread(self._release, claim)
        except asyncio.CancelledError:
            if self._stopped is not None:
                raise self._stopped from None
            raise

    def stop(self, reason: str) -> None:
        """End the batch from another thread, or from a signal handler: cancel its calls, write the journal.

        :param reason: ends the message of the error that :meth:`run` raises.
        """
        self._stopped = BatchStopped(f"{self._name}: the batch was stopped: {reason}.")
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._interrupt)

    def _interrupt(self) -> None:
        if self._engine is not None:
            self._engine.stop(self._stopped)
        elif self._running is not None:
            self._running.cancel()

    async def _run(self, claim: Claim) -> BatchReport:
        assert self._digests is not None
        items = len(self._digests)
        journal = Journal(self._folder, fingerprint_of(self._sender.request), self._digests)
        state = await asyncio.to_thread(journal.read)
        segments = [Segment(self._machine())]
        engine = None
        if state.done < items:
            await self._prepare(state)
            engine = self._make_engine(claim, journal, state, segments)
            try:
                await engine.run()
            finally:
                self._engine = None
            state = await asyncio.to_thread(journal.read)
        else:
            self._log.info("%s: all %s items are already done.", self._name, f"{items:,}")
        report = self._report(items, state, engine)
        if engine is not None or await asyncio.to_thread(read_manifest, self._folder) is None:
            manifest = {"items": items, "done": report.done, "failed": report.failed, **self._sender.request}
            await asyncio.to_thread(write_results, self._folder, journal, items, manifest)
        return report

    async def _prepare(self, state: JournalState) -> None:
        """Check the items that are to be sent against what the app says of itself."""
        if self._stopped is not None:
            raise self._stopped
        await self._sender.prepare()
        await asyncio.to_thread(self._check_inputs, state)
        items = len(state.states)
        self._log.info(
            "%s: %s items, %s of them already done; at most %d calls at a time.",
            self._name,
            f"{items:,}",
            f"{state.done:,}",
            self._limits.max_in_flight,
        )

    def _check_inputs(self, state: JournalState) -> None:
        for item in self._remaining(state):
            self._sender.check(item)

    def _make_engine(
        self, claim: Claim, journal: Journal, state: JournalState, segments: list[Segment]
    ) -> Engine:
        options: dict[str, Any] = {} if self._recover is None else {"recover": self._recover}
        self._engine = engine = Engine(
            name=self._name,
            send=self._sender.send,
            remaining=self._remaining(state),
            journal=journal,
            claim=claim,
            limits=self._limits,
            progress=Progress(self._name, len(state.states), state.done, log=self._log),
            segments=segments,
            key_of=self._key_of,
            visit=self._sender.visit,
            log=self._log,
            **options,
        )
        return engine

    def _remaining(self, state: JournalState) -> Iterator[Item]:
        """The items without a result. Items that failed in an earlier run are sent again."""
        assert self._digests is not None
        number = 0
        for item in self._source:
            number += 1
            if item.index >= len(self._digests) or item.digest != self._digests[item.index]:
                raise self._changed(item.place)
            if not state.is_done(item.index):
                yield item
        if number < len(self._digests):
            raise self._changed(f"item {number}")

    def _changed(self, place: str) -> InvalidItems:
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
            repo_id=self._sender.repo_id,
            output=str(self._folder),
            results=self._folder.results,
            items=items,
            done=state.done,
            failed=state.failed,
            called=engine.called if engine else 0,
            repeated=state.repeated,
            segments=tuple(state.segments),
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
            self._log.warning("%s: the claim on %s stays: %s", self._name, self._folder, error)
