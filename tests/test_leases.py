"""Leases: one run at a time has a Space, and what a dead one left is not lost."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.errors import HubUnavailable
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.state import leases
from airflow_provider_hfspaces.state.leases import LeaseHolder, SpaceLease, previous_of
from tests.airflow_tools import Try

SPACE = "acme/whisper"
FREE = SpaceSnapshot(SPACE, "RUNNING", "cpu-basic")


class Variables:
    """Airflow's Variables, with the runs that it knows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.values: dict[str, Any] = {}
        self.over: set[str] = set()
        self.write_takes = 0.0
        monkeypatch.setattr(leases, "get_variable", self.values.get)
        monkeypatch.setattr(leases, "set_variable", self.write)
        monkeypatch.setattr(leases, "delete_variable", lambda name: self.values.pop(name, None))
        monkeypatch.setattr(leases, "is_run_over", lambda dag_id, run_id: run_id in self.over)
        monkeypatch.setattr(leases, "lease_settle", lambda: 0.4)

    def write(self, name: str, value: Any, description: str) -> None:
        time.sleep(self.write_takes)
        self.values[name] = value


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    return Variables(monkeypatch)


def lease_of(run_id: str, task_id: str = "gpu.snapshot", map_index: int = -1) -> SpaceLease:
    return SpaceLease(SPACE, LeaseHolder("dag", run_id, task_id, map_index))


def on(hardware: str) -> SpaceRuntime:
    return SpaceRuntime.from_payload(
        {"stage": "RUNNING", "hardware": {"current": hardware, "requested": hardware}, "gcTimeout": None}
    )


def test_of_many_that_come_at_once_one_has_it(variables: Variables) -> None:
    together = threading.Barrier(8)
    came: list[Any] = ["nobody"] * 8

    def come(number: int) -> None:
        together.wait()
        came[number] = lease_of(f"run {number}").take()

    threads = [threading.Thread(target=come, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert came.count(None) == 1
    held = [lease_of(f"run {number}").is_held() for number in range(8)]
    assert held.count(True) == 1
    assert held.index(True) == came.index(None)


def test_another_run_waits_until_it_is_given_back(variables: Variables) -> None:
    first, second = lease_of("first"), lease_of("second")
    assert first.take() is None
    assert str(second.take()) == str(first.me)
    first.give_back()
    assert second.take() is None
    first.give_back()
    assert second.is_held()


def test_the_same_task_finds_its_own_lease_again(variables: Variables) -> None:
    lease = lease_of("first")
    assert lease.take() is None
    lease.record(FREE)
    lease.record_request("t4-small")
    assert lease_of("first").take() is None
    assert lease.previous(on("t4-small")) == FREE
    assert lease.previous(on("cpu-upgrade")) is None, "somebody has changed the hardware since"


def test_what_a_run_that_is_over_left_behind_is_put_back_by_the_next(variables: Variables) -> None:
    first, second = lease_of("first"), lease_of("second")
    first.take()
    first.record(FREE)
    first.record_request("t4-small")
    assert str(second.take()) == str(first.me)
    variables.over.add("first")
    assert second.take() is None
    assert second.previous(on("t4-small")) == FREE
    assert previous_of("Acme/Whisper") == FREE
    assert not first.is_held()


def test_what_a_run_could_not_put_back_is_left_to_the_next(variables: Variables) -> None:
    first, second = lease_of("first"), lease_of("second")
    first.take()
    first.record(FREE)
    first.record_request("t4-small")
    first.abandon()
    assert second.take() is None
    assert second.previous(on("t4-small")) == FREE


def test_groups_within_a_group_share_and_groups_beside_it_wait(variables: Variables) -> None:
    outer, inner = lease_of("run", "outer.snapshot"), lease_of("run", "outer.inner.snapshot")
    beside = lease_of("run", "beside.snapshot")
    assert outer.take() is None
    assert inner.take() is None
    assert str(beside.take()) == str(inner.me)
    inner.give_back()
    assert str(beside.take()) == str(outer.me)
    assert outer.is_held()
    outer.give_back()
    assert beside.take() is None


def test_mapped_windows_on_one_space_take_turns(variables: Variables) -> None:
    first, second = lease_of("run", map_index=0), lease_of("run", map_index=1)
    assert first.take() is None
    assert str(second.take()) == str(first.me)


def test_an_airflow_that_is_too_slow_gives_no_lease(variables: Variables) -> None:
    variables.write_takes = 0.25
    with pytest.raises(TimeoutError, match="lease_settle"):
        lease_of("first").take()
    assert variables.values == {}


def test_a_record_that_is_none_is_ignored(variables: Variables) -> None:
    variables.values["hf_spaces_lease:acme:whisper"] = "what somebody wrote"
    assert lease_of("first").take() is None


def test_an_upgrade_without_its_lease_asks_for_nothing(hub: HubEmulator, variables: Variables) -> None:
    hub.add_space(SPACE)
    upgrade = RequestHardwareOperator(
        task_id="gpu.upgrade", repo_id=SPACE, hardware="t4-small", lease_task="snapshot"
    )
    with pytest.raises(Exception, match=r"Clear task 'gpu\.snapshot' together with this one"):
        Try().run(upgrade)
    assert not [request for request in hub.requests if request.method == "POST"]


def test_a_way_back_leaves_alone_what_another_run_has_leased(
    hub: HubEmulator, variables: Variables, task_log: Any
) -> None:
    space = hub.add_space(SPACE)
    snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE, lease=True)
    restore = RestoreHardwareOperator(task_id="restore", repo_id=SPACE, from_task="snapshot")
    first = Try(snapshot, restore)
    first.run(snapshot)
    variables.over.add("run")
    other = lease_of("other")
    assert other.take() is None
    HfSpacesHook().request_hardware(SPACE, "t4-small")
    first.run(restore)
    assert space.requested_hardware == "t4-small"
    assert "is leased by task gpu.snapshot of run other" in task_log.text


def test_a_snapshot_waits_for_the_lease_no_longer_than_told(hub: HubEmulator, variables: Variables) -> None:
    hub.add_space(SPACE)
    assert lease_of("other").take() is None
    snapshot = SnapshotSpaceOperator(
        task_id="snapshot", repo_id=SPACE, lease=True, lease_timeout=0.2, lease_poll_interval=0.05
    )
    with pytest.raises(
        Exception, match=r"still leased by task gpu\.snapshot of run other of DAG dag after 0"
    ):
        Try().run(snapshot)


def test_a_deferred_snapshot_keeps_its_deadline(hub: HubEmulator, variables: Variables) -> None:
    hub.add_space(SPACE)
    other = lease_of("other")
    assert other.take() is None
    snapshot = SnapshotSpaceOperator(
        task_id="snapshot", repo_id=SPACE, lease=True, lease_timeout=3600, deferrable=True
    )
    deferral = Try().deferral(snapshot)
    assert deferral.method_name == "look_again"
    other.give_back()
    tried = Try()
    result = snapshot.look_again(
        {"ti": tried.ti, "task_state_store": tried.store, "dag": None}, None, **deferral.kwargs
    )
    assert result["hardware"] == "cpu-basic"
    assert tried.xcom("task", "lease") == SPACE


def test_an_airflow_that_is_too_slow_loses_nothing_of_what_was_there_before(variables: Variables) -> None:
    dead, mine, next_one = lease_of("dead"), lease_of("mine"), lease_of("next")
    dead.take()
    dead.record(FREE)
    dead.record_request("t4-small")
    variables.over.add("dead")
    variables.write_takes = 0.25
    with pytest.raises(TimeoutError, match="lease_settle"):
        mine.take()
    variables.write_takes = 0
    assert next_one.take() is None, "a run that tries again later keeps nobody waiting"
    assert next_one.previous(on("t4-small")) == FREE


def test_what_nested_groups_of_a_dead_run_left_is_what_was_before_the_outermost(variables: Variables) -> None:
    outer, inner = lease_of("dead", "outer.snapshot"), lease_of("dead", "outer.inner.snapshot")
    outer.take()
    outer.record(FREE)
    outer.record_request("cpu-upgrade")
    inner.take()
    inner.record(SpaceSnapshot(SPACE, "RUNNING", "cpu-upgrade"))
    inner.record_request("t4-small")
    variables.over.add("dead")
    following = lease_of("next")
    assert following.take() is None
    assert following.previous(on("t4-small")) == FREE
    assert following.previous(on("cpu-upgrade")) == FREE, "the inner group may have died before it asked"


def test_a_run_that_dies_before_it_asks_has_not_changed_what_the_one_before_it_left(
    variables: Variables,
) -> None:
    first, second, third = lease_of("first"), lease_of("second"), lease_of("third")
    first.take()
    first.record(FREE)
    first.record_request("t4-small")
    variables.over.add("first")
    second.take()
    second.record_request("a10g-small")
    variables.over.add("second")
    assert third.take() is None
    assert third.previous(on("t4-small")) == FREE


def test_a_way_back_that_is_tried_again_has_the_space_to_itself(
    hub: HubEmulator, variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = hub.add_space(SPACE)
    snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE, lease=True)
    restore = RestoreHardwareOperator(task_id="restore", repo_id=SPACE, from_task="snapshot")
    first = Try(snapshot, restore)
    first.run(snapshot)
    HfSpacesHook().request_hardware(SPACE, "t4-small")
    hub.faults.add(kind="status", status=403, method="POST", path="/hardware")
    with pytest.raises(Exception, match="403"):
        first.run(restore)
    hub.faults.clear()
    came = []
    put_back = HfSpacesHook.restore

    def while_another_run_comes(*arguments: Any, **named: Any) -> SpaceRuntime:
        came.append(lease_of("other").take())
        return put_back(*arguments, **named)

    monkeypatch.setattr(HfSpacesHook, "restore", while_another_run_comes)
    first.run(restore)
    assert [str(holder) for holder in came] == ["task snapshot of run run of DAG dag"]
    assert space.requested_hardware == "cpu-basic"
    assert variables.values == {}


def test_a_way_back_that_cannot_even_look_keeps_nobody_waiting(
    hub: HubEmulator, variables: Variables
) -> None:
    hub.add_space(SPACE)
    snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE, lease=True)
    restore = RestoreHardwareOperator(task_id="restore", repo_id=SPACE, from_task="snapshot")
    first = Try(snapshot, restore)
    first.run(snapshot)
    hub.faults.add(kind="status", status=403, path="/runtime")
    with pytest.raises(Exception, match="403"):
        first.run(restore)
    assert lease_of("other").take() is None


def test_a_snapshot_that_fails_keeps_nobody_waiting(hub: HubEmulator, variables: Variables) -> None:
    hub.add_space(SPACE)
    hub.faults.add(kind="status", status=403, path="/runtime")
    with pytest.raises(Exception, match="403"):
        Try().run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE, lease=True))
    assert lease_of("other").take() is None


def test_a_space_that_turns_out_static_is_given_back(hub: HubEmulator, variables: Variables) -> None:
    hub.add_space(SPACE, sdk="static")
    snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE, lease=True)
    restore = RestoreHardwareOperator(task_id="restore", repo_id=SPACE, from_task="snapshot")
    only = Try(snapshot, restore)
    only.run(snapshot)
    only.run(restore)
    assert variables.values == {}


def test_a_pause_that_could_not_be_put_back_is_put_back_by_the_next_run(
    hub: HubEmulator, variables: Variables
) -> None:
    space = hub.add_space(SPACE, hardware="a10g-small", stage="PAUSED")
    snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE, lease=True)
    upgrade = RequestHardwareOperator(
        task_id="upgrade", repo_id=SPACE, hardware="t4-small", lease_task="snapshot", poll_interval=0.05
    )
    restore = RestoreHardwareOperator(task_id="restore", repo_id=SPACE, from_task="snapshot")
    first, following = Try(snapshot, upgrade, restore), Try(snapshot, upgrade, restore)
    first.run(snapshot)
    first.run(upgrade)
    restore.hook.client.retry = RetryPolicy(total=0)
    hub.faults.add(kind="status", status=503, path="/pause")
    with pytest.raises(HubUnavailable):
        first.run(restore)
    hub.faults.clear()
    assert (space.requested_hardware, space.stage == "PAUSED") == ("a10g-small", False)
    following.ti.run_id = "following"
    following.run(snapshot)
    following.run(restore)
    assert (space.requested_hardware, space.stage) == ("a10g-small", "PAUSED")
    assert variables.values == {}
