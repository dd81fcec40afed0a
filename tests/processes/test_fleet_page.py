"""A real API server shows the fleet page to users with the permission, with data from the Hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.state.leases import LeaseOwner, variable_name
from tests.lease_tools import hold, holders
from tests.processes.airflow_processes import AirflowProcesses

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(AIRFLOW_VERSION < (3, 1), reason="plugins can have pages since Airflow 3.1"),
]


@pytest.fixture
def airflow(hub: HubEmulator, tmp_path: Path) -> Iterator[AirflowProcesses]:
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({"admin": "for admin", "viewer": "for viewer"}))
    processes = AirflowProcesses(
        tmp_path,
        hub,
        environment={
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        },
    )
    try:
        processes.airflow("db", "migrate")
        processes.spawn("api-server", "api-server", "--port", str(processes.port))
        processes.until(processes.answers, 240)
        yield processes
    finally:
        processes.stop()


def browser(airflow: AirflowProcesses, user: str) -> requests.Session:
    """A session with the cookie of a user who has logged in."""
    session = requests.Session()
    credentials = {"username": user, "password": f"for {user}"}
    answer = session.post(f"{airflow.api}/auth/token", json=credentials, timeout=30)
    assert answer.status_code == 201, answer.text
    session.cookies.set("_token", answer.json()["access_token"])
    return session


def test_the_page_is_in_the_menu_and_shows_fleets_only_to_users_who_may_read_them(
    hub: HubEmulator, airflow: AirflowProcesses
) -> None:
    space = hub.add_space("alice/whisper", hardware="t4-small")
    admin, viewer, nobody = browser(airflow, "admin"), browser(airflow, "viewer"), requests.Session()
    page = f"{airflow.api}/hf_spaces"
    plugins = admin.get(f"{airflow.api}/api/v2/plugins", timeout=30).json()["plugins"]
    views = [view for plugin in plugins for view in plugin["external_views"]]
    assert [view["href"] for view in views if view["url_route"] == "hf_spaces"] == ["/hf_spaces/"]

    assert "Hugging Face Spaces" in admin.get(f"{page}/", timeout=30).text
    assert admin.get(f"{page}/static/fleet.js", timeout=30).ok
    fleet_data = admin.get(f"{page}/api/fleet?connection_id=hf_spaces_default", timeout=60).json()
    assert [(each["repo_id"], each["cost"]) for each in fleet_data["spaces"]] == [("alice/whisper", 0.4)]
    assert admin.get(f"{page}/api/runs", timeout=60).json() == {"runs": []}

    for path in ("api/connections", "api/fleet?connection_id=hf_spaces_default", "api/runs"):
        assert viewer.get(f"{page}/{path}", timeout=30).status_code == 403
        assert nobody.get(f"{page}/{path}", timeout=30).status_code == 401
    assert nobody.get(f"{page}/", timeout=30).status_code == 401

    pause = f"{page}/api/pause?connection_id=hf_spaces_default"
    options = {"json": {"repo_id": "alice/whisper"}, "timeout": 60}
    assert viewer.post(pause, headers={"X-HF-Spaces-Page": "1"}, **options).status_code == 403
    assert admin.post(pause, **options).status_code == 403
    assert space.stage == "RUNNING"
    assert admin.post(pause, headers={"X-HF-Spaces-Page": "1"}, **options).status_code == 200
    assert space.stage == "PAUSED"
    assert hub.token not in airflow.tail("api-server")


def test_a_lease_whose_run_is_gone_is_released_by_users_who_may_edit_the_connection(
    hub: HubEmulator, airflow: AirflowProcesses
) -> None:
    space = hub.add_space("alice/whisper", hardware="t4-small")
    holder = hold("alice/whisper")
    owner = LeaseOwner("nightly", "manual__1", "gpu.snapshot")
    airflow.airflow("variables", "set", variable_name(holder.holder_id), json.dumps(owner.to_dict()))
    admin, viewer = browser(airflow, "admin"), browser(airflow, "viewer")
    of_connection = "connection_id=hf_spaces_default"
    (lease,) = admin.get(f"{airflow.api}/hf_spaces/api/leases?{of_connection}", timeout=60).json()["leases"]
    assert (lease["repo_id"], lease["state"], lease["releasable"]) == ("alice/whisper", "over", True)
    assert viewer.get(f"{airflow.api}/hf_spaces/api/spend?{of_connection}", timeout=30).status_code == 403

    release = f"{airflow.api}/hf_spaces/api/release?{of_connection}"
    options: dict[str, Any] = {"json": {"repo_id": "alice/whisper"}, "timeout": 60}
    assert viewer.post(release, headers={"X-HF-Spaces-Page": "1"}, **options).status_code == 403
    assert admin.post(release, **options).status_code == 403
    assert space.requested_hardware == "t4-small"
    answer = admin.post(release, headers={"X-HF-Spaces-Page": "1"}, **options)
    assert answer.status_code == 200, answer.text
    assert space.requested_hardware == "cpu-basic"
    assert holders("alice/whisper") == ()
