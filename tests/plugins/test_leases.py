"""The fleet page shows who has leased a Space on paid hardware, and since when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.state.leases import LeaseOwner, variable_name
from tests.airflow_records import AirflowRecords
from tests.lease_tools import hold, holders
from tests.plugins.conftest import Page

OWNER = LeaseOwner("nightly", "scheduled__1", "gpu.snapshot")


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


@pytest.fixture
def hub_with_leases(hub: HubEmulator, airflow_records: AirflowRecords) -> HubEmulator:
    """A Space that a run of this Airflow has leased, one of another Airflow, and Spaces without a lease."""
    for name in ("ours", "others", "free"):
        hub.add_space(f"alice/{name}", hardware="t4-small")
    hub.add_space("alice/basic")
    ours = hold("alice/ours", holder_id="ab" * 16)
    hold("alice/others", holder_id="cd" * 16, abandoned=True)
    hold("alice/basic", holder_id="ef" * 16)
    airflow_records.dag("nightly")
    airflow_records.run("nightly", "scheduled__1", "running")
    airflow_records.variable(variable_name(ours.holder_id), OWNER.to_dict())
    return hub


def may_read(monkeypatch: pytest.MonkeyPatch, dag_id: str) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    monkeypatch.setattr(SimpleAuthManager, "get_authorized_dag_ids", lambda self, **details: {dag_id})


def test_a_lease_names_its_run_if_this_airflow_knows_it(
    hub_with_leases: HubEmulator, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read(monkeypatch, "nightly")
    leases = page.leases()
    assert set(leases) == {"alice/ours", "alice/others"}
    ours, others = leases["alice/ours"], leases["alice/others"]
    assert (ours["dag_id"], ours["run_id"], ours["task_id"]) == ("nightly", "scheduled__1", "gpu.snapshot")
    assert datetime.fromisoformat(ours["since"]) == holders("alice/ours")[0].since
    assert (others["dag_id"], others["run_id"]) == (None, None)
    assert (ours["state"], ours["releasable"]) == ("at work", False)
    assert (others["state"], others["releasable"]) == ("abandoned", True)
    assert ours["hardware"] == "t4-small"


def test_a_lease_shows_what_it_has_cost_so_far(hub_with_leases: HubEmulator, page: Page) -> None:
    hub_with_leases.add_space("alice/unpriced", hardware="h200")
    hold("alice/unpriced", requested=("h200",), holder_id="aa" * 16)
    hub_with_leases.add_space("alice/asleep", hardware="t4-small", stage="SLEEPING")
    hold("alice/asleep", holder_id="bb" * 16)
    leases = page.leases()
    assert leases["alice/ours"]["cost"] == pytest.approx(0.4, abs=0.02), "the lease has lasted an hour"
    assert leases["alice/ours"]["billed_seconds"] == pytest.approx(3600, abs=120)
    assert leases["alice/unpriced"]["cost"] is None
    assert leases["alice/asleep"]["cost"] == pytest.approx(0.4, abs=0.02), "it may have run until now"


@pytest.mark.parametrize(
    ("run_state", "state"), [("failed", "over"), ("success", "over"), (None, "over"), ("running", "at work")]
)
def test_a_lease_says_whether_its_run_still_restores_the_space(
    hub: HubEmulator, airflow_records: AirflowRecords, page: Page, run_state: str | None, state: str
) -> None:
    hub.add_space("alice/ours", hardware="t4-small")
    airflow_records.variable(variable_name(hold("alice/ours").holder_id), OWNER.to_dict())
    airflow_records.dag("nightly")
    if run_state:
        airflow_records.run("nightly", "scheduled__1", run_state)
    lease = page.leases()["alice/ours"]
    assert (lease["state"], lease["releasable"]) == (state, state != "at work")


def test_a_run_of_a_dag_that_the_user_may_not_read_is_not_named(
    hub_with_leases: HubEmulator, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read(monkeypatch, "other")
    ours = page.leases()["alice/ours"]
    assert ours["since"]
    assert "nightly" not in str(ours)
    assert "scheduled__1" not in str(ours)


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("VIEWER", 403), ("USER", 403)])
def test_a_user_who_may_not_read_connections_sees_no_leases(
    hub_with_leases: HubEmulator, page: Page, role: str | None, status: int
) -> None:
    answer = page.log_in(role).get("api/leases?connection_id=hf_spaces_default")
    assert answer.status_code == status
    assert "nightly" not in answer.text


def test_only_spaces_on_paid_hardware_are_asked_about_and_a_second_look_asks_nothing(
    hub_with_leases: HubEmulator, page: Page
) -> None:
    before = len(hub_with_leases.requests)
    page.leases()
    looks = [each.path for each in hub_with_leases.requests[before:] if "airflow-lease" in each.path]
    assert sorted(looks) == [
        f"/api/spaces/alice/{name}/revision/airflow-lease" for name in ("free", "others", "ours")
    ]
    after = len(hub_with_leases.requests)
    page.leases()
    assert len(hub_with_leases.requests) == after


def test_the_requests_of_one_reading_are_bounded(hub: HubEmulator, page: Page, store_connection: Any) -> None:
    for number in range(100):
        hub.add_space(f"acme/s{number}", hardware="t4-small")
    store_connection("many", hub, namespace="acme")
    page.leases("many")
    assert len([each for each in hub.requests if "airflow-lease" in each.path]) == 40


def test_one_request_answers_for_all_spaces_if_one_repository_keeps_the_leases(
    hub: HubEmulator, page: Page, store_connection: Any
) -> None:
    hub.add_repository("acme/airflow-leases", "dataset")
    for number in range(100):
        hub.add_space(f"acme/s{number}", hardware="t4-small")
    store_connection("shared", hub, namespace="acme", lease_repo="datasets/acme/airflow-leases")
    assert page.leases("shared") == {}
    looks = [each.path for each in hub.requests if "airflow-lease" in each.path]
    assert looks == ["/api/datasets/acme/airflow-leases/refs"]


@pytest.mark.parametrize("status", [403, 500])
def test_leases_that_cannot_be_read_are_left_out(
    hub_with_leases: HubEmulator, page: Page, status: int
) -> None:
    hub_with_leases.faults.add(kind="status", status=status, path="/revision/")
    assert page.leases() == {}
    assert len(page.fleet()["spaces"]) == 4


def test_the_hardware_cell_shows_the_lease(page: Page) -> None:
    assert "leased " in page.get("static/cells.js").text
    assert "api/leases" in page.get("static/fleet.js").text
