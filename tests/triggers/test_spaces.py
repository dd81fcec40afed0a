"""Deferred waits end as waits in a worker do, and restore the Space when a user kills them."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_hfspaces.compat import imports
from airflow_provider_hfspaces.compat.imports import (
    AIRFLOW_3,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed, SpaceWaitTimeout
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator
from airflow_provider_hfspaces.sensors.spaces import SpaceRunningSensor, SpaceStageSensor
from airflow_provider_hfspaces.triggers.spaces import SpaceTrigger
from tests.airflow_tools import Try, connection, first_event, reload_trigger
from tests.conftest import TaskLog
from tests.operators.test_hardware import changes
from tests.stub import Say, StubHub

SPACE = "acme/whisper"


def upgrade(**options: Any) -> RequestHardwareOperator:
    defaults = {"task_id": "upgrade", "repo_id": SPACE, "hardware": "t4-small", "poll_interval": 0.02}
    return RequestHardwareOperator(**{**defaults, "deferrable": True, **options})


def trigger(**options: Any) -> SpaceTrigger:
    defaults = {"repo_id": SPACE, "goal": Goal(), "poll_interval": 0.02, "deadline": time.time() + 20}
    return SpaceTrigger(**{**defaults, **options})


class TestOperators:
    def test_an_upgrade_defers_until_the_space_runs_on_the_hardware(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        run = Try()
        assert run.run_deferred(upgrade())["hardware"] == "t4-small"
        assert (space.stage, space.hardware) == ("RUNNING", "t4-small")
        assert changes(hub) == [("hardware", {"flavor": "t4-small"})]
        assert run.store.values == {}

    def test_a_goal_that_is_already_reached_does_not_defer(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        assert Try().run(upgrade())["hardware"] == "t4-small"
        sensor = SpaceRunningSensor(task_id="sense", repo_id=SPACE, deferrable=True)
        assert Try().run(sensor)["stage"] == "RUNNING"
        restart = {"task_id": "restart", "repo_id": SPACE, "only_if_stopped": True, "deferrable": True}
        assert Try().run(RestartSpaceOperator(**restart))["stage"] == "RUNNING"

    def test_a_restart_a_restore_and_a_copy_defer_until_they_are_done(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, stage="PAUSED")
        options = {"repo_id": SPACE, "poll_interval": 0.02, "deferrable": True}
        run = Try()
        assert run.run_deferred(RestartSpaceOperator(task_id="restart", **options))["stage"] == "RUNNING"
        assert run.store.values == {}
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run_deferred(upgrade())
        back = RestoreHardwareOperator(task_id="back", from_task="snapshot", wait=True, **options)
        assert run.run_deferred(back)["hardware"] == "cpu-basic"
        assert space.hardware == "cpu-basic"
        copy = DuplicateSpaceOperator(
            task_id="copy", from_id=SPACE, to_id="acme/copy", wait=True, poll_interval=0.02, deferrable=True
        )
        assert run.run_deferred(copy) == {
            "repo_id": "acme/copy",
            "url": f"{hub.url}/spaces/acme/copy",
            "created": True,
        }

    def test_a_failed_build_ends_as_it_does_in_a_worker(self, hub: HubEmulator, task_log: TaskLog) -> None:
        messages = []
        for deferrable in (True, False):
            name = f"acme/s{deferrable}".lower()
            hub.add_space(name).fail_next_build("Job failed with exit code: 137", ["error: failed to solve"])
            run = Try()
            go = run.run_deferred if deferrable else run.run
            with pytest.raises(SpaceWaitFailed) as excinfo:
                go(upgrade(repo_id=name, deferrable=deferrable))
            messages.append(str(excinfo.value).replace(name, SPACE))
        assert messages[0] == messages[1]
        assert "Job failed with exit code: 137" in messages[0]
        assert task_log.text.count("error: failed to solve") >= 2
        assert task_log.text.count("t4-small stays requested until the Space is restored") >= 2

    def test_a_timeout_ends_as_it_does_in_a_worker(self, hub: HubEmulator) -> None:
        hub.settings.change({"timings": {"build": 10**6}})
        messages = []
        for deferrable in (True, False):
            name = f"acme/s{deferrable}".lower()
            hub.add_space(name)
            run = Try()
            go = run.run_deferred if deferrable else run.run
            with pytest.raises(SpaceWaitTimeout) as excinfo:
                go(upgrade(repo_id=name, deferrable=deferrable, timeout=1.5))
            messages.append(re.sub(r"in \d seconds", "in time", str(excinfo.value).replace(name, SPACE)))
        assert messages[0] == messages[1]

    def test_a_permanent_error_keeps_its_message_and_the_retries(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        operator = upgrade()
        deferred = Try().deferral(operator)
        hub.world.delete_space(SPACE)
        event = first_event(reload_trigger(deferred.trigger))
        assert event["status"] == "failed"
        with pytest.raises(AirflowFailException, match="Space acme/whisper was not found"):
            operator.execute_complete({}, event)

    def test_the_deadline_respects_the_execution_timeout(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        waiting = Try().deferral(upgrade(execution_timeout=timedelta(seconds=90), timeout=3600)).trigger
        assert 80 < waiting.deadline - time.time() <= 90

    def test_a_retry_attaches_to_the_change_under_way(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        run = Try()
        run.deferral(upgrade())
        run.run_deferred(upgrade())
        assert len(changes(hub)) == 1

    def test_airflows_default_decides_whether_a_task_defers(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert upgrade(deferrable=None).deferrable is False
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
        assert upgrade(deferrable=None).deferrable is True
        assert SpaceRunningSensor(task_id="sense", repo_id=SPACE).deferrable is True


class TestSensors:
    def sensor(self, **options: Any) -> SpaceStageSensor:
        defaults = {"task_id": "sense", "repo_id": SPACE, "stages": "RUNNING", "poke_interval": 0.02}
        return SpaceStageSensor(**{**defaults, "deferrable": True, **options})

    def test_a_deferred_sensor_waits_for_its_stage(self, hub: HubEmulator) -> None:
        hub.settings.change({"timings": {"build": 10**6}})
        hub.add_space(SPACE, stage="BUILDING")
        result = Try().run_deferred(self.sensor(), lambda: hub.advance(10**6 + 100))
        assert result["stage"] == "RUNNING"

    @pytest.mark.parametrize("soft", [True, False])
    def test_fails_or_skips_at_a_stage_that_a_space_does_not_leave_by_itself(
        self, hub: HubEmulator, soft: bool
    ) -> None:
        hub.settings.change({"timings": {"build": 10**6}})
        hub.add_space(SPACE, stage="BUILDING").fail_next_build("exit code: 137")
        kind = AirflowSkipException if soft else AirflowFailException
        with pytest.raises(kind, match="exit code: 137"):
            Try().run_deferred(self.sensor(soft_fail=soft), lambda: hub.advance(10**6 + 100))
        hub.add_space("acme/paused", stage="PAUSED")
        with pytest.raises(kind, match="is paused"):
            Try().run(self.sensor(repo_id="acme/paused", soft_fail=soft))

    @pytest.mark.parametrize("soft", [True, False])
    def test_errors_that_no_wait_can_fix_fail_the_sensor_with_soft_fail_too(
        self, hub: HubEmulator, soft: bool
    ) -> None:
        hub.settings.change({"timings": {"build": 10**6}})
        hub.add_space(SPACE, stage="BUILDING")
        with pytest.raises(AirflowFailException, match="was not found"):
            Try().run(self.sensor(repo_id="acme/misspelt", soft_fail=soft))
        with pytest.raises(AirflowFailException, match="was not found"):
            Try().run_deferred(self.sensor(soft_fail=soft), lambda: hub.world.delete_space(SPACE))

    def test_airflow_does_not_skip_errors_that_no_wait_can_fix(self, hub: HubEmulator) -> None:
        hub.settings.change({"timings": {"build": 10**6}})
        hub.add_space(SPACE, stage="BUILDING")
        sensor = self.sensor(soft_fail=True)
        deferred = Try().deferral(sensor)
        hub.world.delete_space(SPACE)
        event = first_event(reload_trigger(deferred.trigger))
        with pytest.raises(AirflowFailException, match="was not found"):
            sensor.resume_execution("execute_complete", {"event": event}, {})

    @pytest.mark.parametrize("soft", [True, False])
    def test_a_deferred_sensor_times_out_as_other_sensors_do(self, hub: HubEmulator, soft: bool) -> None:
        hub.settings.change({"timings": {"build": 10**6}})
        hub.add_space(SPACE, stage="BUILDING")
        with pytest.raises(AirflowSkipException if soft else AirflowSensorTimeout, match=r"in \d seconds"):
            Try().run_deferred(self.sensor(timeout=0.3, soft_fail=soft))


class TestTrigger:
    def test_a_stored_trigger_contains_no_token(self, hub: HubEmulator) -> None:
        runtime = hub.add_space(SPACE).runtime().to_dict()
        snapshot = {"repo_id": SPACE, "stage": "RUNNING", "hardware": "cpu-basic", "sleep_time": None}
        goal = Goal(hardware="t4-small", sha="abc")
        whole = trigger(goal=goal, before=runtime, answer=runtime, put_back=snapshot)
        assert hub.token not in json.dumps(whole.serialize())
        assert reload_trigger(whole).goal == goal

    def test_a_trigger_keeps_its_deadline_in_another_process(self, hub: HubEmulator) -> None:
        hub.settings.change({"timings": {"build": 10**6}})
        hub.add_space(SPACE, stage="BUILDING")
        late = reload_trigger(trigger(started=time.time() - 3600, deadline=time.time() + 3))
        event = first_event(late)
        assert (event["status"], event["runtime"]["stage"]) == ("timeout", "BUILDING")
        assert re.search(r"in 36\d\d seconds", event["reason"])

    def test_a_deleted_connection_fails_the_task_with_the_reason(
        self, hub: HubEmulator, airflow_db: None
    ) -> None:
        event = first_event(trigger(hf_spaces_conn_id="nowhere"))
        assert event["status"] == "failed"
        with pytest.raises(AirflowFailException, match="Connection 'nowhere' does not exist"):
            upgrade().execute_complete({}, event)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            # Airflow 3.0 itself takes such a connection for one that does not exist.
            ({"extra": "[1]"}, "extra of connection|'broken' does not exist"),
            ({"host": "https://user:secret@hub.acme.test"}, "user name or a password"),
            ({"host": "http://hub.acme.test"}, "unencrypted"),
            ({"password": "two words"}, "Copy the token again"),
        ],
    )
    def test_a_connection_that_is_not_valid_fails_the_task_with_the_reason(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], message: str
    ) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_BROKEN", json.dumps({"conn_type": "hf_spaces", **fields}))
        event = first_event(trigger(hf_spaces_conn_id="broken"))
        with pytest.raises(AirflowFailException, match=message):
            upgrade().execute_complete({}, event)

    def test_an_unexpected_error_fails_the_task_with_its_type(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE)
        odd = trigger(before={"stage": "RUNNING"})
        event = first_event(odd)
        with pytest.raises(SpaceWaitFailed, match="The wait for Space acme/whisper failed: KeyError"):
            upgrade().execute_complete({}, event)
        assert "Traceback" in task_log.text

    @pytest.mark.parametrize("name", ["poll_interval", "grace", "deadline", "started"])
    @pytest.mark.parametrize("value", ["ten", float("nan"), [], object()])
    def test_a_time_that_is_not_valid_is_refused(self, name: str, value: Any) -> None:
        with pytest.raises(InvalidInput, match=f"^{name} must be a"):
            trigger(**{name: value})

    def test_a_malformed_answer_affects_no_other_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        running = Say(200, {"stage": "RUNNING", "hardware": {"current": "t4-small", "requested": "t4-small"}})
        with StubHub(Say(200, "[" * 10**5, {"Content-Type": "application/json"}), otherwise=running) as stub:
            monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(stub.url, "hf_stubstubstub"))
            assert first_event(trigger())["status"] == "reached"
            assert len(stub.requests) == 2

    def test_all_triggers_of_a_loop_share_one_watch(self, hub: HubEmulator) -> None:
        names = [f"acme/s{number}" for number in range(60)]
        for name in names:
            hub.add_space(name, stage="BUILDING")

        async def wait_for(name: str) -> Any:
            async for event in trigger(repo_id=name, poll_interval=0.1).run():
                return event.payload["status"]
            raise AssertionError

        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*map(wait_for, names))

        assert asyncio.run(all_of_them()) == ["reached"] * 60
        lists = [request for request in hub.requests if request.path == "/api/spaces"]
        assert 0 < len(lists) < 30
        assert len(hub.requests) - len(lists) <= 90

    def test_an_error_of_the_hub_keeps_its_type(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        hub.faults.add(kind="status", status=402, message="credits are used up")
        event = first_event(trigger())
        assert event["error"]["kind"] == "HubPaymentRequired"
        with pytest.raises(AirflowFailException, match="credits are used up"):
            upgrade().execute_complete({}, event)


def task_state(monkeypatch: pytest.MonkeyPatch, state: str | None) -> None:
    """Let Airflow say that the task instance is in this state."""
    if AIRFLOW_3:
        runner = import_module("airflow.sdk.execution_time.task_runner").RuntimeTaskInstance
        states = {"run": {"upgrade": state}} if state else {}
        monkeypatch.setattr(runner, "get_task_states", staticmethod(lambda **which: states))
        return

    class Session:
        """Returns the state for any question."""

        def query(self, *columns: Any) -> Session:
            return self

        def filter(self, *conditions: Any) -> Session:
            return self

        def scalar(self) -> str | None:
            return state

    monkeypatch.setattr("airflow.utils.session.create_session", lambda: nullcontext(Session()))


class TestKill:
    """A user kills the task while it is deferred."""

    SNAPSHOT = {"repo_id": SPACE, "stage": "RUNNING", "hardware": "cpu-upgrade", "sleep_time": 600}

    def waiting_trigger(self, **options: Any) -> SpaceTrigger:
        waiting = trigger(put_back=self.SNAPSHOT, **options)
        waiting.task_instance = SimpleNamespace(dag_id="dag", run_id="run", task_id="upgrade", map_index=-1)
        return waiting

    async def cancel(self, hub: HubEmulator, waiting: SpaceTrigger) -> None:
        async def run() -> None:
            async for _ in waiting.run():
                raise AssertionError

        task = asyncio.create_task(run())
        await until(lambda: hub.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if imports.has_trigger_on_kill():
            await waiting.on_kill()
        await waiting.cleanup()

    @pytest.mark.parametrize(
        ("state", "is_restored"),
        [("failed", True), ("success", True), ("deferred", False), ("scheduled", False), (None, False)],
    )
    def test_the_space_is_restored_only_if_the_task_has_ended(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, state: str | None, is_restored: bool
    ) -> None:
        hub.settings.change({"timings": {"build": 10**6}})
        space = hub.add_space(SPACE, hardware="cpu-upgrade", sleep_time=600)
        hub.world.space(SPACE).request_hardware("t4-small", 3600)
        task_state(monkeypatch, state)
        asyncio.run(self.cancel(hub, self.waiting_trigger()))
        assert (space.requested_hardware, space.sleep_time) == (
            ("cpu-upgrade", 600) if is_restored else ("t4-small", 3600)
        )

    def test_a_second_cancellation_does_not_stop_the_restore(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.settings.change({"timings": {"build": 10**6}})
        space = hub.add_space(SPACE, hardware="cpu-upgrade", sleep_time=600)
        hub.world.space(SPACE).request_hardware("t4-small", 3600)
        task_state(monkeypatch, "failed")

        async def cancelled_twice() -> None:
            kill = asyncio.create_task(self.waiting_trigger().on_kill())
            await asyncio.sleep(0)
            kill.cancel()
            with pytest.raises(asyncio.CancelledError):
                await kill
            await until(lambda: space.requested_hardware == "cpu-upgrade" and space.sleep_time == 600)

        asyncio.run(asyncio.wait_for(cancelled_twice(), 30))

    def test_the_space_is_paused_if_the_hub_rejects_every_way_back(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="status", status=402, path="/hardware", message="CPU-basic quota limit")
        task_state(monkeypatch, "failed")
        asyncio.run(self.waiting_trigger().on_kill())
        assert space.stage == "PAUSED"
        assert (
            "is paused and costs nothing, because the Hub rejected cpu-upgrade and cpu-basic" in task_log.text
        )

    def test_nothing_is_restored_without_cancel_on_kill(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        assert Try().deferral(upgrade(cancel_on_kill=False)).trigger.put_back is None
        other = hub.add_space("acme/other").repo_id
        assert Try().deferral(upgrade(repo_id=other)).trigger.put_back["hardware"] == "cpu-basic"


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 - the emulator has no events to wait for
        await asyncio.sleep(0.01)
