"""Upgrades request nothing when their owner has spent the month's budget."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.operators.budget import EnforceBudgetOperator
from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator
from airflow_provider_hfspaces.state.budgets import spend_variable
from tests.airflow_tools import Try
from tests.conftest import TaskLog
from tests.lease_tools import SPACE, AirflowWithoutServer

HOUR = 3600


pytestmark = pytest.mark.usefixtures("airflow")


@pytest.fixture
def hub(still_hub: HubEmulator) -> HubEmulator:
    """An organization whose other Space has cost $4.00 this month."""
    still_hub.add_space(SPACE)
    still_hub.add_space("acme/gpu", hardware="t4-small")
    still_hub.advance(10 * HOUR)
    return still_hub


def upgrade(hardware: Any = "t4-small", repo_id: str = SPACE, **options: Any) -> Any:
    operator = RequestHardwareOperator(
        task_id="upgrade", repo_id=repo_id, hardware=hardware, wait=False, **options
    )
    return Try().run(operator)


def unreadable(hub: HubEmulator) -> None:
    hub.faults.add(kind="status", status=403, path="/billing/usage")


def billing_requests(hub: HubEmulator) -> list[str]:
    return [each.path for each in hub.requests if "billing" in each.path]


def test_a_spent_budget_stops_an_upgrade_before_its_request_and_for_good(hub: HubEmulator) -> None:
    with pytest.raises(AirflowFailException) as excinfo:
        upgrade(monthly_budget=3.5)
    text = str(excinfo.value)
    assert text.startswith(
        "Space acme/whisper: acme has spent $4.00 of its monthly budget of $3.50 (the Hub's"
    )
    assert "t4-small was not requested. Raise monthly_budget, or wait until " in text
    assert {each.method for each in hub.requests} == {"GET"}
    assert billing_requests(hub) == ["/api/organizations/acme/billing/usage"]
    assert hub.space(SPACE).requested_hardware == "cpu-basic"


def test_a_budget_that_is_not_spent_lets_the_upgrade_continue(hub: HubEmulator, task_log: TaskLog) -> None:
    upgrade(monthly_budget=100)
    assert hub.space(SPACE).requested_hardware == "t4-small"
    assert billing_requests(hub) == ["/api/organizations/acme/billing/usage"]
    assert "acme has spent $4.00 of its monthly budget of $100.00 (the Hub's billing since" in task_log.text


def test_without_a_budget_nothing_is_asked(hub: HubEmulator) -> None:
    upgrade()
    assert billing_requests(hub) == []


@pytest.mark.parametrize("hardware", [["l4x1", "t4-small"], "t4-small"])
def test_the_configuration_has_a_budget_for_all_dags_which_a_task_may_lift(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, hardware: Any
) -> None:
    monkeypatch.setenv("AIRFLOW__HF_SPACES__MONTHLY_BUDGET", "acme=3.5,alice=1")
    with pytest.raises(AirflowFailException, match=r"monthly budget of \$3\.50"):
        upgrade(hardware)
    assert hub.space(SPACE).requested_hardware == "cpu-basic"
    upgrade(monthly_budget=float("inf"))
    assert hub.space(SPACE).requested_hardware == "t4-small"


def test_free_hardware_and_a_space_that_is_there_already_are_not_checked(hub: HubEmulator) -> None:
    upgrade(repo_id="acme/gpu", monthly_budget=1)
    upgrade(["t4-small", "l4x1"], repo_id="acme/gpu", monthly_budget=1)
    upgrade("cpu-basic", repo_id="acme/gpu", monthly_budget=1)
    assert billing_requests(hub) == []


def test_a_budget_that_cannot_be_compared_refuses_only_when_asked_to(
    hub: HubEmulator, task_log: TaskLog
) -> None:
    unreadable(hub)
    with pytest.raises(AirflowFailException, match="what acme has spent this month is not known"):
        upgrade(monthly_budget=1, require_budget=True)
    assert hub.space(SPACE).requested_hardware == "cpu-basic"
    upgrade(monthly_budget=1)
    assert hub.space(SPACE).requested_hardware == "t4-small"
    assert "the monthly budget of $1.00 does not count" in task_log.text


def test_the_recorded_estimate_counts_where_the_billing_cannot_be_read(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    unreadable(hub)
    Try().run(EnforceBudgetOperator(task_id="budget", author="acme", monthly_usd=100))
    upgrade(monthly_budget=5, require_budget=True)
    record = airflow.variables.value(spend_variable("acme"))
    record["spend"]["usd"] = 6.0
    airflow.variables[spend_variable("acme")] = json.dumps(record)
    with pytest.raises(AirflowFailException, match=r"spent \$6\.00 .* \(estimate from list prices since"):
        upgrade("l4x1", monthly_budget=5)


def test_an_amount_of_an_earlier_month_does_not_count(
    hub: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    unreadable(hub)
    now = datetime.now(timezone.utc)
    moments = {"since": now - timedelta(days=40), "until": now - timedelta(days=9), "as_of": now}
    spend = {"owner": "acme", "usd": 900, "source": "billing", "hourly": 1.0}
    spend.update({name: moment.isoformat() for name, moment in moments.items()})
    airflow.variables[spend_variable("acme")] = json.dumps({"spend": spend, "budget": 5})
    upgrade(monthly_budget=5)
    assert hub.space(SPACE).requested_hardware == "t4-small"


@pytest.mark.parametrize("value", [0, -1, "much", True])
def test_bad_budgets_are_refused_when_the_dag_is_parsed(value: Any) -> None:
    with pytest.raises(ValueError, match="monthly_budget of task 'upgrade' must be a number of USD"):
        RequestHardwareOperator(task_id="upgrade", repo_id=SPACE, hardware="t4-small", monthly_budget=value)


def test_a_template_is_checked_when_it_is_rendered(hub: HubEmulator) -> None:
    operator = RequestHardwareOperator(
        task_id="upgrade", repo_id=SPACE, hardware="t4-small", wait=False, monthly_budget="{{ params.usd }}"
    )
    operator.monthly_budget = "3.5"
    with pytest.raises(AirflowFailException, match="was not requested"):
        Try().run(operator)
    operator.monthly_budget, request_count = "much", len(hub.requests)
    with pytest.raises(AirflowFailException, match="monthly_budget must be a number of USD"):
        Try().run(operator)
    assert len(hub.requests) == request_count
