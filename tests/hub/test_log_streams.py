"""Logs are read over connections that break: every event reaches every reader once, and in order."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub import AsyncHubClient
from airflow_provider_hfspaces.hub.errors import HubPermissionError, HubUnavailable
from airflow_provider_hfspaces.hub.http.limits import AnswerLimits
from airflow_provider_hfspaces.hub.logs.event import LogEvent, seconds_of
from airflow_provider_hfspaces.hub.logs.position import LogPosition, LogReplay
from airflow_provider_hfspaces.hub.logs.streams import LogReading, LogStreams

SPACE = "acme/whisper"
LONG_SECONDS = 20.0
"""How long a test waits for events that have to come."""

T = TypeVar("T")


@pytest.fixture
def hub_time() -> dict[str, Any]:
    return {"speed": 0}


@asynccontextmanager
async def streams(hub: HubEmulator, slots: int = 8) -> AsyncIterator[LogStreams]:
    async with AsyncHubClient(hub.token, hub.url, connections=slots) as client:
        log_streams = LogStreams(client, asyncio.Semaphore(slots), pause=0.001)
        try:
            yield log_streams
        finally:
            await log_streams.close()


async def lines(reading: LogReading, number: int) -> list[str]:
    """Returns at least this number of lines: also the ones that arrive together with the last."""
    texts: list[str] = []
    ends = time.monotonic() + LONG_SECONDS
    while len(texts) < number:
        assert time.monotonic() < ends, f"{number - len(texts)} of {number} lines are missing after {texts}"
        texts += [event.text.rstrip("\n") for event in await reading.events(within=1)]
    return texts


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 4 * LONG_SECONDS))


def now(hub: HubEmulator) -> LogPosition:
    return LogPosition(since=float(int(hub.world.clock.now())))  # as the Date of an answer


@pytest.mark.parametrize(
    "seed", [*range(2), *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 60))]
)
def test_each_line_is_read_once_and_in_order_whatever_breaks_or_starts_again(
    hub: HubEmulator, seed: int
) -> None:
    chance = random.Random(seed)
    hub.settings.change({"logs_end": chance.choice(["never", "at_once"])})
    space = hub.add_space(SPACE)
    for _ in range(12):
        kind = chance.choice(["cut", "cut", "cut", "reset", "status", "truncate"])
        hub.faults.add(kind=kind, path="/logs/run$", frames=chance.randrange(12), times=1)
    expected: list[str] = []

    def write(number: int) -> int:
        texts = [f"line {len(expected) + each} äöü" for each in range(number)]
        space.write_log(*texts)
        expected.extend(texts)
        return number

    async def read() -> list[str]:
        position, lines_read = now(hub), []
        for _ in range(4):  # Each round is a process that continues where the one before has stopped.
            async with streams(hub) as log_streams, log_streams.read(SPACE, "run", position) as reading:
                for _ in range(3):
                    hub.advance(chance.choice([0, 0, 1]))
                    lines_read += await lines(reading, write(chance.randrange(1, 6)))
                position = LogPosition.from_dict(json.loads(json.dumps(reading.position.to_dict())))
            write(chance.randrange(3))
            if chance.random() < 0.5:
                hub.advance(1)
        async with streams(hub) as log_streams, log_streams.read(SPACE, "run", position) as reading:
            write(1)
            return [*lines_read, *await lines(reading, len(expected) - len(lines_read))]

    hub.advance(1)
    assert run(read()) == expected


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_a_position_survives_cuts_restarts_lost_beginnings_and_new_logs(first: int) -> None:
    for seed in range(first, first + 100):
        follow_a_log(seed)


def follow_a_log(seed: int) -> None:
    chance = random.Random(seed)
    is_orderly = chance.random() < 0.5
    log: list[LogEvent] = []
    moment, number, position = 100.0, 0, LogPosition(since=100.0)
    output: list[str] = []
    expected: list[str] = []

    def write() -> None:
        nonlocal moment, number
        moment += chance.choice([0, 0, 0, 1])
        output = (
            moment if is_orderly or not log else max(moment - chance.choice([0, 0, 1]), log[0].time or 0.0)
        )
        log.append(LogEvent(f"line {number}", output))
        expected.append(f"line {number}")
        number += 1

    for _ in range(30):
        for _ in range(chance.randrange(4)):
            write()
        if chance.random() < 0.1 and position.log is not None:
            # The next connection only sees the new log: nothing of the old one may be outstanding.
            texts, position = read_connection(log, position, len(log))
            output += texts
            log.clear()
            write()
        if is_orderly and chance.random() < 0.2 and len(log) > 3 and log[1].time != log[-1].time:
            texts, position = read_connection(log, position, len(log))
            output += texts
            del log[0]
        texts, position = read_connection(log, position, chance.randrange(len(log) + 1))
        output += texts
    output += read_connection(log, position, len(log))[0]
    assert output == expected, f"with seed {seed}"


def read_connection(log: list[LogEvent], position: LogPosition, length: int) -> tuple[list[str], LogPosition]:
    """Read a connection that breaks after ``length`` events. Returns the new lines and the new position."""
    if not log:
        return [], position
    replay = LogReplay(position, log[0])
    texts = [event.text for event in log[:length] if replay.is_new(event)]
    return texts, LogPosition.from_dict(json.loads(json.dumps(replay.position.to_dict())))


def test_a_first_event_that_differs_on_each_connection_does_not_repeat_the_log() -> None:
    log = [LogEvent(f"line {number}", 100.0 + number) for number in range(5)]
    texts, position = read_connection(log, LogPosition(since=100.0), 5)
    for moment in (200.0, 300.0):
        greeting = LogEvent(f"connected at {moment}", moment)
        log.append(LogEvent(f"line at {moment}", moment + 1))
        new_texts, position = read_connection([greeting, *log], position, len(log) + 1)
        texts += new_texts
    lines_read = [text for text in texts if text.startswith("line")]
    assert list(dict.fromkeys(lines_read)) == [event.text for event in log]
    assert len(lines_read) <= len(log) + 2  # the newest line of each earlier connection


def test_reading_begins_at_the_given_moment_and_not_with_the_whole_log(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    space.write_log("old")
    hub.advance(5)

    async def read() -> list[str]:
        async with streams(hub) as log_streams, log_streams.read(SPACE, "run", now(hub)) as reading:
            space.write_log("new")
            return await lines(reading, 1)

    assert run(read()) == ["new"]


def test_all_readers_of_a_log_share_one_connection(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    hub.advance(5)

    async def read() -> list[list[str]]:
        async with streams(hub) as log_streams:
            begin = now(hub)
            readings = [log_streams.read(SPACE, "run", begin) for _ in range(50)]
            for reading in readings[:25]:
                await reading.__aenter__()
            space.write_log("first")
            assert await lines(readings[0], 1) == ["first"]
            for reading in readings[25:]:
                await reading.__aenter__()
            space.write_log("second")
            texts = [["first", *await lines(readings[0], 1)]]
            texts += [await lines(reading, 2) for reading in readings[1:]]
            for reading in readings:
                await reading.__aexit__(None, None, None)
            return texts

    assert run(read()) == [["first", "second"]] * 50
    assert sum("/logs/" in request.path for request in hub.requests) == 1


def test_a_reader_that_joins_a_long_log_late_gets_all_of_it(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    hub.advance(5)
    texts = [f"line {number}" for number in range(1_500)]

    async def read() -> list[str]:
        async with streams(hub) as log_streams:
            begin = now(hub)
            space.write_log(*texts)
            async with log_streams.read(SPACE, "run", begin) as first:
                assert await lines(first, 1_500) == texts
                async with log_streams.read(SPACE, "run", begin) as second:
                    lines_read = await lines(second, 1_500)
                    space.write_log("last")
                    assert await lines(first, 1) == ["last"]
                    return [*lines_read, *await lines(second, 1)]

    assert run(read()) == [*texts, "last"]


def test_a_log_beyond_the_bound_is_read_when_another_one_has_no_readers_left(hub: HubEmulator) -> None:
    space, other = hub.add_space(SPACE), hub.add_space("acme/other")
    hub.advance(5)

    async def read() -> list[str]:
        async with streams(hub, slots=1) as log_streams:
            begin = now(hub)
            async with log_streams.read(SPACE, "run", begin) as reading:
                space.write_log("a")
                assert await lines(reading, 1) == ["a"]
                waiting = log_streams.read("acme/other", "run", begin)
                await waiting.__aenter__()
                other.write_log("b")
                assert waiting.is_queued
                assert await waiting.events(within=0.1) == []
            texts = await lines(waiting, 1)
            assert not waiting.is_queued
            await waiting.__aexit__(None, None, None)
            return texts

    assert run(read()) == ["b"]


@pytest.mark.parametrize("frames", range(1, 8))
def test_a_line_beyond_the_limit_is_left_out_and_the_others_are_read_once(
    hub: HubEmulator, frames: int
) -> None:
    space = hub.add_space(SPACE)
    hub.advance(5)
    hub.faults.add(kind="cut", path="/logs/run$", frames=frames, times=1)

    async def read() -> list[str]:
        limits = AnswerLimits(max_line=50_000)
        async with AsyncHubClient(hub.token, hub.url, limits=limits) as client:
            log_streams = LogStreams(client, asyncio.Semaphore(1), pause=0.001)
            async with log_streams.read(SPACE, "run", now(hub)) as reading:
                for text in ("before", "x" * 300_000, "after", "last"):
                    space.write_log(text)
                texts = await lines(reading, 4)
            await log_streams.close()
            return texts

    left_out = "… A line of more than 50,000 characters is left out."
    assert run(read()) == ["before", left_out, "after", "last"]


def test_an_outage_is_reported_once_and_survived(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    hub.advance(5)
    hub.faults.add(kind="status", status=503, path="/logs/", times=4)

    async def read() -> list[str]:
        async with streams(hub) as log_streams, log_streams.read(SPACE, "run", now(hub)) as reading:
            space.write_log("after the outage")
            while not (events := await reading.events(within=LONG_SECONDS)):
                assert isinstance(reading.trouble, HubUnavailable)
            return [event.text for event in events]

    assert run(read()) == ["after the outage\n"]


def test_a_log_that_the_token_may_not_read_is_reported_at_once(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    hub.faults.add(kind="status", status=403, path="/logs/", message="no access")

    async def read() -> Any:
        async with streams(hub) as log_streams, log_streams.read(SPACE, "run", now(hub)) as reading:
            assert await reading.events(within=LONG_SECONDS) == []
            return reading.trouble

    assert isinstance(run(read()), HubPermissionError)
    assert sum("/logs/" in request.path for request in hub.requests) == 1


def test_a_reader_that_fetches_nothing_costs_little_memory_and_learns_of_its_loss(
    hub: HubEmulator,
) -> None:
    space = hub.add_space(SPACE)
    hub.advance(5)

    async def read() -> tuple[int, int]:
        async with streams(hub) as log_streams:
            begin = now(hub)
            async with (
                log_streams.read(SPACE, "run", begin) as slow,
                log_streams.read(SPACE, "run", begin) as quick,
            ):
                space.write_log(*[f"line {number}" for number in range(3_000)])
                await lines(quick, 3_000)
                return len(await slow.events(within=1)), slow.left_out

    memory, left_out = run(read())
    assert memory + left_out == 3_000
    assert left_out >= 1_000


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        ("2026-06-20T01:09:43Z", 1781917783.0),
        ("2026-06-20T01:09:43.5Z", 1781917783.5),
        ("2026-06-20T01:09:43.123456789Z", 1781917783.123456),
        ("2026-06-20T03:09:43+02:00", 1781917783.0),
        ("2026-06-20 03:09:43+0200", 1781917783.0),
        ("2026-06-20T01:09:43", 1781917783.0),
        ("2026-13-20T01:09:43Z", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (17, None),
    ],
)
def test_timestamps_of_any_precision_are_read(timestamp: Any, seconds: float | None) -> None:
    assert seconds_of(timestamp) == seconds
