"""Each line of a log is shown exactly once, even if the process stops while it saves its position."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.logs.position import LogPosition
from airflow_provider_hfspaces.hub.logs.streams import LogStreams
from airflow_provider_hfspaces.space_log.progress import LogProgress
from airflow_provider_hfspaces.space_log.saving import Save
from airflow_provider_hfspaces.space_log.tail import SpaceLogTail
from airflow_provider_hfspaces.space_log.writer import LogLimits, SpaceLogWriter

SPACE = "acme/whisper"
LINES = [f"{kind} | line {number}" for kind in ("build", "run") for number in range(5)]

log = logging.getLogger(__name__)


class Store:
    """Keeps a progress, like Airflow's XComs. Its first save does not return.

    :param is_slow_before: whether the first save stops before it has begun to write.
    """

    def __init__(self, *, is_slow_before: bool = False) -> None:
        self.values: dict[str, Any] | None = None
        self.is_slow_before = is_slow_before
        self.is_saving, self.has_saved = asyncio.Event(), asyncio.Event()

    async def save(self, values: dict[str, Any], may_begin: Callable[[], bool]) -> None:
        is_first = not self.is_saving.is_set()
        self.is_saving.set()
        if is_first and self.is_slow_before:
            await self.delay()
        if may_begin():
            self.values = values
        if is_first and not self.is_slow_before:
            await self.delay()
        self.has_saved.set()

    async def delay(self) -> None:
        """Wait until the process is cancelled."""
        with suppress(asyncio.CancelledError):  # A thread that saves is not cancelled either.
            await asyncio.Event().wait()

    def progress(self) -> LogProgress:
        if self.values is not None:
            return LogProgress.from_dict(self.values)
        return LogProgress(SPACE, {"build": LogPosition(), "run": LogPosition()})


async def show(hub: HubEmulator, store: Store, until: Callable[[], Any]) -> None:
    """Show the logs in one process, which stops when ``until`` returns."""
    async with AsyncHubClient(hub.token, endpoint=hub.url) as client:
        streams = LogStreams(client, asyncio.Semaphore(8))
        progress = store.progress()
        writer = SpaceLogWriter(progress, log, endpoint=hub.url, limits=LogLimits(1000, 1000))
        save: Save = store.save

        async def wait() -> None:
            async with SpaceLogTail(streams, progress, writer, log, save=save):
                await asyncio.sleep(60)

        process = asyncio.create_task(wait())
        await until()
        process.cancel()
        with suppress(asyncio.CancelledError):
            await process
        await asyncio.sleep(0)  # The tasks that show the logs end.
        await streams.close()


def shown_lines(caplog: pytest.LogCaptureFixture) -> Counter[str]:
    messages = [record.getMessage().removeprefix(f"{SPACE} ") for record in caplog.records]
    return Counter(message for message in messages if " | line " in message)


@pytest.mark.parametrize("is_slow_before", [False, True], ids=["has_begun", "has_not_begun"])
def test_no_line_is_lost_or_repeated_if_the_process_stops_during_a_save(
    hub: HubEmulator, caplog: pytest.LogCaptureFixture, is_slow_before: bool
) -> None:
    space = hub.add_space(SPACE)
    for line in LINES:
        kind, text = line.split(" | ")
        space.write_log(text, build=kind == "build")
    caplog.set_level(logging.INFO, logger=__name__)

    async def stop_and_continue() -> None:
        store = Store(is_slow_before=is_slow_before)
        await show(hub, store, store.is_saving.wait)
        await store.has_saved.wait()
        assert bool(shown_lines(caplog)) is bool(store.values) is not is_slow_before
        await show(hub, store, until_all_are_shown)

    async def until_all_are_shown() -> None:
        while set(shown_lines(caplog)) < set(LINES):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(stop_and_continue(), 60))
    assert shown_lines(caplog) == Counter(LINES)
