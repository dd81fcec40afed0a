"""What stays leased when nobody restores it, and what fleets do with Spaces that are leased."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowSkipException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.lease.actions import SpaceLeased
from airflow_provider_hfspaces.operators.fleet import (
    EnforceSleepTimeOperator,
    PauseSpacesOperator,
)
from airflow_provider_hfspaces.operators.leases import RestoreAbandonedLeasesOperator
from airflow_provider_hfspaces.state.fleet_leases import FleetLeases
from airflow_provider_hfspaces.state.leases import LeaseOwner
from tests.airflow_tools import Try, connection
from tests.lease_tools import SPACE, AirflowWithoutServer, Window, hold, holders, previous_state

OTHER = LeaseOwner("other_dag", "other", "gpu.snapshot")


pytestmark = pytest.mark.usefixtures("airflow")


def due(hours_ago: float) -> Any:
    """A scheduled DAG run that was due some hours ago."""
    run_after = datetime.now(timezone.utc) - timedelta(hours=hours_ago)
    return SimpleNamespace(run_type="scheduled", run_after=run_after)


def janitor(**arguments: Any) -> Any:
    return Try().run(RestoreAbandonedLeasesOperator(task_id="leases", author="acme", **arguments))


@pytest.mark.parametrize(
    "situation", ["abandoned", "run over", "restore over", "expired", "dag paused", "dag paused and working"]
)
def test_the_janitor_restores_a_space_that_no_run_restores_any_more(
    hub: HubEmulator, airflow: AirflowWithoutServer, situation: str
) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    owner = LeaseOwner("other_dag", "other", "gpu.snapshot", -1, ("gpu.restore",))
    holder = hold(abandoned=situation == "abandoned", hours_left=-1 if situation == "expired" else 24)
    airflow.remember(holder, owner)
    if situation == "run over":
        airflow.over.add("other")
    elif situation == "restore over":
        airflow.restored = {"gpu.restore": "failed"}
    elif situation.startswith("dag paused"):
        airflow.paused.add("other_dag")
        airflow.working = situation.endswith("working")
    report = janitor()
    is_kept = situation == "dag paused and working"
    assert space.requested_hardware == ("t4-small" if is_kept else "cpu-basic")
    assert [each.holder_id for each in holders()] == ([holder.holder_id] if is_kept else [])
    assert [each["outcome"] for each in report] == ([] if is_kept else ["restored"])


def test_the_janitor_reports_what_the_leases_cost(
    hub: HubEmulator, airflow: AirflowWithoutServer, sent_metrics: list[tuple[str, float, str]]
) -> None:
    def emulated_time() -> datetime:
        return datetime.fromtimestamp(hub.now(), timezone.utc)

    requested_at = emulated_time()
    hub.add_space(SPACE, hardware="t4-small")
    before = previous_state(taken_at=requested_at.isoformat())
    hold(previous=before, requested_at=requested_at, abandoned=True)
    hub.advance(1800)
    operator = RestoreAbandonedLeasesOperator(task_id="leases", author="acme")
    operator.hook = HfSpacesHook(clock=emulated_time)
    (entry,) = Try().run(operator)
    assert (entry["outcome"], entry["billed_hardware"]) == ("restored", "t4-small")
    # Each request takes 20 seconds of the emulated time.
    assert 30 <= entry["billed_seconds"] / 60 <= 45
    assert entry["cost_usd"] == pytest.approx(0.0067 * entry["billed_seconds"] / 60, abs=0.01)
    assert sent_metrics == [
        ("hf_spaces.billed_seconds", entry["billed_seconds"], "t4-small"),
        ("hf_spaces.cost_usd", entry["cost_usd"], "t4-small"),
    ]


def test_the_janitor_leaves_a_space_on_its_own_paid_hardware_alone(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="cpu-upgrade")
    Window().run("snapshot", "upgrade", "restore")
    change_count = len([each for each in hub.requests if each.method != "GET"])
    assert janitor() == janitor(dry_run=True) == []
    assert len([each for each in hub.requests if each.method != "GET"]) == change_count


def test_the_janitor_changes_nothing_in_a_dry_run(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    hold(abandoned=True)
    (entry,) = janitor(dry_run=True)
    assert entry["outcome"] == "would be restored"
    assert "abandoned" in entry["reason"]
    assert space.requested_hardware == "t4-small"


def test_the_janitor_looks_only_at_spaces_on_paid_hardware(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    hub.add_space("acme/gpu", hardware="t4-small")
    janitor()
    looks = [each.path for each in hub.requests if "/revision/" in each.path]
    assert looks == ["/api/spaces/acme/gpu/revision/airflow-lease"]


def test_the_janitor_fails_for_a_space_that_stays_on(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    hold(abandoned=True)
    hub.faults.add(kind="status", status=403, method="POST", path="/(hardware|pause)")
    with pytest.raises(Exception, match="Space acme/whisper could not be restored"):
        janitor()
    assert holders()[0].abandoned


@pytest.mark.parametrize("operator", [PauseSpacesOperator, EnforceSleepTimeOperator])
def test_fleet_operators_leave_leased_spaces_alone_and_say_so(
    hub: HubEmulator, airflow: AirflowWithoutServer, operator: Any
) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    free = hub.add_space("acme/free", hardware="t4-small")
    airflow.remember(hold(), OTHER)
    more = {"max_sleep_time": 3600} if operator is EnforceSleepTimeOperator else {}
    report = Try().run(operator(task_id="fleet", author="acme", **more))
    entry = next(each for each in report["spaces"] if each["repo_id"] == SPACE)
    assert entry["outcome"] == "left alone"
    assert entry["reason"].startswith("leased by task gpu.snapshot of run other of DAG other_dag")
    assert (space.stage, space.sleep_time) == ("RUNNING", None)
    assert (free.stage, free.sleep_time) != ("RUNNING", None)


def test_a_fleet_operator_sends_one_request_for_the_lease_of_a_space_that_was_never_leased(
    hub: HubEmulator,
) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    Try().run(PauseSpacesOperator(task_id="fleet", author="acme"))
    assert [each.path for each in hub.requests if "airflow-lease" in each.path] == [
        "/api/spaces/acme/whisper/revision/airflow-lease"
    ]


@pytest.mark.parametrize("kind", ["pause", "janitor", "dry run"])
def test_one_request_answers_for_all_spaces_if_one_repository_keeps_the_leases(
    hub: HubEmulator, airflow: AirflowWithoutServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    hub.add_repository("acme/airflow-leases", "dataset")
    monkeypatch.setenv(
        "AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub, lease_repo="datasets/acme/airflow-leases")
    )
    spaces = [hub.add_space(f"acme/s{number}", hardware="t4-small") for number in range(20)]
    airflow.remember(hold("acme/s7", abandoned=kind == "janitor"), OTHER)
    before = len(hub.requests)
    if kind == "janitor":
        (entry,) = janitor(dry_run=True)
        leased_id = entry["repo_id"]
    else:
        report = Try().run(PauseSpacesOperator(task_id="fleet", author="acme", dry_run=kind == "dry run"))
        (leased_id,) = [each["repo_id"] for each in report["spaces"] if each["outcome"] == "left alone"]
    assert leased_id == "acme/s7"
    looks = [each.path for each in hub.requests[before:] if "airflow-leases" in each.path]
    assert looks[0] == "/api/datasets/acme/airflow-leases/refs"
    assert [path.split("/resolve/")[0] for path in looks[1:]] == ["/datasets/acme/airflow-leases"]
    paused_ids = [space.repo_id for space in spaces if space.stage == "PAUSED"]
    assert len(paused_ids) == (19 if kind == "pause" else 0)


def test_a_fleet_operator_asks_each_space_about_its_lease_if_the_leases_cannot_be_listed(
    hub: HubEmulator, airflow: AirflowWithoutServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_repository("acme/airflow-leases", "dataset")
    monkeypatch.setenv(
        "AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub, lease_repo="datasets/acme/airflow-leases")
    )
    leased_space, free = (hub.add_space(name, hardware="t4-small") for name in ("acme/leased", "acme/free"))
    airflow.remember(hold("acme/leased"), OTHER)
    hub.faults.add(kind="status", status=403, path="/refs")
    Try().run(PauseSpacesOperator(task_id="fleet", author="acme"))
    assert (leased_space.stage, free.stage) == ("RUNNING", "PAUSED")


def test_a_fleet_operator_changes_a_space_whose_lease_is_over(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    airflow.remember(hold(), OTHER)
    airflow.over.add("other")
    Try().run(PauseSpacesOperator(task_id="fleet", author="acme"))
    assert space.stage == "PAUSED"


@pytest.mark.parametrize("looks", [1, 2])
def test_the_janitor_leaves_a_space_alone_that_a_run_leases_in_the_meantime(
    hub: HubEmulator, airflow: AirflowWithoutServer, looks: int
) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    airflow.remember(hold(), OTHER)
    airflow.over.add("other")
    questions = 0

    def lease_in_the_meantime(run_id: str) -> None:
        nonlocal questions
        questions += run_id == "other"
        if questions == looks and holders()[0].fence == 1:
            Window("live").run("snapshot", "upgrade")

    airflow.on_question = lease_in_the_meantime
    (entry,) = janitor()
    assert entry["outcome"] == "left alone"
    assert "of run live of DAG dag" in entry["reason"]
    assert space.requested_hardware == "t4-small"
    assert [each.fence for each in holders()] == [2]


def test_the_janitor_skips_a_scheduled_run_that_is_too_late(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    hold(abandoned=True)
    task = RestoreAbandonedLeasesOperator(task_id="leases", author="acme", max_lateness=3600)
    with pytest.raises(AirflowSkipException, match="max_lateness allows 60 min"):
        Try().run(task, dag_run=due(5))
    assert space.requested_hardware == "t4-small"
    assert [each["outcome"] for each in Try().run(task, dag_run=due(0.5))] == ["restored"]


def test_a_killed_janitor_restores_no_further_space(hub: HubEmulator, airflow: AirflowWithoutServer) -> None:
    class Killed(RestoreAbandonedLeasesOperator):
        def restore_space(self, *arguments: Any, **options: Any) -> dict[str, Any]:
            entry = super().restore_space(*arguments, **options)
            self.on_kill()
            return entry

    spaces = [hub.add_space(f"acme/{name}", hardware="t4-small") for name in ("one", "two")]
    for space in spaces:
        hold(space.repo_id, abandoned=True)
    report = Try().run(Killed(task_id="leases", author="acme"))
    assert [each["outcome"] for each in report] == ["restored"]
    assert sorted(str(each.requested_hardware) for each in spaces) == ["cpu-basic", "t4-small"]


def test_leases_that_were_listed_some_time_ago_are_listed_again_before_a_space_is_changed(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_space(SPACE)
    hub.add_repository("acme/airflow-leases", "dataset")
    extra = connection(hub, lease_repo="datasets/acme/airflow-leases")
    monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", extra)
    now = 0.0
    hook = HfSpacesHook()
    fleet = FleetLeases(hook, clock=lambda: now)
    fleet.list(SPACE)
    hold()
    fleet.check(hook.client, SPACE)
    now = 10.0
    with pytest.raises(SpaceLeased):
        fleet.check(hook.client, SPACE)
