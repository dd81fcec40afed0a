"""What notifiers do to a Space and what they log, both when called and when awaited."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3, AIRFLOW_VERSION
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.notifications.spaces import (
    PauseSpaceNotifier,
    RestoreHardwareNotifier,
    SpaceNotifier,
)
from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator, SnapshotSpaceOperator
from airflow_provider_hfspaces.state.leases import LeaseOwner, variable_name
from tests.airflow_runs import AirflowRuns
from tests.airflow_tools import FakeTaskInstance, connection
from tests.airflow_variables import AirflowVariables
from tests.conftest import TaskLog
from tests.lease_tools import hold, write_lease
from tests.operators.test_hardware import changes
from tests.stub import StubHub

if AIRFLOW_3:
    from airflow.sdk import DAG, TaskGroup
else:
    from airflow import DAG
    from airflow.utils.task_group import TaskGroup

needs_deadlines = pytest.mark.skipif(AIRFLOW_VERSION < (3, 1), reason="Airflow 3.1 brought deadline alerts")

SPACE = "acme/whisper"
SNAPSHOT = {
    "repo_id": SPACE,
    "stage": "RUNNING",
    "hardware": "cpu-upgrade",
    "sleep_time": 7200,
    "taken_at": "2026-11-01T10:00:00+00:00",
}
Send = Callable[[SpaceNotifier, Mapping[str, Any]], None]


def call(notifier: SpaceNotifier, context: Mapping[str, Any]) -> None:
    notifier(context)


def await_notifier(notifier: SpaceNotifier, context: Mapping[str, Any]) -> None:
    async def wait() -> None:
        notifier.context = context
        await notifier

    asyncio.run(wait())


@pytest.fixture(
    params=[
        call,
        pytest.param(
            await_notifier,
            marks=needs_deadlines,
        ),
    ]
)
def send(request: pytest.FixtureRequest) -> Send:
    """Runs a notifier: called as in a worker, and awaited as in a triggerer."""
    send: Send = request.param
    return send


def lease(
    monkeypatch: pytest.MonkeyPatch,
    run_id: str,
    *,
    abandoned: bool = False,
    over: bool = False,
    **previous: Any,
) -> None:
    """Let a task of a run hold the lease of the Space, with the Variable that names the task.

    :param over: whether the run has ended.
    """
    holder = hold(SPACE, previous={**SNAPSHOT, **previous}, abandoned=abandoned)
    owner = LeaseOwner("dag", run_id, "snapshot")
    name = f"AIRFLOW_VAR_{variable_name(holder.holder_id).upper()}"
    monkeypatch.setenv(name, json.dumps(owner.to_dict()))
    AirflowRuns(monkeypatch).over = {run_id} if over else set()


class TaskFailure:
    """The context of the failure callback of a task."""

    def __init__(self) -> None:
        self.ti = FakeTaskInstance("batch")
        self.dag = window()

    def with_record(self, task_id: str, **snapshot: Any) -> TaskFailure:
        self.ti.xcoms[task_id, "previous"] = {**SNAPSHOT, **snapshot}
        return self

    @property
    def context(self) -> dict[str, Any]:
        return {
            "ti": self.ti,
            "dag": self.dag,
            "run_id": "run",
            "exception": RuntimeError("no more memory"),
            "params": {"name": "whisper"},
        }


LATE = {
    "dag_run": {"dag_id": "dag", "dag_run_id": "run", "conf": {"name": "whisper"}},
    "deadline": {"id": "1", "deadline_time": "2026-11-01T12:00:00Z"},
}


def window() -> Any:
    """A DAG that records and upgrades a Space."""
    with DAG("dag") as dag:
        SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE)
        RequestHardwareOperator(task_id="upgrade", repo_id=SPACE, hardware="t4-small")
        with TaskGroup("gpu"):
            SnapshotSpaceOperator(task_id="look", repo_id=SPACE)
        SnapshotSpaceOperator.partial(task_id="mapped").expand(repo_id=[SPACE])
    return dag


class TestPause:
    def test_a_running_space_is_paused_and_the_log_says_why(
        self, hub: HubEmulator, send: Send, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        send(PauseSpaceNotifier(SPACE), TaskFailure().context)
        assert space.stage == "PAUSED"
        assert not hub.bill().running
        message = (
            "Space acme/whisper was RUNNING on t4-small and is PAUSED now, because task 'batch' of DAG 'dag'"
        )
        assert message in task_log.text
        assert hub.token not in task_log.text

    def test_a_paused_space_is_left_alone(self, hub: HubEmulator, send: Send, task_log: TaskLog) -> None:
        hub.add_space(SPACE, stage="PAUSED")
        send(PauseSpaceNotifier(SPACE), TaskFailure().context)
        assert changes(hub) == []
        assert "Space acme/whisper is already paused." in task_log.text

    def test_a_second_call_changes_nothing(self, hub: HubEmulator, send: Send) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        notifier = PauseSpaceNotifier(SPACE)
        for _ in range(2):
            send(notifier, TaskFailure().context)
        assert [name for name, _ in changes(hub)] == ["pause"]

    def test_a_static_space_is_not_paused(self, hub: HubEmulator, send: Send, task_log: TaskLog) -> None:
        hub.add_space(SPACE, sdk="static")
        send(PauseSpaceNotifier(SPACE), TaskFailure().context)
        assert changes(hub) == []
        assert "is static and costs nothing" in task_log.text
        assert "ERROR" not in task_log.text

    def test_a_pause_whose_answer_is_lost_is_a_success(
        self, hub: HubEmulator, send: Send, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="reset", path="/pause", times=1, after=True)
        send(PauseSpaceNotifier(SPACE), TaskFailure().context)
        assert space.stage == "PAUSED"
        assert "is PAUSED now" in task_log.text

    def test_the_space_may_be_a_template(self, hub: HubEmulator, send: Send) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        send(PauseSpaceNotifier("acme/{{ params.name }}"), TaskFailure().context)
        assert space.stage == "PAUSED"

    def test_one_notifier_serves_many_tasks(self, hub: HubEmulator, send: Send) -> None:
        spaces = [hub.add_space(f"acme/s{number}", hardware="t4-small") for number in range(2)]
        notifier = PauseSpaceNotifier("acme/{{ params.name }}")
        for number in range(2):
            send(notifier, {**TaskFailure().context, "params": {"name": f"s{number}"}})
        assert [space.stage for space in spaces] == ["PAUSED", "PAUSED"]

    @needs_deadlines
    def test_templates_in_a_deadline_can_use_the_run(
        self, hub: HubEmulator, send: Send, task_log: TaskLog
    ) -> None:
        space = hub.add_space("acme/whisper-run-run", hardware="t4-small")
        send(PauseSpaceNotifier("acme/{{ dag_run.conf.name }}-{{ run_id }}-{{ dag_run.run_id }}"), LATE)
        assert space.stage == "PAUSED"
        assert "because run 'run' of DAG 'dag' has missed its deadline, 2026-11-01T12:00:00Z" in task_log.text


class TestTrouble:
    @pytest.mark.parametrize("kind", [PauseSpaceNotifier, RestoreHardwareNotifier])
    def test_a_rejected_token_is_reported_with_the_remedy(
        self,
        hub: HubEmulator,
        send: Send,
        kind: type[SpaceNotifier],
        task_log: TaskLog,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        token = "hf_" + "WrongWrongWrongWrongWrongWrongWron"
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub.url, token))
        send(kind(SPACE), TaskFailure().context)
        log = task_log.text
        assert "may keep costing money" in log
        assert f"{hub.url}/spaces/{SPACE}/settings" in log
        assert changes(hub) == []
        assert token not in log

    def test_a_missing_token_is_reported_with_the_remedy(
        self, hub: HubEmulator, send: Send, task_log: TaskLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        value = json.dumps({"conn_type": "hf_spaces", "host": hub.url})
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", value)
        send(PauseSpaceNotifier(SPACE), TaskFailure().context)
        assert "token" in task_log.text
        assert changes(hub) == []

    def test_a_hub_that_is_down_is_given_up_after_the_timeout(
        self, send: Send, task_log: TaskLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert PauseSpaceNotifier(SPACE).timeout == 30
        with StubHub() as stub:
            url = stub.url
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(url, "hf_abcdefghij"))
        send(PauseSpaceNotifier(SPACE, timeout=0.2), TaskFailure().context)
        assert "was not paused and may keep costing money: pause it at" in task_log.text

    def test_a_quota_that_is_used_up_is_not_waited_for(
        self, hub: HubEmulator, send: Send, task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="status", status=429, seconds=280)
        send(PauseSpaceNotifier(SPACE), TaskFailure().context)
        assert len(hub.requests) == len({each.path for each in hub.requests})
        assert "may keep costing money" in task_log.text

    def test_a_missing_connection_is_reported(self, send: Send, task_log: TaskLog) -> None:
        send(PauseSpaceNotifier(SPACE, hf_spaces_conn_id="nowhere", timeout=0.2), TaskFailure().context)
        assert "Connection 'nowhere' does not exist" in task_log.text
        assert "was not paused" in task_log.text

    @needs_deadlines
    def test_a_synchronous_deadline_without_its_connection_says_what_to_use(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        notifier = PauseSpaceNotifier(SPACE, hf_spaces_conn_id="nowhere")
        with pytest.raises(ValueError, match="nowhere"):
            call(notifier, LATE)
        assert "use an AsyncCallback" in task_log.text
        with pytest.raises(ValueError, match="nowhere"):
            await_notifier(notifier, LATE)
        assert task_log.text.count("use an AsyncCallback") == 1

    def test_an_invalid_repo_id_is_refused_before_anything_is_sent(
        self, hub: HubEmulator, send: Send, task_log: TaskLog
    ) -> None:
        send(PauseSpaceNotifier("acme/whis per"), TaskFailure().context)
        assert not hub.requests
        assert "was not paused" in task_log.text

    def test_a_template_that_fails_does_not_hide_the_failure_of_the_task(
        self, hub: HubEmulator, task_log: TaskLog
    ) -> None:
        PauseSpaceNotifier("acme/{{ nothing.at.all }}")(TaskFailure().context)
        assert not hub.requests
        assert (
            "'nothing' is undefined. Therefore Space acme/{{ nothing.at.all }} was not paused"
            in task_log.text
        )

    @needs_deadlines
    def test_the_callback_of_a_deadline_fails_if_it_could_not_act(self, hub: HubEmulator, send: Send) -> None:
        with pytest.raises(Exception, match="acme/whisper"):
            send(PauseSpaceNotifier(SPACE), LATE)


class TestRestore:
    def test_restores_what_the_named_task_recorded(
        self, hub: HubEmulator, send: Send, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", sleep_time=3600)
        failure = TaskFailure().with_record("snapshot")
        send(RestoreHardwareNotifier(SPACE, from_task="snapshot"), failure.context)
        assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 7200)
        assert (
            "was restored to cpu-upgrade (according to task 'snapshot'), because task 'batch'"
            in task_log.text
        )
        assert hub.token not in task_log.text

    def test_a_space_that_slept_before_costs_nothing_afterwards(self, hub: HubEmulator, send: Send) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", sleep_time=3600)
        send(RestoreHardwareNotifier(SPACE), TaskFailure().with_record("snapshot", stage="SLEEPING").context)
        assert (space.requested_hardware, space.stage) == ("cpu-upgrade", "PAUSED")

    def test_restores_the_earliest_record_of_the_run(self, hub: HubEmulator, send: Send) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        failure = TaskFailure()
        failure.with_record("upgrade", hardware="t4-small", taken_at="2026-11-01T10:05:00+00:00")
        failure.with_record("snapshot", hardware="cpu-upgrade", taken_at="2026-11-01T10:00:00+00:00")
        send(RestoreHardwareNotifier(SPACE), failure.context)
        assert space.requested_hardware == "cpu-upgrade"

    def test_restores_the_record_of_any_task_if_the_named_one_does_not_exist(
        self, hub: HubEmulator, send: Send, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        send(
            RestoreHardwareNotifier(SPACE, from_task="snapshoot"),
            TaskFailure().with_record("snapshot").context,
        )
        assert space.requested_hardware == "cpu-upgrade"
        assert "This DAG has no task 'snapshoot'" in task_log.text

    def test_restores_what_a_task_inside_a_group_recorded(self, hub: HubEmulator, send: Send) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        failure = TaskFailure().with_record("gpu.look")
        send(RestoreHardwareNotifier(SPACE, from_task="look"), failure.context)
        assert space.requested_hardware == "cpu-upgrade"

    def test_restores_what_one_of_many_mapped_tasks_recorded(self, hub: HubEmulator, send: Send) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        failure = TaskFailure()
        snapshots = {1: {**SNAPSHOT, "repo_id": "acme/other"}, 3: SNAPSHOT}

        def pull(task_ids: str, key: str, map_indexes: int) -> Any:
            return snapshots.get(map_indexes) if task_ids == "mapped" else None

        failure.ti.xcom_pull = pull  # type: ignore[method-assign,assignment]
        send(RestoreHardwareNotifier(SPACE), failure.context)
        assert space.requested_hardware == "cpu-upgrade"

    def test_a_space_that_was_paused_is_paused_again(self, hub: HubEmulator, send: Send) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        failure = TaskFailure().with_record("snapshot", stage="PAUSED")
        send(RestoreHardwareNotifier(SPACE, from_task="snapshot"), failure.context)
        assert (space.stage, space.requested_hardware) == ("PAUSED", "cpu-upgrade")

    def test_a_space_that_somebody_paused_stays_paused(self, hub: HubEmulator, send: Send) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", stage="PAUSED")
        send(
            RestoreHardwareNotifier(SPACE, from_task="snapshot"),
            TaskFailure().with_record("snapshot").context,
        )
        assert (space.stage, space.requested_hardware) == ("PAUSED", "cpu-upgrade")

    def test_a_second_call_changes_nothing(self, hub: HubEmulator, send: Send, task_log: TaskLog) -> None:
        hub.add_space(SPACE, hardware="t4-small", sleep_time=7200)
        failure = TaskFailure().with_record("snapshot")
        notifier = RestoreHardwareNotifier(SPACE, from_task="snapshot")
        for _ in range(2):
            send(notifier, failure.context)
        assert [name for name, _ in changes(hub)] == ["hardware"]
        assert "as before the run. There is nothing to restore" in task_log.text

    def test_restores_the_state_in_the_lease_of_this_run(
        self, hub: HubEmulator, send: Send, task_log: TaskLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        lease(monkeypatch, "run")
        send(RestoreHardwareNotifier(SPACE), TaskFailure().context)
        assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 7200)
        assert "according to the lease of this run" in task_log.text

    def test_the_lease_of_the_run_comes_before_the_records_of_its_tasks(
        self, hub: HubEmulator, send: Send, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        lease(monkeypatch, "run", hardware="l4x1")
        send(
            RestoreHardwareNotifier(SPACE, from_task="snapshot"),
            TaskFailure().with_record("snapshot").context,
        )
        assert space.requested_hardware == "l4x1"

    def test_a_space_that_another_run_has_leased_is_left_alone(
        self, hub: HubEmulator, send: Send, task_log: TaskLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        lease(monkeypatch, "tomorrow")
        send(
            RestoreHardwareNotifier(SPACE, from_task="snapshot"),
            TaskFailure().with_record("snapshot").context,
        )
        assert space.requested_hardware == "t4-small"
        assert "leased by task snapshot of run tomorrow of DAG dag since" in task_log.text

    def test_a_space_that_another_run_has_leased_is_not_paused(
        self, hub: HubEmulator, send: Send, task_log: TaskLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        lease(monkeypatch, "tomorrow")
        send(PauseSpaceNotifier(SPACE), TaskFailure().context)
        assert space.stage == "RUNNING"
        assert "leased by task snapshot of run tomorrow of DAG dag since" in task_log.text

    def test_a_space_that_this_run_has_leased_is_paused(
        self, hub: HubEmulator, send: Send, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        lease(monkeypatch, "run")
        send(PauseSpaceNotifier(SPACE), TaskFailure().context)
        assert space.stage == "PAUSED"

    def test_an_abandoned_lease_of_another_run_is_ignored(
        self, hub: HubEmulator, send: Send, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        lease(monkeypatch, "yesterday", abandoned=True)
        send(
            RestoreHardwareNotifier(SPACE, from_task="snapshot"),
            TaskFailure().with_record("snapshot").context,
        )
        assert space.requested_hardware == "cpu-upgrade"

    def test_restores_the_state_in_the_lease_of_a_run_that_is_over(
        self, hub: HubEmulator, send: Send, task_log: TaskLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        lease(monkeypatch, "yesterday", over=True)
        send(RestoreHardwareNotifier(SPACE), TaskFailure().context)
        assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 7200)
        assert "according to the lease of a run that is over" in task_log.text

    def test_a_lease_of_a_run_that_airflow_does_not_name_is_left_alone(
        self, hub: HubEmulator, send: Send, task_log: TaskLog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        hold(SPACE, previous=SNAPSHOT)
        AirflowVariables(monkeypatch).error = RuntimeError("This process reads no Variables")
        send(
            RestoreHardwareNotifier(SPACE, from_task="snapshot"),
            TaskFailure().with_record("snapshot").context,
        )
        assert space.requested_hardware == "t4-small"
        assert not {name for name, _ in changes(hub)} & {"hardware", "sleeptime", "pause"}
        assert "leased by a run that Airflow does not name here" in task_log.text

    def test_an_expired_lease_of_a_run_that_airflow_does_not_name_is_ignored(
        self, hub: HubEmulator, send: Send
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        hold(SPACE, previous=SNAPSHOT, hours_left=-1)
        send(
            RestoreHardwareNotifier(SPACE, from_task="snapshot"),
            TaskFailure().with_record("snapshot").context,
        )
        assert space.requested_hardware == "cpu-upgrade"

    @pytest.mark.parametrize("record", ["no json", '{"format": 1, "holders": "none"}', "[1]", "[" * 5000])
    def test_an_unreadable_lease_does_not_prevent_the_restore(self, hub: HubEmulator, record: str) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        write_lease(record)
        call(
            RestoreHardwareNotifier(SPACE, from_task="snapshot"),
            TaskFailure().with_record("snapshot").context,
        )
        assert space.requested_hardware == "cpu-upgrade"

    def test_falls_back_if_nothing_was_recorded(
        self, hub: HubEmulator, send: Send, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", sleep_time=3600)
        send(RestoreHardwareNotifier(SPACE), TaskFailure().context)
        assert space.requested_hardware == "cpu-basic"
        assert "according to the fallback, because no task of this run recorded the Space" in task_log.text

    def test_the_fallback_keeps_the_sleep_time(self, hub: HubEmulator, send: Send) -> None:
        space = hub.add_space(SPACE, hardware="t4-small", sleep_time=3600)
        send(
            RestoreHardwareNotifier(SPACE, fallback="{{ params.back }}"),
            {**TaskFailure().context, "params": {"back": "cpu-upgrade"}},
        )
        assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 3600)

    def test_falls_back_if_the_hub_rejects_the_recorded_hardware(
        self, hub: HubEmulator, send: Send, task_log: TaskLog
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        failure = TaskFailure().with_record("snapshot", hardware="retired-gpu")
        send(RestoreHardwareNotifier(SPACE, from_task="snapshot"), failure.context)
        assert space.requested_hardware == "cpu-basic"
        assert "Moving Space acme/whisper to cpu-basic instead" in task_log.text

    @pytest.mark.parametrize("status", [402, 403, pytest.param(503, marks=pytest.mark.slow)])
    def test_the_space_is_paused_if_the_hub_rejects_every_way_back(
        self, hub: HubEmulator, send: Send, task_log: TaskLog, status: int
    ) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        hub.faults.add(kind="status", status=status, path="/hardware", message="CPU-basic quota limit")
        notifier = RestoreHardwareNotifier(SPACE, from_task="snapshot", timeout=0.5)
        send(notifier, TaskFailure().with_record("snapshot").context)
        assert space.stage == "PAUSED"
        assert "Space acme/whisper is paused and costs nothing, because the Hub" in task_log.text
        assert "may keep costing money" not in task_log.text

    def test_replicas_are_restored(self, hub: HubEmulator, send: Send) -> None:
        space = hub.add_space(SPACE)
        failure = TaskFailure().with_record("snapshot", hardware="t4-small", replicas=3)
        failure.ti.xcoms["upgrade", "requested"] = "cpu-basic"
        send(RestoreHardwareNotifier(SPACE, from_task="snapshot"), failure.context)
        assert (space.requested_hardware, space.replicas) == ("t4-small", 3)

    def test_a_fallback_that_the_hub_does_not_offer_is_never_requested(
        self, hub: HubEmulator, send: Send, task_log: TaskLog
    ) -> None:
        hub.add_space(SPACE, hardware="t4-small")
        send(RestoreHardwareNotifier(SPACE, fallback="cpu-bassic"), TaskFailure().context)
        assert changes(hub) == []
        assert "cpu-bassic" in task_log.text
        assert "was not restored" in task_log.text

    def test_a_static_space_has_no_hardware(self, hub: HubEmulator, send: Send, task_log: TaskLog) -> None:
        hub.add_space(SPACE, sdk="static")
        send(RestoreHardwareNotifier(SPACE), TaskFailure().context)
        assert changes(hub) == []
        assert "is static: there is no hardware to restore" in task_log.text

    @needs_deadlines
    def test_a_synchronous_deadline_reads_no_xcoms(self, hub: HubEmulator, task_log: TaskLog) -> None:
        space = hub.add_space(SPACE, hardware="t4-small")
        call(RestoreHardwareNotifier(SPACE, from_task="snapshot"), LATE)
        assert space.requested_hardware == "cpu-basic"
        assert "no XComs: the record of task 'snapshot' is not read" in task_log.text


def test_a_dag_file_does_not_import_an_http_library(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "airflow_provider_hfspaces.notifications.spaces"
    heavy = ("requests", "httpx", "airflow_provider_hfspaces.h", "airflow_provider_hfspaces.operators")
    for each in list(sys.modules):
        if each.startswith(heavy):
            # what is None here cannot be imported
            monkeypatch.setitem(sys.modules, each, None)  # type: ignore[arg-type]
    monkeypatch.delitem(sys.modules, name)
    assert import_module(name).PauseSpaceNotifier("acme/whisper").repo_id == "acme/whisper"
