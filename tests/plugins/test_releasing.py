"""Releasing a lease from the fleet page: who may do it, which leases, and what Airflow records."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.state.leases import LeaseOwner, variable_name
from tests.airflow_records import AirflowRecords
from tests.lease_tools import hold, holders
from tests.plugins.conftest import Page

SPACE = "alice/whisper"
OWNER = LeaseOwner("nightly", "scheduled__1", "gpu.snapshot")


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


@pytest.fixture
def dead(hub: HubEmulator, airflow_records: AirflowRecords) -> HubEmulator:
    """A Space on a T4 whose lease a failed run has left behind."""
    hub.add_space(SPACE, hardware="t4-small")
    airflow_records.dag("nightly")
    airflow_records.run("nightly", "scheduled__1", "failed")
    airflow_records.variable(variable_name(hold(SPACE).holder_id), OWNER.to_dict())
    return hub


def changes(hub: HubEmulator) -> list[str]:
    """The requests that changed something, without those of the test itself that held the lease."""
    return [each.path for each in hub.requests if each.method != "GET" and "hardware" in each.path]


@pytest.mark.parametrize("role", ["OP", "ADMIN"])
def test_a_user_who_may_edit_the_connection_can_release_a_dead_lease(
    dead: HubEmulator, page: Page, role: str
) -> None:
    page.log_in(role)
    assert page.leases()[SPACE]["releasable"]
    answer = page.release(SPACE)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"released": {"repo_id": SPACE, "hardware": "cpu-basic"}}
    assert dead.space(SPACE).requested_hardware == "cpu-basic"
    assert holders(SPACE) == ()
    assert page.leases() == {}
    assert page.fleet()["spaces"][0]["requested"] == "cpu-basic"


def test_a_second_release_says_that_the_lease_is_released_already(dead: HubEmulator, page: Page) -> None:
    assert page.release(SPACE).status_code == 200
    change_count = changes(dead)
    answer = page.release(SPACE)
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith(
        f"Space {SPACE} is not leased any more: its lease was given back at 20"
    )
    assert changes(dead) == change_count


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("USER", 403)])
def test_other_users_cannot_release_a_lease(
    dead: HubEmulator, page: Page, role: str | None, status: int
) -> None:
    assert page.log_in(role).release(SPACE).status_code == status
    assert changes(dead) == []
    assert len(holders(SPACE)) == 1


def test_a_user_who_may_only_read_the_connection_cannot_release(
    dead: HubEmulator, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    def only_reading(self: Any, *, method: str, user: Any, details: Any = None) -> bool:
        return method == "GET"

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_connection", only_reading)
    assert SPACE in page.leases()
    assert page.release(SPACE).status_code == 403
    assert changes(dead) == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_from_another_site_is_refused(dead: HubEmulator, page: Page, site: str) -> None:
    assert page.release(SPACE, **{"Sec-Fetch-Site": site}).status_code == 403
    plain = page.client.post(
        "/hf_spaces/api/release?connection_id=hf_spaces_default", json={"repo_id": SPACE}
    )
    assert plain.status_code == 403
    assert changes(dead) == []


def test_the_lease_of_a_run_that_is_alive_is_refused_without_naming_the_run(
    hub: HubEmulator, airflow_records: AirflowRecords, page: Page
) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    airflow_records.dag("nightly")
    airflow_records.run("nightly", "scheduled__1", "running")
    airflow_records.variable(variable_name(hold(SPACE).holder_id), OWNER.to_dict())
    answer = page.release(SPACE)
    assert answer.status_code == 409
    assert "is alive" in answer.json()["detail"]
    assert "nightly" not in answer.text
    assert hub.space(SPACE).requested_hardware == "t4-small"
    assert len(holders(SPACE)) == 1


def test_the_lease_of_another_airflow_is_refused_until_it_expires(hub: HubEmulator, page: Page) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    hold(SPACE)
    assert page.release(SPACE).status_code == 409
    hub.add_space("alice/expired", hardware="t4-small")
    hold("alice/expired", hours_left=-1)
    assert page.release("alice/expired").json()["released"]["hardware"] == "cpu-basic"


def test_a_space_without_a_lease_or_outside_the_fleet_is_refused(
    hub: HubEmulator, page: Page, store_connection: Any
) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    answer = page.release(SPACE)
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        f"Space {SPACE} is not leased. Nothing was changed.",
    )
    store_connection("acme_only", hub, namespace="acme")
    hub.add_space("acme/one")
    for repo_id in (SPACE, "../../whoami-v2", ""):
        assert page.release(repo_id, "acme_only").status_code == 404
    assert changes(hub) == []


def test_a_rejection_of_the_hub_is_reported_and_leaves_the_lease_to_the_next_try(
    dead: HubEmulator, page: Page
) -> None:
    dead.faults.add(kind="status", status=403, method="POST", path="/(hardware|pause)")
    answer = page.release(SPACE)
    assert answer.status_code == 502
    assert SPACE in answer.json()["detail"]
    assert dead.token not in answer.text
    assert page.leases()[SPACE]["state"] == "abandoned"
    dead.faults.clear()
    assert page.release(SPACE).status_code == 200


def test_airflow_records_a_release_in_its_audit_log(dead: HubEmulator, page: Page) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    page.release(SPACE)
    with create_session() as session:
        entry = session.scalars(
            select(Log).where(Log.event == "hf_spaces.release").order_by(Log.id.desc())
        ).first()
        assert entry is not None
        assert entry.owner == "admin"
        assert SPACE in str(entry.extra)
