"""Deferred calls share one client, know after a restart which calls were sent, and end with their task."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_hfspaces.compat import imports
from airflow_provider_hfspaces.emulator import DockerApp, GradioApp, HubEmulator, SpaceHandle
from airflow_provider_hfspaces.operators.app import CallSpaceOperator
from airflow_provider_hfspaces.space_app import AppUnavailable
from airflow_provider_hfspaces.triggers.apps import SpaceCallTrigger, SpaceQueueTrigger
from airflow_provider_hfspaces.triggers.queues import AppQueue
from tests.airflow_tools import Try, first_event, reload_trigger
from tests.triggers.test_spaces import task_state, until

SPACE = "acme/caption"


def trigger_of_call(**options: Any) -> SpaceCallTrigger:
    """The trigger of a call that a worker has sent, as Airflow stores it."""
    defaults = {"task_id": "call", "repo_id": SPACE, "timeout": 30, "deferrable": True}
    if "path" not in options:
        defaults |= {"api": "/nap", "inputs": ["x", 10**6]}
    trigger = reload_trigger(Try().deferral(CallSpaceOperator(**{**defaults, **options})).trigger)
    assert isinstance(trigger, SpaceCallTrigger)
    trigger.task_instance = SimpleNamespace(dag_id="dag", run_id="run", task_id="call", map_index=-1)
    return trigger


def paths(space: SpaceHandle, end: str) -> int:
    return sum(request.path.endswith(end) for request in space.app_requests)


async def first(trigger: Any) -> Any:
    async for event in trigger.run():
        return event.payload
    raise AssertionError("the trigger fired no event")


@pytest.fixture(autouse=True)
def _time_stands_still(hub: HubEmulator) -> None:
    """Calls of /nap do not end by themselves."""
    hub.settings.seconds_per_request = 0


class TestSharing:
    def test_all_calls_of_an_app_share_a_client_and_are_all_answered(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, private=True, app=GradioApp(concurrency=50))
        triggers = [trigger_of_call(api="/echo", inputs=[str(number)]) for number in range(20)]
        looks = len(hub.requests)

        async def read() -> list[Any]:
            return await asyncio.gather(*map(first, triggers))

        events = asyncio.run(read())
        assert [event["value"] for event in events] == [str(number) for number in range(20)]
        descriptions = [request for request in hub.requests[looks:] if request.path == f"/api/spaces/{SPACE}"]
        assert len(descriptions) == 1
        assert paths(space, "/queue/data") == 20

    def test_a_setting_bounds_how_many_answers_are_read_at_a_time(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__HF_SPACES__APP_CONNECTIONS", "2")
        space = hub.add_space(SPACE, app=GradioApp(concurrency=50))
        hanging = [trigger_of_call() for _ in range(2)]
        answered_call = trigger_of_call(api="/echo", inputs=["x"])

        async def read() -> None:
            reading = [asyncio.create_task(first(trigger)) for trigger in hanging]
            await until(lambda: paths(space, "/queue/data") == 2)
            waiting = asyncio.create_task(first(answered_call))
            await asyncio.sleep(0.2)
            assert paths(space, "/queue/data") == 2
            reading[0].cancel()
            assert (await waiting)["value"] == "x"
            reading[1].cancel()
            await asyncio.gather(*reading, return_exceptions=True)

        asyncio.run(asyncio.wait_for(read(), 30))


class TestRestart:
    """A triggerer starts again, and runs the stored triggers a second time."""

    def test_an_answer_that_nobody_has_read_is_not_lost(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        trigger = trigger_of_call(api="/echo", inputs=["x"])
        assert first_event(trigger)["value"] == "x"
        assert paths(space, "/call/echo") == 1

    def test_a_call_whose_answer_was_being_read_is_lost_and_not_sent_again(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        trigger = trigger_of_call()

        async def interrupt() -> None:
            task = asyncio.create_task(first(trigger))
            await until(lambda: paths(space, "/queue/data") == 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(interrupt())
        event = first_event(reload_trigger(trigger))
        assert (event["status"], event["error"]["kind"]) == ("lost", "AppCallLost")
        assert event["call"] == trigger.call
        assert paths(space, "/call/nap") == 1

    def test_a_job_that_is_polled_continues(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, sdk="docker", app=DockerApp(seconds=3000))
        trigger = trigger_of_call(path="/v1/jobs", json={"value": 7}, poll=0.02)
        request_count = len(space.app_requests)

        async def interrupt() -> None:
            task = asyncio.create_task(first(trigger))
            await until(lambda: len(space.app_requests) >= request_count + 2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(interrupt())
        hub.advance(4000)
        event = first_event(reload_trigger(trigger))
        assert (event["status"], event["value"]["result"]) == ("answered", 7)

    def test_a_deadline_that_has_passed_meanwhile_leaves_time_for_one_look(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        trigger = trigger_of_call(api="/echo", inputs=["x"])
        trigger.deadline -= 3600
        assert first_event(reload_trigger(trigger))["value"] == "x"


class TestKill:
    """A user ends the task while it is deferred."""

    async def kill(self, space: SpaceHandle, trigger: SpaceCallTrigger) -> None:
        task = asyncio.create_task(first(trigger))
        await until(lambda: paths(space, "/queue/data") == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if imports.has_trigger_on_kill():
            await trigger.on_kill()

    @pytest.mark.parametrize(
        ("state", "cancel_count"),
        [("failed", 1), ("success", 1), ("deferred", 0), ("scheduled", 0), (None, 0)],
    )
    def test_the_call_is_cancelled_in_the_app_only_if_the_task_has_ended(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, state: str | None, cancel_count: int
    ) -> None:
        space = hub.add_space(SPACE)
        trigger = trigger_of_call()
        task_state(monkeypatch, state)
        asyncio.run(self.kill(space, trigger))
        assert paths(space, "/cancel") == cancel_count


class TestQueue:
    def test_a_refused_call_waits_for_a_free_place(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, app=GradioApp(queue_size=1))
        operator = CallSpaceOperator(
            task_id="call", repo_id=SPACE, api="/slow", inputs=["x", 10**6], timeout=30, deferrable=True
        )
        triggers = [Try().deferral(operator).trigger for _ in range(4)]
        refused_calls = [
            reload_trigger(trigger) for trigger in triggers if isinstance(trigger, SpaceQueueTrigger)
        ]
        assert refused_calls
        assert all(trigger.places == 1 for trigger in refused_calls)
        assert first_event(_early(refused_calls[0]))["status"] == "timeout"
        hub.space(SPACE).kill_app()
        assert first_event(refused_calls[0])["status"] == "free"
        assert hub.token not in json.dumps([trigger.serialize() for trigger in triggers])

    def test_as_many_calls_continue_as_there_are_free_places(self) -> None:
        lengths = iter([3, 1, 1])
        gone_calls: list[int] = []
        going: list[int] = []

        async def length() -> int:
            return next(lengths, 0)

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(0)
            gone_calls.append(len(going))

        async def waiting(queue: AppQueue, number: int) -> None:
            await queue.turn(3)
            going.append(number)

        async def run() -> None:
            queue = AppQueue(length, sleep)
            await asyncio.wait_for(asyncio.gather(*(waiting(queue, number) for number in range(5))), 10)

        asyncio.run(run())
        assert going == [0, 1, 2, 3, 4]
        # The third look finds one call in the queue, and the two that went on before are on their way.
        assert gone_calls[:4] == [0, 0, 2, 2]

    def test_an_app_that_says_nothing_of_its_queue_lets_one_call_at_a_time_continue(self) -> None:
        looks = 0

        async def length() -> int:
            raise AppUnavailable("no answer", repo_id=SPACE)

        async def sleep(seconds: float) -> None:
            nonlocal looks
            looks += 1
            await asyncio.sleep(0)

        async def run() -> None:
            queue = AppQueue(length, sleep)
            await asyncio.wait_for(asyncio.gather(queue.turn(None), queue.turn(2), queue.turn(None)), 10)

        asyncio.run(run())
        assert looks == 3


def _early(trigger: SpaceQueueTrigger) -> SpaceQueueTrigger:
    """The trigger, with a deadline that passes before the queue has a free place."""
    _, arguments = trigger.serialize()
    return SpaceQueueTrigger(**{**arguments, "deadline": time.time() + 0.2})
