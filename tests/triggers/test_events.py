"""DAGs that start when something happens to a Space."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_hfspaces.assets import create_asset, repo_id_of, sanitize_uri, space_asset
from airflow_provider_hfspaces.compat.imports import AIRFLOW_3
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.operators.lifecycle import PauseSpaceOperator
from airflow_provider_hfspaces.triggers.events import SpaceEventTrigger
from tests.airflow_tools import stored

SPACE = "acme/whisper"


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


def watching(**options: Any) -> SpaceEventTrigger:
    return SpaceEventTrigger(**{"repo_id": SPACE, "poll_interval": 0.02, **options})


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 - the emulator has no events to wait for
        await asyncio.sleep(0.01)


async def events(hub: HubEmulator, stream: Any, number: int, *happen: Any) -> list[Any]:
    """So many events, while things happen one after the other, each of them when the last has been seen."""
    found: list[Any] = []

    async def collect() -> None:
        async for event in stream:
            found.append(event.payload)
            if len(found) == number:
                return

    collecting = asyncio.create_task(collect())
    for each in happen:
        seen = len(hub.requests) + 3
        await until(lambda seen=seen: len(hub.requests) >= seen)
        each()
    await asyncio.wait_for(collecting, 30)
    return found


def test_fires_when_a_space_enters_a_stage(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, stage="RUNTIME_ERROR")
    found = asyncio.run(
        events(
            hub,
            watching(stages=["RUNTIME_ERROR"]).run(),
            1,
            lambda: hub.world.space(SPACE).do("restart"),
            lambda: hub.advance(600),
            lambda: space.crash("Exit code: 1"),
        )
    )
    assert [(event["previous_stage"], event["stage"]) for event in found] == [("RUNNING", "RUNTIME_ERROR")]
    assert found[0]["error_message"] == "Exit code: 1"


def test_fires_when_the_hardware_changes(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    found = asyncio.run(
        events(
            hub,
            watching(hardware_changes=True).run(),
            1,
            lambda: hub.world.space(SPACE).request_hardware("t4-small", None),
            lambda: hub.advance(600),
        )
    )
    assert (found[0]["previous_hardware"], found[0]["hardware"]) == ("cpu-basic", "t4-small")


def test_trouble_with_the_hub_is_waited_out(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    hub.faults.add(kind="status", status=401, times=2)
    found = asyncio.run(
        events(
            hub,
            watching(stages="PAUSED").run(),
            1,
            hub.world.space(SPACE).visit,
            lambda: None,
            lambda: hub.world.space(SPACE).do("pause"),
        )
    )
    assert found[0]["stage"] == space.stage == "PAUSED"


def test_siblings_share_a_stream_and_each_gets_its_own(hub: HubEmulator) -> None:
    a, b = hub.add_space("acme/a"), hub.add_space("acme/b")
    first = watching(repo_id="acme/a", stages="RUNTIME_ERROR")
    second = watching(repo_id="acme/b", stages="RUNTIME_ERROR")
    assert first.shared_stream_key() == second.shared_stream_key()
    assert watching(repo_id="else/b", stages="PAUSED").shared_stream_key() != first.shared_stream_key()

    async def share() -> list[Any]:
        queues: list[asyncio.Queue[Any]] = [asyncio.Queue(), asyncio.Queue()]

        async def pump() -> None:
            _, arguments = first.serialize()
            async for raw in SpaceEventTrigger.open_shared_stream(arguments):
                for queue in queues:
                    queue.put_nowait(raw)

        async def drain(queue: asyncio.Queue[Any]) -> Any:
            while True:
                yield await queue.get()

        pumping = asyncio.create_task(pump())
        both = asyncio.gather(
            events(hub, first.filter_shared_stream(drain(queues[0])), 1, a.crash),
            events(hub, second.filter_shared_stream(drain(queues[1])), 1, lambda: None, b.crash),
        )
        found = await both
        pumping.cancel()
        return [event["repo_id"] for each in found for event in each]

    assert asyncio.run(share()) == ["acme/a", "acme/b"]


class Store:
    """What Airflow 3.3 keeps of a watcher."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def aget(self, key: str) -> Any:
        return self.values.get(key)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = value


def test_what_happened_while_no_triggerer_ran_is_not_missed(hub: HubEmulator) -> None:
    space, store = hub.add_space(SPACE), Store()

    async def first_look() -> None:
        before = watching(stages="RUNTIME_ERROR")
        before.asset_state_store = store
        run = asyncio.create_task(events(hub, before.run(), 1))
        await until(lambda: store.values)
        run.cancel()

    asyncio.run(first_look())
    space.crash()
    after = watching(stages="RUNTIME_ERROR")
    after.asset_state_store = store
    assert asyncio.run(events(hub, after.run(), 1))[0]["stage"] == "RUNTIME_ERROR"


def test_is_stored_the_same_each_time() -> None:
    one = watching(stages=["PAUSED", "RUNTIME_ERROR"])
    assert one.serialize() == watching(stages={"RUNTIME_ERROR", "PAUSED"}).serialize()
    assert stored(one).repo_id == SPACE


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stages": []}, "At least one stage"),
        ({"stages": "BROKEN"}, "no stage 'BROKEN'"),
        ({"stages": "PAUSED", "repo_id": "whisper"}, "names no owner"),
    ],
)
def test_what_cannot_be_watched_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        watching(**options)


class TestAssets:
    def test_stand_for_spaces(self) -> None:
        asset = space_asset("https://huggingface.co/spaces/acme/whisper")
        assert asset.uri == "hf-space://acme/whisper"
        assert repo_id_of(asset) == SPACE
        assert create_asset(owner="acme", name="whisper").uri == asset.uri
        assert repo_id_of(object()) is None

    def test_airflow_makes_their_addresses_one(self) -> None:
        for given in ("hf-space://acme/whisper", "hf-space://acme/whisper/"):
            assert sanitize_uri(urlsplit(given)).geturl() == "hf-space://acme/whisper"
        with pytest.raises(ValueError, match="no repo_id"):
            sanitize_uri(urlsplit("hf-space://acme/a..b"))

    def test_an_operators_outlet_says_what_has_become_of_the_space(self, hub: HubEmulator) -> None:
        from types import SimpleNamespace

        from tests.airflow_tools import FakeTaskInstance

        class Events:
            """As Airflow has them: one for each outlet."""

            def __init__(self) -> None:
                self.told: dict[str, Any] = {}

            def __getitem__(self, asset: Any) -> Any:
                return self.told.setdefault(asset.uri, SimpleNamespace(extra={}))

        hub.add_space(SPACE)
        own, other, told = space_asset(SPACE), space_asset("acme/other"), Events()
        operator = PauseSpaceOperator(task_id="pause", repo_id=SPACE, outlets=[other, own])
        operator.execute({"ti": FakeTaskInstance("pause"), "outlet_events": told})
        assert {uri: event.extra["stage"] for uri, event in told.told.items()} == {own.uri: "PAUSED"}


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2.11 has no asset watchers")
def test_goes_into_a_watcher() -> None:
    from airflow.sdk import AssetWatcher

    asset = space_asset(SPACE, watchers=[AssetWatcher(name="w", trigger=watching(stages="RUNTIME_ERROR"))])
    assert asset.watchers[0].trigger.repo_id == SPACE
