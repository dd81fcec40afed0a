"""The fleet page shows what each owner has spent this month, against the budget."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.state.budgets import spend_variable
from tests.airflow_records import AirflowRecords
from tests.plugins.conftest import Page


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


@pytest.fixture(autouse=True)
def hub_with_spend(hub: HubEmulator, airflow_records: AirflowRecords, store_connection: Any) -> HubEmulator:
    """An organization whose Space has cost $4.00, and a connection for it."""
    hub.add_space("acme/gpu", hardware="t4-small")
    hub.advance(10 * 3600)
    store_connection("acme_only", hub, namespace="acme")
    return hub


def record(airflow_records: AirflowRecords, usd: float, budget: float | None = None) -> None:
    now = datetime.now(timezone.utc)
    moments = {"since": now - timedelta(days=1), "until": now + timedelta(days=1), "as_of": now}
    spend = {"owner": "acme", "usd": usd, "source": "estimate", "hourly": 1.0}
    spend.update({name: moment.isoformat() for name, moment in moments.items()})
    value = {"spend": spend, "budget": budget, "is_user": False, "problem": None}
    airflow_records.variable(spend_variable("acme"), value)


def test_the_billed_amount_is_compared_with_the_budget_of_the_configuration(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__HF_SPACES__MONTHLY_BUDGET", "acme=4.5")
    spend = page.spend("acme_only")["acme"]
    assert spend["usd"] == pytest.approx(4.0, abs=0.01)
    assert (spend["budget"], spend["status"], spend["source"]) == (4.5, "warning", "billing")
    assert "the Hub's billing since" in spend["in_words"]


def test_the_budget_that_a_dag_has_recorded_counts_without_a_configured_one(
    page: Page, airflow_records: AirflowRecords
) -> None:
    record(airflow_records, 1.0, budget=2.0)
    spend = page.spend("acme_only")["acme"]
    assert (round(spend["usd"], 1), spend["budget"], spend["status"]) == (4.0, 2.0, "exceeded")


def test_an_amount_shows_without_a_budget(page: Page) -> None:
    spend = page.spend("acme_only")["acme"]
    assert (round(spend["usd"], 1), spend["budget"], spend["status"]) == (4.0, None, None)


def test_the_recorded_estimate_shows_where_the_billing_cannot_be_read(
    hub: HubEmulator, page: Page, airflow_records: AirflowRecords
) -> None:
    hub.faults.add(kind="status", status=403, path="/billing/usage")
    record(airflow_records, 3.0, budget=2.0)
    spend = page.spend("acme_only")["acme"]
    assert (spend["usd"], spend["budget"], spend["status"], spend["source"]) == (
        3.0,
        2.0,
        "exceeded",
        "estimate",
    )
    assert "may not read the billing" in spend["problem"]


def test_nothing_shows_for_an_owner_of_whom_nothing_is_known(hub: HubEmulator, page: Page) -> None:
    hub.faults.add(kind="status", status=403, path="/billing/usage")
    assert page.spend("acme_only") == {}


def test_the_billing_of_an_owner_is_read_once_in_ten_minutes(hub: HubEmulator, page: Page) -> None:
    for _ in range(3):
        page.spend("acme_only")
    billing_paths = [each.path for each in hub.requests if "billing" in each.path]
    assert billing_paths == ["/api/organizations/acme/billing/usage"]


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("USER", 403)])
def test_a_user_who_may_not_read_connections_sees_no_amount(
    page: Page, role: str | None, status: int
) -> None:
    answer = page.log_in(role).get("api/spend?connection_id=acme_only")
    assert answer.status_code == status
    assert "acme" not in answer.text.replace("acme_only", "")


def test_an_option_that_is_not_valid_is_reported_beside_the_amount(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__HF_SPACES__MONTHLY_BUDGET", "acme=plenty")
    spend = page.spend("acme_only")["acme"]
    assert (spend["budget"], "monthly_budget='acme=plenty' is not valid" in spend["problem"]) == (None, True)
    assert spend["usd"] > 3
