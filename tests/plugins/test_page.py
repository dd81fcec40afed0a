"""The fleet page: who can see it, what it shows, and what it does when the Hub fails."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import connection
from tests.plugins.conftest import Page
from tests.stub import Say, StubHub

OF_DEFAULT = "connection_id=hf_spaces_default"
DATA = ("api/connections", f"api/fleet?{OF_DEFAULT}", f"api/spend?{OF_DEFAULT}", "api/runs")


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


def row(fleet: dict[str, Any], repo_id: str) -> dict[str, Any]:
    return next(each for each in fleet["spaces"] if each["repo_id"] == repo_id)


@pytest.mark.parametrize("path", DATA)
def test_a_user_who_is_not_logged_in_gets_no_data(hub: HubEmulator, page: Page, path: str) -> None:
    assert page.log_in(None).get(path).status_code == 401
    assert page.get("").status_code == 401


@pytest.mark.parametrize("path", DATA)
@pytest.mark.parametrize("role", ["VIEWER", "USER"])
def test_a_user_who_may_not_read_connections_gets_no_data(
    hub: HubEmulator, page: Page, role: str, path: str
) -> None:
    hub.add_space("acme/whisper")
    answer = page.log_in(role).get(path)
    assert answer.status_code == 403
    assert "whisper" not in answer.text
    assert "whisper" not in page.get("").text
    assert not hub.requests


@pytest.mark.parametrize("role", ["OP", "ADMIN"])
def test_a_user_who_may_read_a_connection_sees_its_fleet(hub: HubEmulator, page: Page, role: str) -> None:
    hub.add_space("alice/whisper", hardware="t4-small", sleep_time=3600)
    page.log_in(role)
    assert page.connections()["hf_spaces_default"]["may_pause"]
    assert row(page.fleet(), "alice/whisper")["stage"] == "RUNNING"


def test_a_row_shows_the_state_and_the_cost_of_a_space(hub: HubEmulator, page: Page) -> None:
    hub.add_space("alice/whisper", hardware="t4-small", sleep_time=3600, replicas=2, private=True)
    space_row = row(page.fleet(), "alice/whisper")
    assert (space_row["hardware"], space_row["requested"]) == ("t4-small", "t4-small")
    assert (space_row["sleep_time"], space_row["replicas"], space_row["private"]) == (3600, 2, True)
    assert (space_row["cost"], space_row["billed"]) == (0.8, True)
    assert space_row["url"] == f"{hub.url}/spaces/alice/whisper"
    assert space_row["modified"]


def test_a_space_that_does_not_run_costs_nothing_now(hub: HubEmulator, page: Page) -> None:
    hub.add_space("alice/asleep", hardware="l4x1", stage="SLEEPING", sleep_time=900)
    hub.add_space("alice/page", sdk="static")
    fleet = page.fleet()
    asleep, static = row(fleet, "alice/asleep"), row(fleet, "alice/page")
    assert (asleep["cost"], asleep["cost_running"], asleep["billed"]) == (0, 0.8, False)
    assert (static["cost"], static["cost_running"], static["hardware"]) == (0, 0, None)


def test_hardware_without_a_list_price_has_no_cost(hub: HubEmulator, page: Page) -> None:
    hub.add_space("alice/huge", hardware="h200x8")
    space_row = row(page.fleet(), "alice/huge")
    assert (space_row["cost"], space_row["billed"]) == (None, True)


def test_the_fleet_has_the_spaces_of_the_user_and_their_organizations(hub: HubEmulator, page: Page) -> None:
    hub.add_user("stranger")
    for owner in ("alice", "acme", "stranger"):
        hub.add_space(f"{owner}/one")
    fleet = page.fleet()
    assert set(fleet["owners"]) >= {"alice", "acme"}
    assert "stranger/one" not in {each["repo_id"] for each in fleet["spaces"]}


def test_a_namespace_limits_the_fleet_to_one_owner(
    hub: HubEmulator, page: Page, store_connection: Any
) -> None:
    hub.add_space("alice/one")
    hub.add_space("acme/two")
    store_connection("acme_only", hub, namespace="acme")
    fleet = page.fleet("acme_only")
    assert [each["repo_id"] for each in fleet["spaces"]] == ["acme/two"]
    assert not [each for each in hub.requests if each.path == "/api/whoami-v2"]


def test_a_thousand_spaces_take_three_requests_and_a_second_look_takes_none(
    hub: HubEmulator, page: Page, store_connection: Any
) -> None:
    for number in range(1000):
        hub.add_space(f"acme/s{number}")
    store_connection("big", hub, namespace="acme")
    assert len(page.fleet("big")["spaces"]) == 1000
    assert len(hub.requests) == 3
    page.fleet("big")
    assert len(hub.requests) == 3


def test_no_answer_has_a_token_in_it(hub: HubEmulator, page: Page, store_connection: Any) -> None:
    hub.add_space("alice/whisper")
    store_connection("wrong", hub, "hf_thisTokenIsNotOneOfTheHubsAtAllxxxx")
    for path in (*DATA, "api/fleet?connection_id=wrong", "", "static/fleet.js"):
        text = page.get(path).text
        assert hub.token not in text
        assert "hf_thisTokenIsNot" not in text


def test_a_connection_with_a_problem_shows_it_beside_the_other_fleets(
    hub: HubEmulator, page: Page, store_connection: Any
) -> None:
    hub.add_space("alice/whisper")
    store_connection("wrong", hub, "hf_thisTokenIsNotOneOfTheHubsAtAllxxxx")
    store_connection("down", f"http://127.0.0.1:{_closed_port()}", "hf_x", namespace="acme")
    store_connection("nobody", hub.url, "")
    store_connection("bad", hub, timeout="soon")
    connections = page.connections()
    assert {"wrong", "down", "nobody", "bad", "hf_spaces_default"} <= set(connections)
    assert "seconds above 0" in connections["bad"]["problem"]
    assert "token" in page.fleet("wrong")["problem"]
    assert "spaces" not in page.fleet("wrong")
    assert page.fleet("down")["problem"]
    assert "neither a namespace nor a token" in page.fleet("nobody")["problem"]
    assert row(page.fleet(), "alice/whisper")


def test_an_owner_who_cannot_be_read_leaves_the_other_owners(hub: HubEmulator, page: Page) -> None:
    hub.add_space("acme/whisper")
    hub.faults.add(kind="status", status=403, path="^/api/spaces$", times=1)
    fleet = page.fleet()
    assert len(fleet["problems"]) == 1
    assert "The Spaces of alice cannot be shown." in fleet["problems"][0]
    assert row(fleet, "acme/whisper")


def test_the_spaces_show_without_a_price_list(hub: HubEmulator, page: Page) -> None:
    hub.add_space("alice/whisper", hardware="t4-small")
    hub.faults.add(kind="status", status=403, path="^/api/spaces/hardware$")
    fleet = page.fleet()
    assert "prices could not be read" in fleet["problems"][0]
    assert row(fleet, "alice/whisper")["cost"] is None


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_only_connections_of_our_type_are_shown(
    hub: HubEmulator, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", '{"conn_type": "http", "password": "confidential"}')
    assert "other" not in page.connections()
    answer = page.get("api/fleet?connection_id=other")
    assert answer.status_code == 404
    assert "confidential" not in answer.text
    assert page.get("api/fleet?connection_id=nonesuch").status_code == 404


def test_connections_in_the_environment_and_in_the_configuration_are_shown(
    hub: HubEmulator, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_FROM_ENVIRONMENT", connection(hub))
    monkeypatch.setenv("AIRFLOW__HF_SPACES__FLEET_CONNECTIONS", "lost, hf_spaces_default")
    connections = page.connections()
    assert connections["from_environment"]["problem"] is None
    assert "does not exist" in connections["lost"]["problem"]


@pytest.mark.parametrize("conn_id", ["../up", "..", "a/b", "a#1!"])
def test_a_connection_may_have_any_id(
    hub: HubEmulator, page: Page, store_connection: Any, conn_id: str
) -> None:
    hub.add_space("acme/whisper")
    store_connection(conn_id, hub, namespace="acme")
    assert conn_id in page.connections()
    assert row(page.fleet(conn_id), "acme/whisper")
    assert page.pause("acme/whisper", conn_id).json()["space"]["stage"] == "PAUSED"


def test_a_connection_whose_uri_has_lost_its_type_is_shown_with_the_remedy(
    hub: HubEmulator, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LOST_TYPE", "hf_spaces://:hf_abcdefghijkl@hub.acme.test")
    monkeypatch.setenv("AIRFLOW_CONN_IN_LOGIN", "hf-spaces://hf_abcdefghijkl@")
    connections = page.connections()
    assert "Write 'hf-spaces://'" in connections["lost_type"]["problem"]
    assert "in the field 'login'" in connections["in_login"]["problem"]
    assert "hf_abc" not in str(connections)


ODD_SPACES = [
    {
        "id": "acme/a",
        "sdk": ["gradio"],
        "runtime": {"stage": "RUNNING", "hardware": {"current": "cpu-basic"}},
    },
    {"id": "acme/b", "sdk": {"name": 1}, "lastModified": 7},
    {"id": "acme/c", "sdk": "\\ud800", "runtime": {"stage": "\\ud83d", "errorMessage": "\\udfff"}},
    {"id": "acme/d", "sdk": "gradio", "runtime": {"stage": "RUNNING", "gcTimeout": "@infinity"}},
    {"id": "acme/e", "sdk": None, "private": "yes", "runtime": None},
]


def test_odd_answers_of_the_hub_break_no_other_row(page: Page, store_connection: Any) -> None:
    body = json.dumps(ODD_SPACES).replace("\\\\u", "\\u").replace('"@infinity"', "1e999")
    answer = Say(200, body, {"Content-Type": "application/json"})
    with StubHub(otherwise=answer) as stub:
        store_connection("odd", stub.url, "hf_x", namespace="acme")
        fleet = page.fleet("odd")
    rows = {each["repo_id"]: each for each in fleet.get("spaces", ())}
    assert set(rows) >= {"acme/b", "acme/c", "acme/e"}, fleet
    assert {rows[name]["sdk"] for name in ("acme/b", "acme/e")} == {None}


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '[{"id": "acme/a", "runtime": {"stage": "RUNNING", "gcTimeout": 1e999}}]', "{}"]
)
def test_an_answer_that_cannot_be_read_is_a_problem_and_not_an_error_page(
    page: Page, store_connection: Any, body: str
) -> None:
    with StubHub(otherwise=Say(200, body, {"Content-Type": "application/json"})) as stub:
        store_connection("odd", stub.url, "hf_x", namespace="acme")
        fleet = page.fleet("odd")
    assert fleet.get("problem") or fleet["problems"]


def test_the_page_gets_its_columns_from_the_server_and_every_row_has_their_fields(
    hub: HubEmulator, page: Page
) -> None:
    hub.add_space("alice/whisper")
    columns = page.get("api/connections").json()["columns"]
    assert [each["label"] for each in columns] == [
        "Space",
        "Stage",
        "Hardware",
        "Cost per hour",
        "Sleeps after",
        "Last change",
        "DAG runs",
    ]
    space_row = row(page.fleet(), "alice/whisper")
    assert {each["key"] for each in columns} - set(space_row) == {"runs"}, "the page adds the runs itself"
    cells = page.get("static/cells.js").text
    assert all(f"  {each['kind']}: " in cells for each in columns)


def test_a_space_that_is_being_built_is_shown_with_what_it_is_going_to_cost(
    hub: HubEmulator, page: Page
) -> None:
    hub.add_space("alice/building", hardware="a10g-small", stage="BUILDING")
    hub.add_space("alice/free", stage="BUILDING")
    fleet = page.fleet()
    building, free = row(fleet, "alice/building"), row(fleet, "alice/free")
    assert (building["cost"], building["cost_running"], building["starting"]) == (0, 1.0, True)
    assert (free["cost"], free["starting"]) == (0, False)


def test_the_page_loads_nothing_from_other_sites_and_runs_no_text_as_code(
    hub: HubEmulator, page: Page
) -> None:
    html = page.get("")
    assert html.headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in html.headers["content-security-policy"]
    assert "http" not in html.text
    for name in ("fleet.js", "leases.js", "actions.js", "cells.js", "theme.js", "fleet.css", "icon.svg"):
        answer = page.get(f"static/{name}")
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "innerHTML" not in answer.text


def test_a_hub_that_hangs_does_not_delay_other_connections(
    hub: HubEmulator, page: Page, store_connection: Any
) -> None:
    hub.add_space("alice/whisper")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store_connection(
            "silent", f"http://127.0.0.1:{silent.getsockname()[1]}", "hf_x", namespace="acme", timeout=1
        )
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(page.fleet("silent")))
        asking.start()
        connection, _ = silent.accept()
        assert row(page.fleet(), "alice/whisper")
        assert not answers
        connection.close()
        silent.close()
        asking.join(30)
    assert "problem" in answers[0]
