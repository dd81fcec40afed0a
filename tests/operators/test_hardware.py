"""Upgrades, and the way back, on an emulated Hub."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3, AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.errors import (
    HubError,
    HubProtocolError,
    HubUnavailable,
    SpaceWaitFailed,
    SpaceWaitTimeout,
)
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SetSleepTimeOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.state.records import restoring_task_ids
from tests.airflow_tools import FakeTaskInstance, Try, connection
from tests.airflow_variables import AirflowVariables
from tests.conftest import TaskLog
from tests.stub import RUNTIME, Say, StubHub

if AIRFLOW_3:
    from airflow.sdk import DAG, TaskGroup
else:
    from airflow import DAG
    from airflow.utils.task_group import TaskGroup

SPACE = "acme/whisper"
TRIGGER_TIMEOUT = "Trigger timeout" if AIRFLOW_3 else "Trigger/execution timeout"


def changes(hub: HubEmulator) -> list[tuple[str, Any]]:
    """The requests that changed something: the last part of the path and the body."""
    return [
        (request.path.rpartition("/")[2], request.json) for request in hub.requests if request.method != "GET"
    ]


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> AirflowVariables:
    return AirflowVariables(monkeypatch)


def upgrade(**options: Any) -> RequestHardwareOperator:
    defaults = {"task_id": "upgrade", "repo_id": SPACE, "hardware": "t4-small", "poll_interval": 0.02}
    return RequestHardwareOperator(**{**defaults, **options})


def restore(**options: Any) -> RestoreHardwareOperator:
    return RestoreHardwareOperator(
        **{"task_id": "restore", "repo_id": SPACE, "from_task": "snapshot", "poll_interval": 0.02, **options}
    )


class TestRequest:
    def test_is_done_when_the_space_runs_on_the_new_hardware(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        runtime = Try().run(upgrade(sleep_time=360000))
        assert (runtime["stage"], runtime["hardware"], runtime["sleep_time"]) == (
            "RUNNING",
            "t4-small",
            360000,
        )
        assert (space.stage, space.hardware) == ("RUNNING", "t4-small")
        assert changes(hub) == [("hardware", {"flavor": "t4-small", "sleepTimeSeconds": 360000})]

    def test_sends_nothing_if_the_space_already_runs_there(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        assert Try().run(upgrade())["hardware"] == "t4-small"
        assert changes(hub) == []

    def test_sets_the_sleep_time_of_a_space_that_already_runs_there(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        assert Try().run(upgrade(sleep_time="60000"))["sleep_time"] == 60000
        assert changes(hub) == [("sleeptime", {"seconds": 60000})]
        assert space.sleep_time == 60000

    def test_pushes_the_previous_state_before_the_request(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, hardware="cpu-upgrade", sleep_time=120000)
        hub.world.settings.paywall = False
        run = Try()
        changes_at_push = []
        push = run.ti.xcom_push

        def push_and_record(key: str, value: Any) -> None:
            if key == "previous":
                changes_at_push.append(changes(hub))
            push(key, value)

        run.ti.xcom_push = push_and_record  # type: ignore[method-assign]
        run.run(upgrade())
        assert changes_at_push == [[]]
        previous = run.xcom("upgrade", "previous")
        assert previous.pop("taken_at")
        assert previous == {
            "repo_id": SPACE,
            "stage": "RUNNING",
            "hardware": "cpu-upgrade",
            "sleep_time": 120000,
            "replicas": 1,
        }

    def test_a_retry_attaches_to_the_change_and_keeps_the_previous_state(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        run = Try()
        with pytest.raises(SpaceWaitTimeout):
            run.run(upgrade(timeout=0))
        assert run.run(upgrade())["hardware"] == "t4-small"
        assert changes(hub) == [("hardware", {"flavor": "t4-small"})]
        assert run.xcom("upgrade", "previous")["hardware"] == "cpu-basic"
        assert run.store.values == {}

    @pytest.mark.parametrize("stage", ["PAUSED", "SLEEPING", "STOPPED", "RUNTIME_ERROR", "BUILD_ERROR"])
    @pytest.mark.parametrize("hardware", ["cpu-basic", "t4-small"])
    def test_starts_a_space_that_does_not_run(
        self, hub: HubEmulator, stage: str, hardware: str, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE, stage=stage, hardware=hardware)
        Try().run(upgrade())
        assert (space.stage, space.hardware) == ("RUNNING", "t4-small")
        if stage == "PAUSED":
            assert f"is {stage}: starting it" in task_log.text
            assert changes(hub)[-1] == ("restart", None)

    @pytest.mark.parametrize("wakes", [True, False])
    def test_starts_a_space_whether_or_not_the_request_wakes_it(self, hub: HubEmulator, wakes: bool) -> None:
        hub.settings.hardware_wakes_paused = hub.settings.hardware_wakes_sleeping = wakes
        for name, stage in (("acme/a", "PAUSED"), ("acme/b", "SLEEPING")):
            space = hub.add_space(name, stage=stage)
            Try().run(upgrade(repo_id=name))
            assert (space.stage, space.hardware) == ("RUNNING", "t4-small")

    def test_a_failed_build_ends_with_the_hubs_message_and_the_build_log(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE).fail_next_build("Job failed with exit code: 137", ["error: failed to solve"])
        with pytest.raises(SpaceWaitFailed, match="Job failed with exit code: 137"):
            Try().run(upgrade())
        assert "error: failed to solve" in task_log.text
        assert "stays requested" in task_log.text

    def test_missing_capacity_is_reported(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE).no_capacity("t4-small")
        with pytest.raises(SpaceWaitFailed, match="not enough hardware capacity"):
            Try().run(upgrade())

    def test_does_not_wait_with_wait_false(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        assert Try().run(upgrade(wait=False))["hardware"] == "cpu-basic"

    def test_waits_no_longer_than_the_task_may_run(self, hub: HubEmulator) -> None:
        hub.settings.change({"timings": {"build": 10**6}})
        hub.add_space(SPACE)
        with pytest.raises(SpaceWaitTimeout, match=r"in \d seconds"):
            Try().run(upgrade(execution_timeout=timedelta(milliseconds=300)))

    def test_refuses_hardware_that_costs_too_much(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        with pytest.raises(AirflowFailException, match=r"\$1\.00 an hour.*max_hourly_cost=0\.5"):
            Try().run(upgrade(hardware="a10g-small", max_hourly_cost=0.5))
        assert Try().run(upgrade(max_hourly_cost=0.40))["hardware"] == "t4-small"
        assert changes(hub) == [("hardware", {"flavor": "t4-small"})]

    def test_counts_all_replicas(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, hardware="cpu-upgrade")
        hub.world.space(SPACE).replicas = 3
        with pytest.raises(AirflowFailException, match=r"\$1\.20 an hour with 3 replicas"):
            Try().run(upgrade(max_hourly_cost=1))

    def test_refuses_hardware_without_a_price_if_there_is_a_limit(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        with pytest.raises(AirflowFailException, match="h200 has no price in the Hub's list"):
            Try().run(upgrade(hardware="h200", max_hourly_cost=100))
        assert changes(hub) == []

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"hardware": "t4-smal"}, r"Did you mean 't4-small'.*t4-small \(\$0\.40/h\)"),
            ({"hardware": "gpu"}, "hardware 'gpu' is not a flavor"),
            ({"sleep_time": 0}, "sleep_time must not be 0"),
            ({"sleep_time": -5}, "got -5"),
            ({"sleep_time": 1.5}, "whole number"),
            ({"sleep_time": "soon"}, "whole number"),
            ({"repo_id": "whisper"}, "names no owner"),
            ({"repo_id": "acme/../x"}, "not a valid repo_id"),
            ({"repo_id": "https://example.com/acme/x"}, "not a URL on the Hub"),
            ({"hf_spaces_conn_id": "nowhere"}, "Connection 'nowhere' does not exist"),
        ],
    )
    def test_refuses_bad_input_before_anything_is_sent(
        self, hub: HubEmulator, options: dict[str, Any], message: str, airflow_db: None
    ) -> None:
        hub.add_space(SPACE)
        with pytest.raises(AirflowFailException, match=message):
            Try().run(upgrade(**options))
        assert [request.path for request in hub.requests if request.path != "/api/spaces/hardware"] == []

    def test_a_static_space_has_no_hardware(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, sdk="static")
        with pytest.raises(AirflowFailException, match="is static"):
            Try().run(upgrade())
        assert changes(hub) == []

    def test_a_kill_restores_the_space(self, hub: HubEmulator) -> None:
        hub.settings.change({"timings": {"build": 10**6}})
        space = hub.add_space(SPACE, hardware="cpu-upgrade", sleep_time=120000)
        operator = upgrade(sleep_time=72000, timeout=30, poll_interval=0.05)

        def kill_when_it_waits() -> None:
            for _ in range(1000):
                methods = [request.method for request in hub.requests]
                if "POST" in methods and "GET" in methods[methods.index("POST") :]:
                    operator.on_kill()
                    return
                time.sleep(0.01)

        killer = threading.Thread(target=kill_when_it_waits)
        killer.start()
        with pytest.raises(SpaceWaitFailed, match="was stopped"):
            Try().run(operator)
        killer.join()
        assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 120000)

    def test_a_kill_after_the_arrival_changes_nothing(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        operator = upgrade()
        Try().run(operator)
        operator.on_kill()
        assert len(changes(hub)) == 1

    def test_a_kill_during_the_request_restores_the_space(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        operator = upgrade()
        kill_during_request(operator)
        with pytest.raises(AirflowFailException, match="was killed while it requested"):
            Try().run(operator)
        assert changes(hub) == [
            ("hardware", {"flavor": "t4-small"}),
            ("hardware", {"flavor": "cpu-basic"}),
        ]
        assert space.requested_hardware == "cpu-basic"

    @pytest.mark.parametrize("wait", [True, False])
    def test_a_kill_that_raises_restores_the_space_too(self, hub: HubEmulator, wait: bool) -> None:
        space = hub.add_space(SPACE)
        operator = upgrade(wait=wait)

        class Terminated(BaseException):
            pass

        kill_during_request(operator, Terminated())
        with pytest.raises(Terminated):
            Try().run(operator)
        assert space.requested_hardware == "cpu-basic"

    def test_a_kill_before_the_request_sends_nothing(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        operator = upgrade()
        operator.killed.set()
        with pytest.raises(AirflowFailException, match="was killed, nothing was requested"):
            Try().run(operator)
        assert changes(hub) == []

    @pytest.mark.parametrize("sleep_time", [None, 3600])
    def test_warns_about_billed_hardware_without_a_sleep_time(
        self, hub: HubEmulator, sleep_time: int | None, task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE)
        Try().run(upgrade(sleep_time=sleep_time, wait=False))
        has_warning = (
            "has no sleep time on t4-small: it is billed until somebody restores it" in task_log.text
        )
        assert has_warning is (sleep_time is None)

    def test_a_sleep_time_that_the_hub_keeps_needs_no_warning(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE, hardware="cpu-upgrade", sleep_time=7200)
        Try().run(upgrade(wait=False))
        assert "has no sleep time" not in task_log.text

    def test_free_hardware_needs_no_sleep_time(self, hub: HubEmulator, task_log: TaskLog) -> None:
        hub.add_space(SPACE, hardware="cpu-upgrade")
        Try().run(upgrade(hardware="cpu-basic", wait=False))
        assert "has no sleep time" not in task_log.text

    def test_warns_too_if_the_space_already_runs_there(self, hub: HubEmulator, task_log: TaskLog) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        Try().run(upgrade())
        assert "has no sleep time on t4-small" in task_log.text

    def test_reads_the_price_list_once(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        Try().run(upgrade(max_hourly_cost=1))
        assert [request.path for request in hub.requests].count("/api/spaces/hardware") == 1

    def test_a_space_that_cannot_start_gets_no_hardware(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, stage="CONFIG_ERROR", error_message="Gradio version does not exist")
        with pytest.raises(AirflowFailException, match=r"does not repair.*Gradio version"):
            Try().run(upgrade())
        assert changes(hub) == []

    def test_requests_again_if_the_space_never_moves(self, hub: HubEmulator, task_log: TaskLog) -> None:
        space = hub.add_space(SPACE)
        hub.world.space(SPACE).requested = "t4-small"
        Try().run(upgrade(sleep_time=360000))
        assert (space.stage, space.hardware) == ("RUNNING", "t4-small")
        assert changes(hub) == [("hardware", {"flavor": "t4-small", "sleepTimeSeconds": 360000})]
        assert "does not move to t4-small: requesting the hardware again" in task_log.text

    @pytest.mark.parametrize("limit", ["one", True, -1, float("nan")])
    def test_refuses_a_limit_that_is_not_a_valid_amount(self, hub: HubEmulator, limit: Any) -> None:
        hub.add_space(SPACE)
        task = upgrade(max_hourly_cost="{{ var.value.limit }}")
        task.max_hourly_cost = limit
        with pytest.raises(AirflowFailException, match="max_hourly_cost must be a number of USD"):
            Try().run(task)
        assert hub.requests == []

    @pytest.mark.parametrize(
        ("replicas", "message"),
        [({"current": 3, "requested": "auto"}, r"\$1\.20 an hour with 3 replicas"), (4, r"with 4 replicas")],
    )
    def test_counts_replicas_in_either_form(self, replicas: Any, message: str) -> None:
        runtime = SpaceRuntime.from_payload({**RUNTIME, "replicas": replicas})
        prices = [{"name": "t4-small", "unitCostMicroUSD": 6667, "unitLabel": "minute"}]
        with StubHub(Say(200, runtime.raw), Say(200, prices)) as stub, env_connection(stub.url):
            with pytest.raises(AirflowFailException, match=message):
                Try().run(upgrade(max_hourly_cost=1))
            assert {request.method for request in stub.requests} == {"GET"}

    @pytest.mark.parametrize(
        "flavor",
        [
            {"name": "t4-small", "unitLabel": "minute"},
            {"name": "t4-small", "unitCostUSD": 2, "unitLabel": "token"},
        ],
    )
    def test_hardware_without_a_price_is_refused_only_if_there_is_a_limit(
        self, flavor: dict[str, Any]
    ) -> None:
        on_gpu = {**RUNTIME, "hardware": {"current": "t4-small", "requested": "t4-small"}}
        with (
            StubHub(Say(200, RUNTIME), Say(200, [flavor])) as stub,
            env_connection(stub.url),
            pytest.raises(AirflowFailException, match="t4-small has no price in the Hub's list"),
        ):
            Try().run(upgrade(max_hourly_cost=100))
        script = [Say(200, RUNTIME), Say(200, [flavor]), Say(200, RUNTIME)]
        with StubHub(*script, otherwise=Say(200, on_gpu)) as stub, env_connection(stub.url):
            assert Try().run(upgrade())["hardware"] == "t4-small"

    def test_fails_if_somebody_else_requests_other_hardware(self) -> None:
        def answer_on(hardware: str) -> Say:
            return Say(200, {**RUNTIME, "hardware": {"current": "cpu-basic", "requested": hardware}})

        answers = [Say(200, RUNTIME), Say(200, []), answer_on("t4-small")]
        with (
            StubHub(*answers, otherwise=answer_on("l4x1")) as stub,
            env_connection(stub.url),
            pytest.raises(SpaceWaitFailed, match="another request set it to l4x1"),
        ):
            Try().run(upgrade(timeout=0.2))


class TestExecutionTimeout:
    """An upgrade ends alike in a worker, in the triggerer, and if Airflow ends the trigger."""

    @pytest.fixture
    def hub_time(self) -> dict[str, float]:
        return {"speed": 0, "seconds_per_request": 0}

    @pytest.fixture
    def space(self, hub: HubEmulator) -> Any:
        return hub.add_space(SPACE, hardware="cpu-upgrade")

    @pytest.fixture(params=["worker", "deferred", "trigger that never fired", "kill by Airflow's timer"])
    def run_out(self, request: pytest.FixtureRequest) -> Callable[..., None]:
        def run_out(*dag: Any, **options: Any) -> None:
            operator = upgrade(execution_timeout=timedelta(0), **options)
            run = Try(operator, *dag)
            if request.param == "worker":
                with pytest.raises(SpaceWaitTimeout):
                    run.run(operator)
            elif request.param == "deferred":
                operator.deferrable = True
                with pytest.raises(SpaceWaitTimeout):
                    run.run_deferred(operator)
            elif request.param == "trigger that never fired":
                operator.deferrable = True
                run.deferral(operator)
                with pytest.raises(Exception, match=r"[Tt]imeout"):
                    operator.resume_execution("__fail__", {"error": TRIGGER_TIMEOUT}, run.context(operator))
            else:
                kill_during_request(operator)
                with pytest.raises(AirflowFailException, match="was killed while"):
                    run.run(operator)

        return run_out

    def test_the_space_is_restored(self, space: Any, run_out: Callable[..., None]) -> None:
        run_out()
        assert space.requested_hardware == "cpu-upgrade"

    def test_a_restoring_task_of_the_dag_restores_it_later(
        self, space: Any, run_out: Callable[..., None], task_log: TaskLog
    ) -> None:
        run_out(restore(from_task="upgrade"))
        assert space.requested_hardware == "t4-small"
        assert "stays requested until the Space is restored" in task_log.text

    def test_the_operators_own_timeout_leaves_it_requested_for_a_retry(self, space: Any) -> None:
        with pytest.raises(SpaceWaitTimeout):
            Try().run(upgrade(timeout=0, execution_timeout=timedelta(hours=1)))
        assert space.requested_hardware == "t4-small"

    def test_a_trigger_that_failed_leaves_it_requested_for_a_retry(self, space: Any) -> None:
        operator = upgrade(deferrable=True)
        run = Try(operator)
        run.deferral(operator)
        with pytest.raises(Exception, match="Trigger failure"):
            operator.resume_execution("__fail__", {"error": "Trigger failure"}, run.context(operator))
        assert space.requested_hardware == "t4-small"


class TestClearedWork:
    """If work is cleared, Airflow runs the setup again, on a Space that is still on the GPU."""

    @pytest.mark.parametrize("hardware", ["cpu-basic", "cpu-upgrade"])
    def test_the_first_snapshot_counts(self, hub: HubEmulator, hardware: str, task_log: TaskLog) -> None:
        space = hub.add_space(SPACE, hardware=hardware)
        snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE)
        run = Try(snapshot, upgrade(), restore())
        run.run(snapshot)
        run.run(upgrade(sleep_time=72000))
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        assert "That state will be restored" in task_log.text
        run.run(upgrade(sleep_time=72000))
        run.run(restore(wait=True))
        assert (space.stage, space.hardware) == ("RUNNING", hardware)

    def test_the_first_record_of_an_upgrade_counts(
        self, hub: HubEmulator, variables: AirflowVariables
    ) -> None:
        space = hub.add_space(SPACE, stage="PAUSED", hardware="t4-small")
        run = Try(upgrade(), restore(from_task="upgrade"))
        run.run(upgrade(sleep_time=72000))
        run.run(upgrade(sleep_time=72000))
        run.run(restore(from_task="upgrade"))
        assert space.stage == "PAUSED"

    def test_after_a_restore_the_next_snapshot_is_a_new_one(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE)
        run = Try(snapshot, upgrade(), restore())
        for operator in (snapshot, upgrade(), restore(wait=True)):
            run.run(operator)
        space_now = hub.world.space(SPACE)
        space_now.request_hardware("cpu-upgrade", None)
        hub.advance(600)
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run(upgrade())
        run.run(restore(wait=True))
        assert (space.stage, space.hardware) == ("RUNNING", "cpu-upgrade")

    def test_a_snapshot_of_a_space_on_a_gpu_warns(self, hub: HubEmulator, task_log: TaskLog) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        Try().run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        assert "lease=True" in task_log.text

    def test_a_snapshot_in_the_middle_of_a_change_warns(self, hub: HubEmulator, task_log: TaskLog) -> None:
        hub.add_space(SPACE)
        hub.world.space(SPACE).request_hardware("t4-small", None)
        Try().run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        assert "on its way from cpu-basic to t4-small" in task_log.text

    def test_a_snapshot_needs_to_know_the_hardware(self) -> None:
        with StubHub(otherwise=Say(200, {"stage": "RUNNING"})) as stub, env_connection(stub.url):
            with pytest.raises(HubProtocolError, match="but no hardware") as excinfo:
                Try().run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
            assert not excinfo.value.permanent


class TestNamesOfTasks:
    def test_a_restore_belongs_to_the_task_of_its_own_group(self) -> None:
        with DAG("two_windows") as dag:
            for group_id in ("first", "second"):
                with TaskGroup(group_id):
                    SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE)
                    RestoreHardwareOperator(task_id="restore", repo_id=SPACE, from_task="snapshot")
        context: Any = {"ti": FakeTaskInstance("second.snapshot"), "dag": dag}
        assert restoring_task_ids(context) == ["second.restore"]

    def test_an_id_with_its_prefix_and_a_mapped_restore_are_understood(self) -> None:
        with DAG("window") as dag:
            with TaskGroup("gpu"):
                SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE)
            RestoreHardwareOperator.partial(task_id="restore", from_task="gpu.snapshot").expand(
                repo_id=[SPACE]
            )
        context: Any = {"ti": FakeTaskInstance("gpu.snapshot"), "dag": dag}
        assert restoring_task_ids(context) == ["restore"]


class TestDefaultArguments:
    """default_args name the hardware of the upgrade, which is not the one to restore."""

    def test_hardware_of_default_args_is_not_restored(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE)
        with DAG("window", default_args={"hardware": "t4-small"}):
            snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE)
            request = RequestHardwareOperator(task_id="upgrade", repo_id=SPACE, poll_interval=0.02)
            with pytest.warns(UserWarning, match=r"'restore' ignores hardware='t4-small'.*from default_args"):
                back = RestoreHardwareOperator(task_id="restore", repo_id=SPACE, from_task=snapshot)
        run = Try()
        for operator in (snapshot, request, back):
            run.run(operator)
        assert space.requested_hardware == "cpu-basic"

    def test_hardware_that_is_set_on_the_operator_is_restored(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        with DAG("window", default_args={"hardware": "t4-small"}):
            back = restore(hardware="cpu-upgrade")
        Try().run(back)
        assert space.requested_hardware == "cpu-upgrade"


class TestRestore:
    @pytest.mark.parametrize("status", [402, 403])
    def test_the_space_is_paused_if_the_hub_rejects_every_way_back(
        self, hub: HubEmulator, variables: AirflowVariables, status: int, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE)
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run(upgrade())
        hub.faults.add(kind="status", status=status, path="/hardware", message="reached your CPU-basic quota")
        with pytest.raises(
            Exception, match=r"^Space acme/whisper is paused and costs nothing.*CPU-basic quota"
        ):
            run.run(restore())
        assert space.stage == "PAUSED"
        assert not hub.bill().running
        assert run.xcom("snapshot", "previous")["hardware"] == "cpu-basic"
        assert "is paused and costs nothing" in task_log.text

    @pytest.mark.parametrize("records", [SnapshotSpaceOperator, RequestHardwareOperator])
    def test_the_next_run_restores_the_state_from_before_the_last_resort(
        self, hub: HubEmulator, variables: AirflowVariables, records: type, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE, hardware="cpu-upgrade", sleep_time=7200)
        source = "snapshot" if records is SnapshotSpaceOperator else "upgrade"

        def window() -> Try:
            run = Try(*operators())
            for operator in run.dag.tasks[:-1]:
                run.run(operator)
            return run

        def operators() -> list[Any]:
            snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE)
            return [*([snapshot] if source == "snapshot" else []), upgrade(), restore(from_task=source)]

        run = window()
        hub.faults.add(kind="status", status=402, path="/hardware", message="CPU-basic quota")
        with pytest.raises(Exception, match="is paused and costs nothing"):
            run.run(run.dag.tasks[-1])
        assert (space.stage, space.requested_hardware) == ("PAUSED", "t4-small")
        assert len(variables) == 1

        hub.faults.clear()
        run = window()
        assert variables == {}
        run.run(run.dag.tasks[-1])
        assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 7200)
        assert space.stage != "PAUSED"

    @pytest.mark.parametrize("restore_dormant", ["sleep", "run"])
    def test_the_last_resort_remembers_that_the_space_slept(
        self, hub: HubEmulator, variables: AirflowVariables, restore_dormant: str
    ) -> None:
        hub.add_space(SPACE, hardware="cpu-upgrade", sleep_time=7200, stage="SLEEPING")
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run(upgrade())
        hub.faults.add(kind="status", status=402, path="/hardware", message="quota")
        with pytest.raises(Exception, match="is paused and costs nothing"):
            run.run(restore(restore_dormant=restore_dormant))
        (kept,) = variables.values()
        assert json.loads(kept)["before"]["stage"] == "SLEEPING"

    def test_a_pause_of_a_user_is_recorded_though_an_earlier_run_paused_the_space_as_the_last_resort(
        self, hub: HubEmulator, variables: AirflowVariables
    ) -> None:
        space = hub.add_space(SPACE)
        run = Try(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE), upgrade(), restore())
        run.run(run.dag.tasks[0])
        run.run(run.dag.tasks[1])
        hub.faults.add(kind="status", status=402, path="/hardware", message="CPU-basic quota")
        with pytest.raises(Exception, match="is paused and costs nothing"):
            run.run(run.dag.tasks[2])
        hub.faults.clear()
        HfSpacesHook().request_hardware(SPACE, "cpu-upgrade")
        HfSpacesHook().pause(SPACE)
        run = Try(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE), upgrade(), restore())
        for operator in run.dag.tasks:
            run.run(operator)
        assert (space.requested_hardware, space.stage) == ("cpu-upgrade", "PAUSED")

    def test_pauses_the_space_afterwards_if_that_is_wanted(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", sleep_time=172800, stage="SLEEPING")
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run(upgrade(hardware="a10g-small", sleep_time=72000))
        run.run(restore(pause=True))
        assert (space.stage, space.requested_hardware, space.sleep_time) == ("PAUSED", "t4-small", 172800)

    def test_replicas_are_restored(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", replicas=3)
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run(upgrade(hardware="cpu-basic"))
        assert space.replicas == 1
        run.run(restore())
        assert (space.requested_hardware, space.replicas) == ("t4-small", 3)

    @pytest.mark.parametrize(
        ("sleep_time", "expected"),
        [(172800, "it sleeps after 172800 seconds (48.0 hours)"), (None, "nothing ends the bill")],
    )
    def test_says_when_the_bill_of_a_space_ends_that_slept_before(
        self, hub: HubEmulator, sleep_time: int | None, expected: str, task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small", sleep_time=sleep_time, stage="SLEEPING")
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run(upgrade(hardware="a10g-small", sleep_time=72000))
        run.run(restore(restore_dormant="run"))
        assert "slept before this run and runs on t4-small now" in task_log.text
        assert expected in task_log.text

    @pytest.mark.parametrize(
        ("hardware", "sleep_time", "expected"),
        [
            ("cpu-basic", None, {"flavor": "cpu-basic"}),
            ("cpu-upgrade", None, {"flavor": "cpu-upgrade", "sleepTimeSeconds": -1}),
            ("cpu-upgrade", 120000, {"flavor": "cpu-upgrade", "sleepTimeSeconds": 120000}),
        ],
    )
    @pytest.mark.parametrize("from_task", ["snapshot", "upgrade"])
    def test_restores_hardware_and_sleep_time(
        self,
        hub: HubEmulator,
        hardware: str,
        sleep_time: int | None,
        expected: dict[str, Any],
        from_task: str,
    ) -> None:
        space = hub.add_space(SPACE, hardware=hardware, sleep_time=sleep_time)
        before = space.sleep_time
        run = Try()
        if from_task == "snapshot":
            run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run(upgrade(sleep_time=72000))
        run.run(restore(from_task=from_task, wait=True))
        assert (space.stage, space.hardware, space.sleep_time) == ("RUNNING", hardware, before)
        assert changes(hub)[-1] == ("hardware", expected)

    def test_restores_a_pause(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, stage="PAUSED")
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run(upgrade())
        run.run(restore())
        assert (space.stage, space.requested_hardware) == ("PAUSED", "cpu-basic")
        assert not hub.bill().running

    def test_restores_a_pause_even_if_the_sleep_time_fails(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", sleep_time=720000, stage="PAUSED")
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run(upgrade(sleep_time=72000))
        back = restore()
        back.hook.client.retry = RetryPolicy(total=0)
        hub.faults.add(kind="status", status=503, path="/sleeptime")
        with pytest.raises(HubUnavailable):
            run.run(back)
        assert space.stage == "PAUSED"
        assert not hub.bill().running

    def test_sends_nothing_for_what_has_not_changed(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE)
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run(restore())
        assert changes(hub) == []

    def test_restores_only_the_sleep_time_if_only_that_changed(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", sleep_time=720000)
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run(upgrade(sleep_time=72000))
        run.run(restore())
        assert space.sleep_time == 720000
        assert [change[0] for change in changes(hub)] == ["sleeptime", "sleeptime"]

    def test_a_space_that_somebody_paused_stays_paused(self, hub: HubEmulator, task_log: TaskLog) -> None:
        space = hub.add_space(SPACE)
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        run.run(upgrade())
        hub.world.space(SPACE).do("pause")
        run.run(restore())
        assert (space.stage, space.requested_hardware) == ("PAUSED", "cpu-basic")
        assert "was paused in the meantime and stays paused" in task_log.text

    def test_needs_no_token_if_nothing_has_to_change(
        self, hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add_space(SPACE)
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
        monkeypatch.setenv(
            "AIRFLOW_CONN_HF_SPACES_DEFAULT", json.dumps({"conn_type": "hf_spaces", "host": hub.url})
        )
        with pytest.raises(AirflowFailException, match="token"):
            run.run(upgrade())
        assert run.run(restore())["hardware"] == "cpu-basic"
        assert changes(hub) == []

    def test_falls_back_to_free_cpu_if_nothing_was_recorded_and_logs_it(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        Try().run(restore(wait=True))
        assert (space.stage, space.hardware) == ("RUNNING", "cpu-basic")
        assert "recorded nothing about Space acme/whisper: falling back to cpu-basic" in task_log.text

    def test_does_not_take_another_spaces_record(self, hub: HubEmulator) -> None:
        hub.add_space("acme/other", hardware="a100-large")
        space = hub.add_space(SPACE, hardware="t4-small")
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id="acme/other"))
        run.run(restore())
        assert space.requested_hardware == "cpu-basic"

    def test_falls_back_if_the_hub_rejects_the_recorded_hardware(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        run = Try()
        snapshot = {"repo_id": SPACE, "stage": "RUNNING", "hardware": "h100", "sleep_time": None}
        run.ti.xcoms["snapshot", "previous"] = snapshot
        with pytest.raises(AirflowFailException, match="is on cpu-basic, because the Hub rejected h100"):
            run.run(restore())
        assert space.requested_hardware == "cpu-basic"

    def test_a_static_space_is_left_alone(self, hub: HubEmulator) -> None:
        hub.add_space(SPACE, sdk="static")
        Try().run(restore())
        assert changes(hub) == []

    def test_an_answer_without_hardware_is_not_taken_for_a_static_space(self) -> None:
        snapshot = {"repo_id": SPACE, "stage": "RUNNING", "hardware": "cpu-basic", "sleep_time": None}
        without_lease = Say(404, {"error": "Invalid rev id: airflow-lease"})
        answers = (
            without_lease,
            Say(200, {"stage": "RUNNING"}),
            without_lease,
            Say(200, RUNTIME),
            without_lease,
        )
        with StubHub(*answers, otherwise=Say(200, RUNTIME)) as stub:
            with env_connection(stub.url):
                run = Try()
                run.ti.xcoms["snapshot", "previous"] = snapshot
                run.run(restore())
            assert [request.json for request in stub.requests if request.method == "POST"] == [
                {"flavor": "cpu-basic"}
            ]

    @pytest.mark.parametrize(
        ("record", "message"),
        [
            ("cpu-basic", "cannot be used"),
            ({"hardware": "t4-small"}, "cannot be used"),
            ({"repo_id": SPACE, "stage": "RUNNING", "hardware": None}, "recorded no hardware"),
        ],
    )
    def test_an_invalid_record_is_reported_and_not_used(
        self, hub: HubEmulator, record: Any, message: str, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        run = Try()
        run.ti.xcoms["snapshot", "previous"] = record
        run.run(restore())
        assert message in task_log.text
        assert space.requested_hardware == "cpu-basic"

    def test_case_does_not_matter_in_names(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, hardware="cpu-upgrade")
        run = Try()
        run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id="Acme/Whisper"))
        run.run(upgrade())
        run.run(restore())
        assert space.requested_hardware == "cpu-upgrade"


@contextmanager
def env_connection(url: str) -> Iterator[None]:
    """The default connection leads to a stub."""
    before = os.environ.get("AIRFLOW_CONN_HF_SPACES_DEFAULT")
    os.environ["AIRFLOW_CONN_HF_SPACES_DEFAULT"] = connection(url, "hf_abcdefgh")
    try:
        yield
    finally:
        del os.environ["AIRFLOW_CONN_HF_SPACES_DEFAULT"]
        if before is not None:
            os.environ["AIRFLOW_CONN_HF_SPACES_DEFAULT"] = before


def lose_next_answer(monkeypatch: pytest.MonkeyPatch, suffix: str, took_effect: bool, times: int = 1) -> None:
    """Lose the answers to the next requests that end so, before or after they reach the Hub."""
    import requests

    original = requests.Session.request
    remaining = [times]

    def request(self: requests.Session, method: str, url: str, **options: Any) -> Any:
        if url.endswith(suffix) and method != "GET" and remaining[0]:
            remaining[0] -= 1
            if took_effect:
                original(self, method, url, **options)
            raise requests.exceptions.ReadTimeout("lost")
        return original(self, method, url, **options)

    monkeypatch.setattr(requests.Session, "request", request)


def send_once(operator: Any, hub: HubEmulator) -> None:
    """Let the operator's client send each request once."""
    operator.hook.client = HubClient(hub.token, hub.url, retry=RetryPolicy(total=0))


def kill_during_request(operator: Any, error: BaseException | None = None) -> None:
    """Kill the task while its request for hardware is on its way; the error is what Airflow 2.11 raises."""
    send = operator.hook.client.send

    def send_and_kill(call: Any) -> Any:
        if call.method != "POST":
            return send(call)
        operator.on_kill()
        answer = send(call)
        if error is not None:
            raise error
        return answer

    operator.hook.client.send = send_and_kill


class TestSleepTime:
    def test_sets_the_sleep_time(self, hub: HubEmulator) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        operator = SetSleepTimeOperator(task_id="sleep", repo_id=SPACE, sleep_time="900")
        assert Try().run(operator)["sleep_time"] == 900
        assert space.sleep_time == 900

    def test_warns_if_the_hub_fixes_the_sleep_time(self, hub: HubEmulator, task_log: TaskLog) -> None:
        hub.add_space(SPACE)
        Try().run(SetSleepTimeOperator(task_id="sleep", repo_id=SPACE, sleep_time=900))
        assert "has no effect there" in task_log.text

    @pytest.mark.parametrize("seconds", ["", "never", 0, None, "²", "٣٦"])
    def test_refuses_an_invalid_sleep_time(self, hub: HubEmulator, seconds: Any) -> None:
        hub.add_space(SPACE)
        with pytest.raises(AirflowFailException, match="sleep_time must"):
            Try().run(SetSleepTimeOperator(task_id="sleep", repo_id=SPACE, sleep_time=seconds))
        assert changes(hub) == []


def test_a_transient_error_keeps_its_kind_so_that_the_task_is_retried(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_space(SPACE)
    operator = upgrade()
    operator.hook.client.retry = RetryPolicy(total=0)
    hub.stop()
    with pytest.raises(HubError) as excinfo:
        Try().run(operator)
    assert not excinfo.value.permanent


@pytest.mark.parametrize("operator", [upgrade, restore])
def test_an_operator_can_be_copied_as_airflow_does(operator: Any) -> None:
    import copy

    assert copy.deepcopy(operator()).repo_id == SPACE


@pytest.mark.parametrize(
    ("stage", "has_warning"), [("RUNNING", True), ("BUILDING", True), ("PAUSED", False), ("SLEEPING", False)]
)
def test_a_snapshot_warns_of_paid_hardware_only_if_it_is_billed(
    hub: HubEmulator, task_log: TaskLog, stage: str, has_warning: bool
) -> None:
    hub.add_space(SPACE, hardware="t4-small", stage=stage)
    Try().run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
    assert ("is on t4-small, is billed, and will be restored to that" in task_log.text) == has_warning
    assert ("set lease=True" in task_log.text) == has_warning
