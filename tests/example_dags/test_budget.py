"""The example compares the amounts of two owners with their budgets, and acts on the one that is spent."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_spaces_of_the_owner_whose_budget_is_spent_fall_asleep(hub: HubEmulator) -> None:
    hub.add_organization("acme-research", members={"alice": "admin"})
    thrifty = hub.add_space("acme/gpu", hardware="t4-small")
    costly = hub.add_space("acme-research/gpu", hardware="a100-large")
    production = hub.add_space("acme-research/api-production", hardware="t4-small")
    hub.advance(100 * 3600)
    assert run(dag_file("budget").dag)["dag"] == "success"
    assert [thrifty.sleep_time, costly.sleep_time, production.sleep_time] == [None, 300, None]
    hub.advance(400)
    assert [thrifty.stage, costly.stage, production.stage] == ["RUNNING", "SLEEPING", "RUNNING"]


def test_what_to_do_is_a_parameter_of_the_dag(hub: HubEmulator) -> None:
    hub.add_organization("acme-research", members={"alice": "admin"})
    hub.add_space("acme/gpu")
    costly = hub.add_space("acme-research/gpu", hardware="a100-large")
    hub.advance(100 * 3600)
    assert run(dag_file("budget").dag, {"action": "pause"})["dag"] == "success"
    assert costly.stage == "PAUSED"
