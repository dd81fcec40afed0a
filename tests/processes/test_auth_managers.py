"""Connections, links and the fleet page in a real Airflow with the FAB auth manager, and with teams."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION
from airflow_provider_hfspaces.emulator import HubEmulator
from tests.processes.airflow_processes import ON_AIRFLOW_3, AirflowProcesses

pytestmark = [*ON_AIRFLOW_3, pytest.mark.thorough]

has_pages = pytest.mark.skipif(AIRFLOW_VERSION < (3, 1), reason="plugins can have pages since Airflow 3.1")
has_fab = pytest.mark.skipif(
    importlib.util.find_spec("airflow.providers.fab") is None,
    reason="apache-airflow-providers-fab is not installed",
)
FAB_DAGS = Path(__file__).with_name("fab_dags")
OWN_HEADER = {"X-HF-Spaces-Page": "1"}


def log_in(airflow: AirflowProcesses, user: str) -> requests.Session:
    """A session with the cookie of a user who has logged in."""
    session = requests.Session()
    for path in ("auth/token", "auth/token/login"):
        credentials = {"username": user, "password": f"for {user}"}
        answer = session.post(f"{airflow.api}/{path}", json=credentials, timeout=60)
        if answer.ok:
            session.cookies.set("_token", answer.json()["access_token"])
            return session
    raise AssertionError(answer.text)


def api_client(airflow: AirflowProcesses, user: str) -> requests.Session:
    """A session that sends the token of a user in the header, as Airflow 3.0 does not read the cookie."""
    session = log_in(airflow, user)
    session.headers["Authorization"] = f"Bearer {session.cookies['_token']}"
    return session


def check_page(airflow: AirflowProcesses, hub: HubEmulator, *, may: str, may_not: str) -> None:
    """Show and pause a Space as one user, and neither of them as the other."""
    space = hub.add_space("alice/whisper", hardware="t4-small")
    session, other_session, nobody = log_in(airflow, may), log_in(airflow, may_not), requests.Session()
    page = f"{airflow.api}/hf_spaces"
    fleet = f"{page}/api/fleet?connection_id=hf_spaces_default"
    pause = f"{page}/api/pause?connection_id=hf_spaces_default"
    body = {"repo_id": "alice/whisper"}

    plugins = session.get(f"{airflow.api}/api/v2/plugins", timeout=60).json()["plugins"]
    assert "/hf_spaces/" in [view["href"] for plugin in plugins for view in plugin["external_views"]]
    assert "Hugging Face Spaces" in session.get(f"{page}/", timeout=60).text
    fleet_data = session.get(fleet, timeout=60).json()
    assert [each["repo_id"] for each in fleet_data["spaces"]] == ["alice/whisper"]
    assert [each["may_pause"] for each in connections_of(session, page)] == [True]

    assert other_session.get(fleet, timeout=60).status_code == 403
    assert other_session.post(pause, json=body, headers=OWN_HEADER, timeout=60).status_code == 403
    assert nobody.get(fleet, timeout=60).status_code == 401
    assert space.stage == "RUNNING"

    assert session.post(pause, json=body, headers=OWN_HEADER, timeout=60).status_code == 200
    assert space.stage == "PAUSED"
    assert hub.token not in airflow.tail("api-server")


def connections_of(session: requests.Session, page: str) -> list[dict[str, object]]:
    """The connections that the page shows to a user."""
    connections: list[dict[str, object]] = session.get(f"{page}/api/connections", timeout=60).json()[
        "connections"
    ]
    return connections


@pytest.fixture
def fab_airflow(hub: HubEmulator, tmp_path: Path) -> Iterator[AirflowProcesses]:
    processes = AirflowProcesses(
        tmp_path,
        hub,
        dags=FAB_DAGS,
        environment={
            "AIRFLOW__CORE__AUTH_MANAGER": (
                "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
            ),
            # Airflow 3.2 applies this option of the simple auth manager to every auth manager.
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__FAB__AUTH_BACKENDS": "airflow.providers.fab.auth_manager.api.auth.backend.session",
            "AIRFLOW__API__SECRET_KEY": "signs the sessions of these tests",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        },
    )
    try:
        processes.airflow("db", "migrate")
        for name, role in (("admin", "Admin"), ("op", "Op"), ("viewer", "Viewer")):
            processes.airflow(
                *("users", "create", "--username", name, "--password", f"for {name}", "--role", role),
                *("--firstname", name, "--lastname", "Test", "--email", f"{name}@example.com"),
            )
        processes.spawn("api-server", "api-server", "--port", str(processes.port))
        processes.until(processes.answers, 240)
        yield processes
    finally:
        processes.stop()


@has_fab
@has_pages
@pytest.mark.parametrize("user", ["admin", "op"])
def test_with_fab_users_who_may_edit_connections_see_and_pause_spaces(
    hub: HubEmulator, fab_airflow: AirflowProcesses, user: str
) -> None:
    check_page(fab_airflow, hub, may=user, may_not="viewer")


@has_fab
def test_with_fab_a_connection_stored_in_its_form_serves_a_task_whose_links_lead_to_the_space(
    hub: HubEmulator, fab_airflow: AirflowProcesses
) -> None:
    space = hub.add_space("alice/whisper", stage="PAUSED")
    api = f"{fab_airflow.api}/api/v2"
    op, viewer = api_client(fab_airflow, "op"), api_client(fab_airflow, "viewer")

    forms = op.get(f"{fab_airflow.api}/ui/connections/hook_meta", timeout=60).json()
    (form,) = [each for each in forms if each["connection_type"] == "hf_spaces"]
    assert {"namespace", "timeout", "allow_http", "lease_repo"} <= set(form["extra_fields"])
    connection = {
        "connection_id": "hub_of_alice",
        "conn_type": "hf_spaces",
        "host": hub.url,
        "password": hub.token,
        "extra": json.dumps({"namespace": "alice"}),
    }
    assert viewer.post(f"{api}/connections", json=connection, timeout=60).status_code == 403
    assert op.post(f"{api}/connections", json=connection, timeout=60).status_code == 201
    test_result = op.post(f"{api}/connections/test", json=connection, timeout=60).json()
    assert test_result["status"] is True
    assert hub.user in test_result["message"]

    for name in ("dag-processor", "scheduler", "triggerer"):
        fab_airflow.spawn(name, name)
    dag, run = f"{api}/dags/linked", f"{api}/dags/linked/dagRuns/run"
    fab_airflow.until(lambda: op.get(dag, timeout=60).ok, 240)
    new_run = {"dag_run_id": "run", "logical_date": None}
    assert viewer.post(f"{dag}/dagRuns", json=new_run, timeout=60).status_code == 403
    assert op.post(f"{dag}/dagRuns", json=new_run, timeout=60).status_code == 200
    fab_airflow.until(
        lambda: op.get(run, timeout=60).json()["state"] in ("success", "failed"),
        240,
    )
    assert fab_airflow.states("linked") == {"success": 1}
    assert space.stage == "RUNNING"
    links = viewer.get(f"{run}/taskInstances/restart/links", timeout=60).json()["extra_links"]
    assert links["Open Space"] == f"{hub.url}/spaces/alice/whisper"
    assert links["Space logs"].startswith(links["Open Space"])
    for name in fab_airflow.processes:
        assert hub.token not in fab_airflow.tail(name)


@has_fab
@pytest.mark.skipif(AIRFLOW_VERSION >= (3, 1), reason="plugins have pages on this Airflow")
def test_with_fab_on_airflow_3_0_the_api_server_lists_the_plugin_without_a_page(
    fab_airflow: AirflowProcesses,
) -> None:
    admin = api_client(fab_airflow, "admin")
    plugins = admin.get(f"{fab_airflow.api}/api/v2/plugins", timeout=60).json()["plugins"]
    (plugin,) = [each for each in plugins if each["name"] == "hf_spaces"]
    assert plugin["fastapi_apps"] == []


@pytest.fixture
def team_airflow(hub: HubEmulator, tmp_path: Path) -> Iterator[AirflowProcesses]:
    """Two teams, each with a connection, one user in each team, and an administrator."""
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({name: f"for {name}" for name in ("admin", "ann", "vic")}))
    processes = AirflowProcesses(
        tmp_path,
        hub,
        environment={
            "AIRFLOW__CORE__MULTI_TEAM": "True",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin:audio|video,ann:op:audio,vic:op:video",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        },
    )
    del processes.environment["AIRFLOW_CONN_HF_SPACES_DEFAULT"]
    try:
        processes.airflow("db", "migrate")
        for team in ("audio", "video"):
            processes.airflow("teams", "create", team)
        processes.spawn("api-server", "api-server", "--port", str(processes.port))
        processes.until(processes.answers, 240)
        admin = log_in(processes, "admin")
        for team in ("audio", "video"):
            connection = {
                "connection_id": f"hub_of_{team}",
                "conn_type": "hf_spaces",
                "host": hub.url,
                "password": hub.token,
                "team_name": team,
            }
            answer = admin.post(f"{processes.api}/api/v2/connections", json=connection, timeout=60)
            assert answer.status_code == 201, answer.text
        yield processes
    finally:
        processes.stop()


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 2), reason="teams came with Airflow 3.2")
def test_a_user_of_a_team_sees_and_pauses_only_the_fleet_of_the_teams_connection(
    hub: HubEmulator, team_airflow: AirflowProcesses
) -> None:
    space = hub.add_space("alice/whisper", hardware="t4-small")
    page = f"{team_airflow.api}/hf_spaces"
    ann, vic, admin = (log_in(team_airflow, name) for name in ("ann", "vic", "admin"))
    assert [each["conn_id"] for each in connections_of(ann, page)] == ["hub_of_audio"]
    assert [each["conn_id"] for each in connections_of(vic, page)] == ["hub_of_video"]
    assert [each["conn_id"] for each in connections_of(admin, page)] == ["hub_of_audio", "hub_of_video"]

    fleet = f"{page}/api/fleet?connection_id=hub_of_audio"
    pause = f"{page}/api/pause?connection_id=hub_of_audio"
    body = {"repo_id": "alice/whisper"}
    assert ann.get(fleet, timeout=60).json()["spaces"][0]["repo_id"] == "alice/whisper"
    assert vic.get(fleet, timeout=60).status_code == 403
    assert vic.post(pause, json=body, headers=OWN_HEADER, timeout=60).status_code == 403
    assert space.stage == "RUNNING"
    assert ann.post(pause, json=body, headers=OWN_HEADER, timeout=60).status_code == 200
    assert space.stage == "PAUSED"
