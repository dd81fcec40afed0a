"""The example restarts failed Spaces and leaves running and paused ones alone."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_only_failed_spaces_are_restarted(hub: HubEmulator) -> None:
    fragile, broken_space = hub.add_space("acme/fragile"), hub.add_space("acme/broken", stage="BUILD_ERROR")
    hub.add_space("acme/night-owl", stage="PAUSED")
    hub.add_space("acme/sturdy")
    fragile.crash()
    states = run(dag_file("restart_broken").dag)
    assert set(states) == {"broken", "restart[0]", "restart[1]", "dag"}
    assert set(states.values()) == {"success"}
    assert (fragile.stage, broken_space.stage) == ("RUNNING", "RUNNING")
    restarts = {request.path for request in hub.requests if request.path.endswith("/restart")}
    assert restarts == {"/api/spaces/acme/fragile/restart", "/api/spaces/acme/broken/restart"}


def test_nothing_is_restarted_if_no_space_has_failed(hub: HubEmulator) -> None:
    hub.add_space("acme/sturdy")
    states = run(dag_file("restart_broken").dag)
    assert states["dag"] == "success"
    assert [request for request in hub.requests if request.method != "GET"] == []
