"""Thousands of waits in one triggerer do not hold up its event loop while they begin."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.collector import MANY_WAITS, QuietCollector
from airflow_provider_hfspaces.triggers.loading import open_waits
from tests.airflow_tools import connection

FIRST_TRIGGER = """
import asyncio, importlib.abc, json, sys, threading, time

from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.triggers.spaces import SpaceTrigger

threads = {}


class Noting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.startswith("airflow_provider_hfspaces."):
            threads[name] = threading.current_thread() is threading.main_thread()


sys.meta_path.insert(0, Noting())


async def run():
    trigger = SpaceTrigger(repo_id="acme/whisper", goal=Goal(), deadline=time.time() + 60)
    return [event.payload["status"] async for event in trigger.run()]


status = asyncio.run(run())
print(json.dumps([status, threads]))
"""


@pytest.fixture(autouse=True)
def _thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_the_first_trigger_imports_what_it_runs_on_in_a_thread(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_space("acme/whisper")
    monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub))
    result = subprocess.run(
        [sys.executable, "-c", FIRST_TRIGGER], capture_output=True, text=True, timeout=120, check=True
    )
    status, in_main_thread = json.loads(result.stdout.splitlines()[-1])
    assert status == ["reached"]
    package = "airflow_provider_hfspaces"
    for module in ("triggers.watches", "hooks.hfspaces", "hub.http.aio", "space_app.health_check"):
        assert in_main_thread[f"{package}.{module}"] is False


class TestQuietCollector:
    def test_full_collections_are_rare_from_many_waits_on_until_few_are_left(self) -> None:
        gc.set_threshold(700, 10, 10)
        collector = QuietCollector()
        for _ in range(MANY_WAITS - 1):
            collector.begin()
        assert gc.get_threshold() == (700, 10, 10)
        for _ in range(3 * MANY_WAITS):
            collector.begin()
        assert gc.get_threshold() == (700, 10, 1000)
        for _ in range(3 * MANY_WAITS + MANY_WAITS // 2 - 1):
            collector.end()
        assert gc.get_threshold() == (700, 10, 1000)
        collector.end()
        assert gc.get_threshold() == (700, 10, 10)

    def test_thresholds_that_others_have_set_stay(self) -> None:
        gc.set_threshold(700, 10, 10)
        collector = QuietCollector()
        for _ in range(MANY_WAITS):
            collector.begin()
        gc.set_threshold(50_000, 20, 5)
        for _ in range(MANY_WAITS):
            collector.end()
        assert gc.get_threshold() == (50_000, 20, 5)
        gc.set_threshold(50_000, 20, 5000)
        for _ in range(MANY_WAITS):
            collector.begin()
        assert gc.get_threshold() == (50_000, 20, 5000)

    def test_what_a_counted_coroutine_calls_is_not_counted_again(self) -> None:
        collector = QuietCollector()

        def call_in_wait() -> None:
            with collector.counting(), collector.counting():
                pass
            with collector.counting(), pytest.raises(KeyError), collector.counting():
                raise KeyError

        gc.set_threshold(700, 10, 10)
        for _ in range(MANY_WAITS - 2):
            collector.begin()
        contextvars.copy_context().run(call_in_wait)
        assert gc.get_threshold() == (700, 10, 10)
        collector.begin()
        with collector.counting():
            assert gc.get_threshold() == (700, 10, 1000)
        for _ in range(MANY_WAITS - 1):
            collector.end()
        assert gc.get_threshold() == (700, 10, 10)

    def test_waits_of_any_outcome_are_counted_once(self, hub: HubEmulator) -> None:
        gc.set_threshold(700, 10, 10)

        async def wait(conn_id: str, end: asyncio.Event | None = None) -> None:
            async with open_waits(conn_id):
                if end is not None:
                    await end.wait()

        async def run() -> tuple[int, int, int]:
            await asyncio.gather(*(wait("hf_spaces_default") for _ in range(3)))
            with pytest.raises(InvalidInput):
                await wait("nowhere")
            never = asyncio.Event()
            waits = [asyncio.ensure_future(wait("hf_spaces_default", never)) for _ in range(MANY_WAITS)]
            while gc.get_threshold()[2] == 10:  # noqa: ASYNC110 - the collector has no events
                await asyncio.sleep(0)
            during = gc.get_threshold()
            for each in waits:
                each.cancel()
            await asyncio.wait(waits)
            return during

        assert asyncio.run(asyncio.wait_for(run(), 60)) == (700, 10, 1000)
        assert gc.get_threshold() == (700, 10, 10)
