"""DAGs that start when something happens to a Space."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_hfspaces.assets import create_asset, repo_id_of, sanitize_uri, space_asset
from airflow_provider_hfspaces.compat.imports import AIRFLOW_3
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.operators.lifecycle import PauseSpaceOperator
from airflow_provider_hfspaces.triggers.events import SpaceEventTrigger
from tests.airflow_tools import OutletEvents, connection, reload_trigger

SPACE = "acme/whisper"


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


def event_trigger(**options: Any) -> SpaceEventTrigger:
    return SpaceEventTrigger(**{"repo_id": SPACE, "poll_interval": 0.02, **options})


def events_of(trigger: SpaceEventTrigger) -> Any:
    """The events of a trigger as a triggerer receives them.

    Airflow 3.3 opens a shared stream for triggers that offer one, instead of calling ``run()``.
    """
    kind: Any = type(trigger)
    if getattr(kind, "shared_stream_key", lambda trigger: None)(trigger) is None:
        return trigger.run()
    return kind.filter_shared_stream(trigger, kind.open_shared_stream(trigger.serialize()[1]))


class Store:
    """What Airflow 3.3 keeps of a watcher."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    async def aget(self, key: str) -> Any:
        return self.values.get(key)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = value


def with_store(trigger: Any) -> Store:
    """The store of a trigger, which holds a value once the trigger has seen its Space."""
    trigger.asset_state_store = Store()
    return trigger.asset_state_store


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 - the emulator has no events to wait for
        await asyncio.sleep(0.01)


async def events(hub: HubEmulator, stream: Any, number: int, *actions: Any) -> list[Any]:
    """Returns the first events, while actions happen one by one, each after the last has been noticed."""
    payloads: list[Any] = []

    async def collect() -> None:
        async with aclosing(stream):
            async for event in stream:
                payloads.append(event.payload)
                if len(payloads) == number:
                    return

    collecting = asyncio.create_task(collect())
    for action in actions:
        request_count = len(hub.requests) + 3
        await until(lambda request_count=request_count: len(hub.requests) >= request_count)
        action()
    await collecting
    return payloads


def test_fires_when_a_space_enters_a_stage(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, stage="RUNTIME_ERROR")
    payloads = asyncio.run(
        events(
            hub,
            event_trigger(stages=["RUNTIME_ERROR"]).run(),
            1,
            lambda: hub.world.space(SPACE).do("restart"),
            lambda: hub.advance(600),
            lambda: space.crash("Exit code: 1"),
        )
    )
    assert [(event["previous_stage"], event["stage"]) for event in payloads] == [("RUNNING", "RUNTIME_ERROR")]
    assert payloads[0]["error_message"] == "Exit code: 1"


def test_fires_when_the_hardware_changes(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    payloads = asyncio.run(
        events(
            hub,
            event_trigger(hardware_changes=True).run(),
            1,
            lambda: hub.world.space(SPACE).request_hardware("t4-small", None),
            lambda: hub.advance(600),
        )
    )
    assert (payloads[0]["previous_hardware"], payloads[0]["hardware"]) == ("cpu-basic", "t4-small")


def test_errors_of_the_hub_are_waited_out(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    hub.faults.add(kind="status", status=401, times=2)
    payloads = asyncio.run(
        events(
            hub,
            event_trigger(stages="PAUSED").run(),
            1,
            hub.world.space(SPACE).visit,
            lambda: None,
            lambda: hub.world.space(SPACE).do("pause"),
        )
    )
    assert payloads[0]["stage"] == space.stage == "PAUSED"


def test_event_triggers_share_the_requests_and_the_pace_of_all_waits(hub: HubEmulator) -> None:
    spaces = [hub.add_space(f"acme/s{number}") for number in range(8)]
    for number in range(60):
        hub.add_space(f"acme/other{number}")
    triggers = [event_trigger(repo_id=space.repo_id, stages="RUNTIME_ERROR") for space in spaces]
    stores = [with_store(trigger) for trigger in triggers]

    async def fire() -> list[Any]:
        firing = [asyncio.create_task(events(hub, events_of(trigger), 1)) for trigger in triggers]
        await until(lambda: all(store.values for store in stores))
        assert all("other" not in request.path for request in hub.requests)
        for space in spaces:
            space.crash()
        return [event["repo_id"] for batch in await asyncio.gather(*firing) for event in batch]

    assert asyncio.run(fire()) == [space.repo_id for space in spaces]
    assert all("other" not in request.path for request in hub.requests)
    alone = [request for request in hub.requests if request.path.endswith("/runtime")]
    assert len(alone) <= 3 * len(spaces)


def test_one_watched_space_among_many_is_looked_at_alone(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    for number in range(60):
        hub.add_space(f"acme/other{number}")
    trigger = event_trigger(stages="RUNTIME_ERROR")
    store = with_store(trigger)

    async def fire() -> None:
        firing = asyncio.create_task(events(hub, events_of(trigger), 1))
        await until(lambda: store.values)
        space.crash()
        await firing

    asyncio.run(fire())
    assert {request.path for request in hub.requests} == {f"/api/spaces/{SPACE}/runtime"}


def test_triggers_run_by_themselves_since_the_watch_already_shares_their_requests() -> None:
    share = getattr(event_trigger(stages="PAUSED"), "shared_stream_key", lambda: None)
    assert share() is None


def test_a_connection_that_is_missing_at_first_is_waited_for(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, airflow_db: None
) -> None:
    hub.add_space(SPACE)

    async def fire() -> Any:
        firing = asyncio.create_task(
            events(
                hub, event_trigger(stages="PAUSED", hf_spaces_conn_id="later", poll_interval=0.05).run(), 1
            )
        )
        await asyncio.sleep(0.2)
        monkeypatch.setenv("AIRFLOW_CONN_LATER", connection(hub))
        await until(lambda: len(hub.requests) >= 2)
        hub.world.space(SPACE).do("pause")
        return (await firing)[0]["stage"]

    assert asyncio.run(fire()) == "PAUSED"


@pytest.mark.parametrize("poll_interval", [0, -1, "ten", float("nan")])
def test_a_poll_interval_that_is_not_valid_is_refused(poll_interval: Any) -> None:
    with pytest.raises(InvalidInput, match="poll_interval must be a number of seconds"):
        event_trigger(stages="PAUSED", poll_interval=poll_interval)


def test_changes_while_no_triggerer_runs_are_not_missed(hub: HubEmulator) -> None:
    space, store = hub.add_space(SPACE), Store()

    async def first_look() -> None:
        before = event_trigger(stages="RUNTIME_ERROR")
        before.asset_state_store = store
        run = asyncio.create_task(events(hub, before.run(), 1))
        await until(lambda: store.values)
        run.cancel()

    asyncio.run(first_look())
    space.crash()
    after = event_trigger(stages="RUNTIME_ERROR")
    after.asset_state_store = store
    assert asyncio.run(events(hub, after.run(), 1))[0]["stage"] == "RUNTIME_ERROR"


def test_equal_triggers_are_stored_once() -> None:
    one = event_trigger(stages=["PAUSED", "RUNTIME_ERROR"])
    assert one.serialize() == event_trigger(stages={"RUNTIME_ERROR", "PAUSED"}).serialize()
    assert reload_trigger(one).repo_id == SPACE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": []}, "stages must not be empty"),
        ({"stages": "BROKEN"}, "stage 'BROKEN' is not valid"),
        ({"stages": "PAUSED", "repo_id": "whisper"}, "names no owner"),
    ],
)
def test_a_trigger_that_can_never_fire_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        event_trigger(**options)


class TestAssets:
    def test_an_asset_stands_for_a_space(self) -> None:
        asset = space_asset("https://huggingface.co/spaces/acme/whisper")
        assert asset.uri == "hf-space://acme/whisper"
        assert repo_id_of(asset) == SPACE
        assert create_asset(owner="acme", name="whisper").uri == asset.uri
        assert repo_id_of(object()) is None

    def test_airflow_normalizes_their_uris(self) -> None:
        for uri in ("hf-space://acme/whisper", "hf-space://acme/whisper/"):
            assert sanitize_uri(urlsplit(uri)).geturl() == "hf-space://acme/whisper"
        with pytest.raises(ValueError, match="not a valid repo_id"):
            sanitize_uri(urlsplit("hf-space://acme/a..b"))

    def test_the_outlet_event_of_an_operator_contains_the_state_of_the_space(self, hub: HubEmulator) -> None:

        from tests.airflow_tools import FakeTaskInstance

        hub.add_space(SPACE)
        own, other, outlet_events = space_asset(SPACE), space_asset("acme/other"), OutletEvents()
        operator = PauseSpaceOperator(task_id="pause", repo_id=SPACE, outlets=[other, own])
        operator.execute({"ti": FakeTaskInstance("pause"), "outlet_events": outlet_events})
        assert {uri: event.extra["stage"] for uri, event in outlet_events.events.items()} == {
            own.uri: "PAUSED"
        }


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2.11 has no asset watchers")
def test_goes_into_a_watcher() -> None:
    from airflow.sdk import AssetWatcher

    asset = space_asset(
        SPACE, watchers=[AssetWatcher(name="w", trigger=event_trigger(stages="RUNTIME_ERROR"))]
    )
    assert asset.watchers[0].trigger.repo_id == SPACE
