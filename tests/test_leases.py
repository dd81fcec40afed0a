"""Leases as operators use them: one run at a time has a Space, and the state to restore is never lost."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub import branches
from airflow_provider_hfspaces.hub.lease.record import LeaseRecord
from airflow_provider_hfspaces.operators.hardware import (
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.state.lease_waits import LeaseWaitLog
from airflow_provider_hfspaces.state.leases import LeaseOwner
from tests.airflow_tools import Try, connection
from tests.lease_tools import (
    SPACE,
    AirflowWithoutServer,
    Window,
    hold,
    holders,
    previous_state,
    write_lease,
)

OTHER = LeaseOwner("other_dag", "other", "gpu.snapshot")


pytestmark = pytest.mark.usefixtures("airflow")


def commits(hub: HubEmulator) -> int:
    return len([each for each in hub.requests if "/commit/" in each.path and each.status == 200])


def test_a_window_makes_three_commits_and_leaves_no_holder(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    Window().run("snapshot", "upgrade", "restore")
    assert space.requested_hardware == "cpu-basic"
    assert holders() == ()
    assert commits(hub) == 3


def test_a_second_run_times_out_with_an_error_that_names_the_holder(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    Window("first").run("snapshot")
    with pytest.raises(Exception, match=r"still leased after 0 seconds.*of run first of DAG dag"):
        Window("second").run("snapshot")
    (holder,) = holders()
    assert holder.fence == 1


def test_a_snapshot_that_leases_does_not_advise_to_lease(hub: HubEmulator, task_log: Any) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    Window().run("snapshot")
    assert "is on t4-small, is billed, and will be restored to that" in task_log.text
    assert "lease=True" not in task_log.text


def test_an_abandoned_lease_is_free_and_its_state_is_restored(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    hold(abandoned=True, previous=previous_state(hardware="cpu-upgrade", sleep_time=1200))
    Window().run("snapshot", "upgrade", "restore")
    assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 1200)
    assert holders() == ()


def test_hardware_that_a_user_chose_since_then_is_the_state_to_restore(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="l4x1")
    hold(abandoned=True)
    Window().run("snapshot", "upgrade", "restore")
    assert space.requested_hardware == "l4x1"


def test_a_lease_of_another_airflow_is_waited_for(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    hold(hours_left=1)
    with pytest.raises(Exception, match="another Airflow or script"):
        Window().run("snapshot")


def test_a_lease_of_a_run_that_is_over_is_taken_over(hub: HubEmulator, airflow: AirflowWithoutServer) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    airflow.remember(hold(), OTHER)
    airflow.over.add("other")
    Window().run("snapshot", "upgrade", "restore")
    assert space.requested_hardware == "cpu-basic"
    assert [name for name in airflow.variables if name.startswith("hf_spaces_lease")] == []


def test_a_wait_says_who_has_the_lease_and_that_the_holders_dag_is_paused(
    hub: HubEmulator, airflow: AirflowWithoutServer, task_log: Any
) -> None:
    questions = []

    def end_after_some_questions(run_id: str) -> None:
        questions.append(run_id)
        airflow.over.update({"other"} if len(questions) == 6 else ())

    hub.add_space(SPACE)
    airflow.remember(hold(), OTHER)
    airflow.paused.add("other_dag")
    airflow.on_question = end_after_some_questions
    window = Window()
    window.snapshot.lease_timeout = 600
    window.run("snapshot")
    message = r"leased by .*other_dag.*whose DAG is paused\. Waiting for \d+ seconds so far"
    assert re.search(message, task_log.text)


def test_the_log_of_a_wait_names_the_holder_again_every_ten_minutes(
    hub: HubEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1_800_000_000.0
    hub.add_space(SPACE)
    holder = hold()
    caplog.set_level("INFO")
    wait_log = LeaseWaitLog(SPACE, now, now + 3600, logging.getLogger("waits"), clock=lambda: now)
    for _ in range(25):
        if wait_log.is_due(holder):
            wait_log.write(holder, "a run")
        now += 60
    messages = [record.getMessage() for record in caplog.records if record.name == "waits"]
    assert [message.partition(", and")[0] for message in messages] == [
        f"Space acme/whisper is leased by a run. Waiting for {seconds} seconds so far"
        for seconds in (0, 600, 1200)
    ]


@pytest.mark.parametrize("state", ["failed", "success", "skipped", "removed"])
@pytest.mark.parametrize("run_id", ["other", "run"])
def test_a_lease_whose_restore_has_ended_is_free_also_in_the_same_run(
    hub: HubEmulator, airflow: AirflowWithoutServer, run_id: str, state: str
) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    airflow.remember(hold(), LeaseOwner("dag", run_id, "old.snapshot", -1, ("old.restore",)))
    with pytest.raises(Exception, match="still leased"):
        Window().run("snapshot")
    airflow.restored = {"old.restore": "up_for_retry"}
    with pytest.raises(Exception, match="still leased"):
        Window().run("snapshot")
    # Airflow marks the tasks of a group that was renamed in the DAG file as removed, also during the run.
    airflow.restored = {"old.restore": state}
    Window().run("snapshot", "upgrade", "restore")
    assert space.requested_hardware == "cpu-basic"


def test_a_retry_keeps_the_lease_that_the_first_try_acquired(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    Window().run("snapshot")
    (first,) = holders()
    Window().run("snapshot", "upgrade")
    (second,) = holders()
    assert (second.holder_id, second.fence) == (first.holder_id, 1)


def test_groups_within_a_group_share_the_lease_and_groups_beside_it_wait(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    tasks = Try()

    def snapshot(task_id: str) -> None:
        operator = SnapshotSpaceOperator(
            task_id=task_id, repo_id=SPACE, lease=True, lease_timeout=0.1, lease_poll_interval=0.05
        )
        tasks.run(operator)

    snapshot("outer.snapshot")
    snapshot("outer.inner.snapshot")
    assert [each.fence for each in holders()] == [1, 2]
    with pytest.raises(Exception, match=r"task outer\.inner\.snapshot of run run"):
        snapshot("beside.snapshot")
    inner = RestoreHardwareOperator(task_id="outer.inner.restore", repo_id=SPACE, from_task="snapshot")
    tasks.run(inner)
    assert [each.fence for each in holders()] == [1]


def test_an_expired_lease_of_another_airflow_is_taken_over(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    hold(hours_left=-1)
    Window().run("snapshot", "upgrade", "restore")
    assert space.requested_hardware == "cpu-basic"


def test_an_expired_lease_of_a_run_that_nothing_works_for_is_taken_over(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    airflow.remember(hold(hours_left=-1), OTHER)
    airflow.working = True
    with pytest.raises(Exception, match=r"still leased after 0 seconds.*of run other of DAG other_dag"):
        Window().run("snapshot")
    airflow.working = False
    Window().run("snapshot", "upgrade", "restore")
    assert space.requested_hardware == "cpu-basic"


def test_a_lease_that_has_not_expired_is_waited_for_also_between_two_tasks_of_its_run(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    airflow.remember(hold(hours_left=1), OTHER)
    with pytest.raises(Exception, match="still leased after 0 seconds"):
        Window().run("snapshot")


def test_the_request_is_refused_if_the_run_does_not_hold_the_lease(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    with pytest.raises(Exception, match=r"does not hold its lease.*Clear task 'snapshot' together"):
        Window().run("upgrade")
    assert not [request for request in hub.requests if request.method == "POST"]


def test_a_restore_without_a_lease_leaves_the_space_to_the_run_that_has_it(
    hub: HubEmulator, airflow: AirflowWithoutServer, task_log: Any
) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    airflow.remember(hold(), OTHER)
    window = Window()
    window.tasks.ti.xcoms["snapshot", "previous"] = previous_state()
    window.run("restore")
    assert space.requested_hardware == "t4-small"
    assert "is leased by task gpu.snapshot of run other of DAG other_dag" in task_log.text


@pytest.mark.parametrize("is_leased", [True, False])
def test_a_restore_that_was_overtaken_requests_the_hardware_of_the_other_run_again_and_says_so(
    hub: HubEmulator,
    airflow: AirflowWithoutServer,
    task_log: Any,
    monkeypatch: pytest.MonkeyPatch,
    is_leased: bool,
) -> None:
    space = hub.add_space(SPACE)
    window = Window()
    if is_leased:
        window.run("snapshot", "upgrade")
    else:
        HfSpacesHook().request_hardware(SPACE, "t4-small")
        window.tasks.ti.xcoms["snapshot", "previous"] = previous_state()
    send, overtaken = requests.Session.send, []

    def send_late(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        """Send like a worker that froze after its look at the lease, just before the request."""
        if request.method == "POST" and str(request.url).endswith("/hardware") and not overtaken:
            overtaken.append(request.body)
            if is_leased:
                write_lease(LeaseRecord(SPACE, 7).to_text())
            airflow.remember(hold(requested=("cpu-upgrade", "a10g-small"), sleep_time=900), OTHER)
            HfSpacesHook().request_hardware(SPACE, "a10g-small", sleep_time=900)
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", send_late)
    window.run("restore")
    assert "cpu-basic" in str(overtaken)
    assert (space.requested_hardware, space.sleep_time) == ("a10g-small", 900)
    assert [each.holder_id for each in holders()] == ["ab" * 16]
    assert "task gpu.snapshot of run other of DAG other_dag since" in task_log.text
    assert "the restore removed its hardware. a10g-small is requested again." in task_log.text


def test_a_restore_takes_over_an_abandoned_lease(hub: HubEmulator, task_log: Any) -> None:
    space = hub.add_space(SPACE)
    window = Window()
    window.run("snapshot", "upgrade")
    hook = HfSpacesHook()
    (mine,) = holders()
    branch = branches.Branch("spaces", SPACE, "airflow-lease")
    head = hook.client.send(branches.get_head(branch))
    text = hook.client.send(branches.get_file(branch, head, "lease.json"))
    others = text.replace(mine.holder_id, "cd" * 16).replace('"abandoned": false', '"abandoned": true')
    hook.client.send(branches.commit_file(branch, "lease.json", others, parent=head, summary="Abandon"))
    window.run("restore")
    assert space.requested_hardware == "cpu-basic"
    assert holders() == ()


def test_a_restore_that_fails_leaves_its_state_to_the_next_run(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="cpu-upgrade")
    window = Window()
    window.run("snapshot", "upgrade")
    hub.faults.add(kind="status", status=401, method="POST", path="/hardware", times=3)
    hub.faults.add(kind="status", status=401, method="POST", path="/pause", times=3)
    with pytest.raises(Exception, match="401"):
        window.run("restore")
    assert holders()[0].abandoned
    hub.faults.clear()
    Window("next").run("snapshot", "restore")
    assert space.requested_hardware == "cpu-upgrade"
    assert holders() == ()


@pytest.mark.parametrize("status", [401, 403])
def test_a_restore_retries_a_rejected_token_while_it_has_tries_left(hub: HubEmulator, status: int) -> None:
    space = hub.add_space(SPACE)
    window = Window(retries=5)
    window.run("snapshot", "upgrade")
    window.tasks.ti.try_number, window.tasks.ti.max_tries = 1, 5
    hub.faults.add(kind="status", status=status, method="POST", path="/hardware", times=1)
    with pytest.raises(Exception, match=str(status)) as failure:
        window.run("restore")
    assert type(failure.value).__name__ != "AirflowFailException"
    assert (space.requested_hardware, space.stage) == ("t4-small", "RUNNING")
    window.run("restore")
    assert space.requested_hardware == "cpu-basic"


def test_a_lease_record_that_is_not_valid_is_refused_with_the_reason(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    write_lease('{"format": 1, "repo_id": "acme/whisper", "fence": 1, "holders": "me", "ended": null}')
    with pytest.raises(Exception, match=r"lease record that is not valid: holders must be a list.*delete"):
        Window().run("snapshot")
    assert space.requested_hardware == "cpu-basic"


def test_recorded_hardware_above_the_cost_limit_is_not_restored(hub: HubEmulator, task_log: Any) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    hold(abandoned=True, previous=previous_state(hardware="a100-large"))
    window = Window(max_hourly_cost=0.5)
    window.run("snapshot", "restore")
    assert space.requested_hardware == "cpu-basic"
    assert "a100-large costs $" in task_log.text


def test_a_restore_without_an_upgrade_does_not_request_more_expensive_hardware(
    hub: HubEmulator, task_log: Any
) -> None:
    space = hub.add_space(SPACE)
    window = Window()
    window.tasks.ti.xcoms["snapshot", "previous"] = previous_state(hardware="t4-small")
    window.run("restore")
    assert space.requested_hardware == "cpu-basic"
    assert "t4-small, which was recorded, costs more" in task_log.text


def test_a_copy_of_a_space_does_not_inherit_the_lease_of_the_original(hub: HubEmulator) -> None:
    hub.add_space("acme/original")
    hub.add_space(SPACE)
    hook = HfSpacesHook()
    hold("acme/original")
    original = branches.Branch("spaces", "acme/original", "airflow-lease")
    copy = branches.Branch("spaces", SPACE, "airflow-lease")
    head = hook.client.send(branches.get_head(original))
    text = hook.client.send(branches.get_file(original, head, "lease.json"))
    hook.client.send(branches.create_branch(copy))
    parent = hook.client.send(branches.get_head(copy))
    hook.client.send(branches.commit_file(copy, "lease.json", text, parent=parent, summary="Copy"))
    Window().run("snapshot")
    assert [holder.holder_id != "ab" * 16 for holder in holders()] == [True]


def test_a_token_without_write_access_is_reported_with_the_remedy(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    hub.faults.add(kind="status", status=403, method="POST", path="/commit/")
    with pytest.raises(Exception, match=r"may not write the lease.*write access.*lease=False"):
        Window().run("snapshot")


def test_a_lease_that_cannot_be_given_back_does_not_fail_the_restore(hub: HubEmulator, task_log: Any) -> None:
    space = hub.add_space(SPACE)
    window = Window()
    window.run("snapshot", "upgrade")
    hub.faults.add(kind="status", status=403, method="POST", path="/commit/")
    window.run("restore")
    assert space.requested_hardware == "cpu-basic"
    assert "could not be given back" in task_log.text


def test_the_leases_of_many_spaces_can_be_kept_in_one_repository(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = hub.add_space(SPACE)
    hub.add_repository("acme/airflow-leases", "dataset")
    extra = connection(hub, lease_repo="datasets/acme/airflow-leases")
    monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", extra)
    Window().run("snapshot", "upgrade", "restore")
    assert space.requested_hardware == "cpu-basic"
    commit_paths = {each.path for each in hub.requests if "/commit/" in each.path}
    assert commit_paths == {"/api/datasets/acme/airflow-leases/commit/acme--whisper--airflow-lease"}


@pytest.mark.parametrize(
    "fault", [{"kind": "reset", "after": True, "times": 2}, {"kind": "late", "seconds": 30, "times": 1}]
)
def test_after_a_lost_or_late_commit_the_lease_is_read_again(hub: HubEmulator, fault: dict[str, Any]) -> None:
    space = hub.add_space(SPACE)
    hub.faults.add(method="POST", path="/commit/", **fault)
    Window().run("snapshot", "upgrade", "restore")
    assert space.requested_hardware == "cpu-basic"
    assert holders() == ()


def test_a_deferred_snapshot_carries_its_deadline_in_the_triggers_event(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    hub.add_space(SPACE)
    airflow.remember(hold(), OTHER)
    snapshot = SnapshotSpaceOperator(
        task_id="snapshot",
        repo_id=SPACE,
        lease=True,
        lease_timeout=0.2,
        lease_poll_interval=0.05,
        deferrable=True,
    )
    with pytest.raises(Exception, match="still leased after 0 seconds"):
        Try(snapshot).run_deferred(snapshot)


@pytest.mark.parametrize("dormant", ["SLEEPING", "RUNTIME_ERROR"])
def test_a_space_that_cost_nothing_before_costs_nothing_afterwards(hub: HubEmulator, dormant: str) -> None:
    space = hub.add_space(SPACE, hardware="a10g-small", sleep_time=172_800, stage=dormant)
    Window().run("snapshot", "upgrade", "restore")
    assert (space.requested_hardware, space.stage) == ("a10g-small", "PAUSED")
    assert not hub.bill(SPACE).running


@pytest.mark.slow
@pytest.mark.parametrize("hub_time", [{"speed": 0, "seconds_per_request": 600}])
def test_a_sleeping_space_can_be_put_to_sleep_again_with_its_own_sleep_time(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="a10g-small", sleep_time=172_800, stage="SLEEPING")
    Window(restore_dormant="sleep").run("snapshot", "upgrade", "restore")
    assert (space.requested_hardware, space.stage, space.sleep_time) == ("a10g-small", "SLEEPING", 172_800)


@pytest.mark.parametrize("status", [403, 429])
def test_a_restore_that_is_tried_again_changes_the_hardware_though_its_lease_cannot_be_written(
    hub: HubEmulator, status: int
) -> None:
    space = hub.add_space(SPACE)
    window = Window()
    window.run("snapshot", "upgrade")
    hub.faults.add(kind="status", status=403, method="POST", path="/(hardware|pause)", times=4)
    with pytest.raises(Exception, match="403"):
        window.run("restore")
    assert holders()[0].abandoned
    hub.faults.clear()
    hub.faults.add(kind="status", status=status, seconds=7200, method="POST", path="/commit/")
    window.run("restore")
    assert space.requested_hardware == "cpu-basic"


def test_a_request_waits_while_the_hub_accepts_no_commit(
    hub: HubEmulator, task_log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = hub.add_space(SPACE)
    window = Window()
    window.run("snapshot")
    window.upgrade.timeout = 9000
    pauses: list[float] = []
    wait = window.upgrade.killed.wait

    def wait_unless_long(seconds: float) -> bool:
        if seconds < 60:
            return wait(seconds)
        pauses.append(seconds)
        return False

    monkeypatch.setattr(window.upgrade.killed, "wait", wait_unless_long)
    hub.faults.add(kind="status", status=429, seconds=7200, method="POST", path="/commit/", times=1)
    window.run("upgrade")
    assert pauses == [7200]
    assert space.requested_hardware == "t4-small"
    assert holders()[0].requested == ("t4-small",)
    assert "Requesting t4-small in 7200 seconds" in task_log.text


def test_a_repository_for_leases_that_does_not_exist_is_named_in_the_error(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_space(SPACE)
    extra = connection(hub, lease_repo="datasets/acme/missing")
    monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", extra)
    with pytest.raises(Exception, match=r"Space acme/whisper: .* of datasets/acme/missing, .* Create"):
        Window().run("snapshot")


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-12:00", "2026-11-01T10:00:00", "soon", 1])
def test_a_forged_moment_is_refused_in_words(hub: HubEmulator, moment: Any) -> None:
    hub.add_space(SPACE)
    hold()
    hook = HfSpacesHook()
    branch = branches.Branch("spaces", SPACE, "airflow-lease")
    head = hook.client.send(branches.get_head(branch))
    record = json.loads(hook.client.send(branches.get_file(branch, head, "lease.json")))
    record["holders"][0]["until"] = moment
    commit = branches.commit_file(branch, "lease.json", json.dumps(record), parent=head, summary="Forge")
    hook.client.send(commit)
    with pytest.raises(Exception, match=r"lease record that is not valid: until must (be|have)"):
        Window().run("snapshot")


def test_a_space_that_fell_asleep_on_other_hardware_is_not_woken_by_the_restore(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="a10g-small", sleep_time=172_800, stage="SLEEPING")
    window = Window()
    window.run("snapshot", "upgrade")
    while space.stage != "SLEEPING":
        HfSpacesHook().get_runtime(SPACE)
    window.run("restore")
    assert (space.requested_hardware, space.stage) == ("a10g-small", "PAUSED")
    assert not hub.bill(SPACE).running
