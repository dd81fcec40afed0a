"""Pausing from the fleet page: who may do it, what is refused, and what Airflow records."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.plugins.conftest import Page


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


def changes(hub: HubEmulator) -> list[str]:
    return [each.path for each in hub.requests if each.method != "GET"]


@pytest.mark.parametrize("role", ["OP", "ADMIN"])
def test_a_user_who_may_edit_the_connection_can_pause_its_spaces(
    hub: HubEmulator, page: Page, role: str
) -> None:
    space = hub.add_space("alice/whisper", hardware="t4-small")
    answer = page.log_in(role).pause("alice/whisper")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["space"]["stage"], answer.json()["space"]["cost"]) == ("PAUSED", 0)
    assert space.stage == "PAUSED"
    assert {each["stage"] for each in page.fleet()["spaces"]} == {"PAUSED"}


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("VIEWER", 403), ("USER", 403)])
def test_other_users_cannot_pause_a_space(
    hub: HubEmulator, page: Page, role: str | None, status: int
) -> None:
    space = hub.add_space("alice/whisper")
    assert page.log_in(role).pause("alice/whisper").status_code == status
    assert space.stage == "RUNNING"
    assert not hub.requests


def test_a_user_who_may_only_read_the_connection_sees_the_fleet_but_cannot_pause(
    hub: HubEmulator, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    def only_reading(self: Any, *, method: str, user: Any, details: Any = None) -> bool:
        return method == "GET"

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_connection", only_reading)
    space = hub.add_space("alice/whisper")
    assert page.connections()["hf_spaces_default"]["may_pause"] is False
    assert page.fleet()["spaces"]
    assert page.pause("alice/whisper").status_code == 403
    assert space.stage == "RUNNING"


def test_a_permission_for_one_connection_does_not_extend_to_another(
    hub: HubEmulator, page: Page, store_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    def only_one(self: Any, *, method: str, user: Any, details: Any = None) -> bool:
        return details.conn_id in (None, "theirs")

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_connection", only_one)
    store_connection("theirs", hub, namespace="acme")
    hub.add_space("acme/one")
    hub.add_space("alice/whisper")
    assert set(page.connections()) == {"theirs"}
    assert page.fleet("theirs")["spaces"]
    assert page.get("api/fleet?connection_id=hf_spaces_default").status_code == 403
    assert page.pause("alice/whisper").status_code == 403
    assert not changes(hub)


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}], ids=lambda each: str(each)
)
def test_a_request_from_another_site_is_refused(
    hub: HubEmulator, page: Page, headers: dict[str, str]
) -> None:
    hub.add_space("alice/whisper")
    assert page.pause("alice/whisper", **headers).status_code == 403
    assert not changes(hub)


@pytest.mark.parametrize(
    "request_options", [{"data": {"repo_id": "alice/whisper"}}, {"json": {"repo_id": "alice/whisper"}}]
)
def test_a_request_that_a_form_could_send_is_refused(
    hub: HubEmulator, page: Page, request_options: dict[str, Any]
) -> None:
    hub.add_space("alice/whisper")
    answer = page.client.post("/hf_spaces/api/pause?connection_id=hf_spaces_default", **request_options)
    assert answer.status_code == 403
    assert not changes(hub)


def test_a_space_that_is_not_in_the_fleet_is_refused(
    hub: HubEmulator, page: Page, store_connection: Any
) -> None:
    hub.add_space("alice/whisper")
    store_connection("acme_only", hub, namespace="acme")
    for repo_id in ("alice/whisper", "../../whoami-v2", ""):
        answer = page.pause(repo_id, "acme_only")
        assert answer.status_code == 404
    assert not changes(hub)


def test_a_pause_of_an_unknown_space_does_not_empty_the_cache(hub: HubEmulator, page: Page) -> None:
    hub.add_space("alice/whisper")
    page.fleet()
    request_count = len(hub.requests)
    for number in range(40):
        assert page.pause(f"alice/guess-{number}").status_code == 404
    assert len(hub.requests) == request_count


def test_a_paused_space_gets_no_request(hub: HubEmulator, page: Page) -> None:
    hub.add_space("alice/whisper", stage="PAUSED")
    assert page.pause("alice/whisper").json()["space"]["stage"] == "PAUSED"
    assert not changes(hub)


def test_a_refusal_of_the_hub_is_reported_in_its_words(
    hub: HubEmulator, page: Page, store_connection: Any
) -> None:
    hub.add_space("acme/whisper")
    store_connection("reader", hub, hub.add_token("alice", "read"))
    answer = page.pause("acme/whisper", "reader")
    assert answer.status_code == 502
    assert "acme/whisper" in answer.json()["detail"]
    assert hub.space("acme/whisper").stage == "RUNNING"


def test_airflow_records_a_pause_in_its_audit_log(hub: HubEmulator, page: Page) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    hub.add_space("alice/audited")
    page.pause("alice/audited")
    with create_session() as session:
        entry = session.scalars(
            select(Log).where(Log.event == "hf_spaces.pause").order_by(Log.id.desc())
        ).first()
        assert entry is not None
        assert entry.owner == "admin"
        assert "alice/audited" in str(entry.extra)
