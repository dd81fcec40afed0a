"""An owner's budget: what has been spent, where the amount comes from, and what happens when it is spent."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.cost.runs import BilledTime, RunCost
from airflow_provider_hfspaces.operators.budget import EnforceBudgetOperator
from airflow_provider_hfspaces.operators.fleet import RestartSpacesOperator
from airflow_provider_hfspaces.state.budgets import spend_variable
from airflow_provider_hfspaces.state.leases import LeaseOwner
from airflow_provider_hfspaces.state.run_costs import record_run_cost
from tests.airflow_tools import Try
from tests.conftest import TaskLog
from tests.lease_tools import AirflowWithoutServer, hold

HOUR = 3600


pytestmark = pytest.mark.usefixtures("airflow")


@pytest.fixture
def hub(still_hub: HubEmulator) -> HubEmulator:
    return still_hub


@pytest.fixture
def hub_with_spend(hub: HubEmulator) -> HubEmulator:
    """An organization whose Space has cost $4.00, in the Hub's billing: ten hours of a T4."""
    hub.add_space("acme/gpu", hardware="t4-small")
    hub.advance(10 * HOUR)
    return hub


@pytest.fixture
def unreadable(hub_with_spend: HubEmulator) -> HubEmulator:
    """An organization that has spent $4.00, whose billing the token may not read."""
    hub_with_spend.faults.add(kind="status", status=403, path="/billing/usage")
    return hub_with_spend


def enforce(monthly_usd: Any = 100, **options: Any) -> Any:
    operator = EnforceBudgetOperator(
        task_id="budget", **{"author": "acme", "monthly_usd": monthly_usd, **options}
    )
    return Try().run(operator)


def record(airflow: AirflowWithoutServer, usd: float, *, hours_ago: float = 1, hourly: float = 0.4) -> None:
    """Record an amount as an earlier run of the operator did."""
    now = datetime.now(timezone.utc)
    spend = {
        "owner": "acme",
        "usd": usd,
        "source": "estimate",
        "since": (now - timedelta(days=2)).isoformat(),
        "until": (now + timedelta(days=2)).isoformat(),
        "as_of": (now - timedelta(hours=hours_ago)).isoformat(),
        "hourly": hourly,
    }
    airflow.variables[spend_variable("acme")] = json.dumps({"spend": spend, "budget": 100, "is_user": False})


def changes(hub: HubEmulator) -> list[str]:
    return [each.path for each in hub.requests if each.method != "GET"]


# Where the amount comes from


def test_the_amount_is_what_the_hub_has_billed(hub_with_spend: HubEmulator, task_log: TaskLog) -> None:
    report = enforce(100)
    assert report["spent_usd"] == pytest.approx(hub_with_spend.bill().total_usd)
    assert (report["status"], report["source"], report["spaces"]) == ("within", "billing", [])
    assert "acme has spent $4.00 on Spaces this month, 4% of the budget of $100.00" in task_log.text
    assert "the Hub's billing since" in task_log.text
    assert json.loads(json.dumps(report)) == report


def test_the_billing_of_a_user_is_read_where_it_is_the_users_own(hub: HubEmulator) -> None:
    hub.add_space("alice/gpu", hardware="t4-small")
    hub.advance(5 * HOUR)
    report = enforce(100, author="alice")
    assert (report["source"], round(report["spent_usd"], 2)) == ("billing", 2.0)
    billing_paths = [each.path for each in hub.requests if "billing" in each.path]
    assert billing_paths == ["/api/organizations/alice/billing/usage", "/api/settings/billing/usage"]
    enforce(100, author="alice")
    billing_paths = [each.path for each in hub.requests if "billing" in each.path]
    assert billing_paths[2:] == ["/api/settings/billing/usage"], (
        "the kind of the owner is known from the first time"
    )


def test_the_billing_of_another_user_is_not_taken_for_that_of_the_owner(
    hub: HubEmulator, task_log: TaskLog
) -> None:
    hub.add_user("bob")
    hub.add_space("bob/gpu", hardware="t4-small", private=False)
    hub.add_space("alice/gpu", hardware="a100-large")
    hub.advance(5 * HOUR)
    report = enforce(1, author="bob")
    assert (report["source"], report["spent_usd"]) == ("estimate", 0)
    assert "The amount is an estimate." in task_log.text


def test_without_billing_the_estimate_adds_up_what_runs_from_look_to_look(
    unreadable: HubEmulator, airflow: AirflowWithoutServer, task_log: TaskLog
) -> None:
    first = enforce(100)
    assert (first["source"], first["spent_usd"]) == ("estimate", 0)
    assert "may not read the billing of acme" in first["billing_problem"]
    record(airflow, 10.0, hours_ago=5)
    second = enforce(100)
    assert second["spent_usd"] == pytest.approx(12.0, abs=0.1)
    assert "estimate from list prices since" in task_log.text


def test_an_estimate_is_at_least_what_the_runs_of_this_airflow_cost(
    unreadable: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    prices = HfSpacesHook().price_list()
    cost = RunCost.from_times([BilledTime("t4-small", 1, 20 * HOUR)], prices)
    assert record_run_cost("acme/gpu", cost, ("run", "restore"), dag_id="nightly")
    assert record_run_cost("alice/gpu", cost, ("run", "other"), dag_id="nightly")
    report = enforce(100)
    assert (report["source"], round(report["spent_usd"], 2)) == ("estimate", 8.0)
    assert datetime.fromisoformat(report["since"]).day == 1


def test_an_estimate_continues_where_the_billing_could_be_read_last(
    hub_with_spend: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    enforce(100)
    hub_with_spend.faults.add(kind="status", status=403, path="/billing/usage")
    report = enforce(100)
    assert (report["source"], report["spent_usd"]) == ("estimate", pytest.approx(4.0, abs=0.1))


def test_an_owner_whose_prices_and_billing_cannot_be_read_fails_the_task(unreadable: HubEmulator) -> None:
    unreadable.faults.add(kind="status", status=403, path="^/api/spaces/hardware$")
    with pytest.raises(AirflowFailException, match=r"403|permission|rights"):
        enforce(100)


# What happens


@pytest.mark.parametrize(("budget", "status"), [(100, "within"), (4.5, "warning"), (4, "exceeded")])
def test_the_status_compares_the_amount_with_the_budget(
    hub_with_spend: HubEmulator, task_log: TaskLog, budget: float, status: str
) -> None:
    assert enforce(budget)["status"] == status
    lines = [line.lower() for line in task_log.text.splitlines() if "has spent" in line]
    assert any("warning" in line for line in lines) == (status != "within")


def test_a_budget_that_is_spent_is_only_reported_by_default(
    hub_with_spend: HubEmulator, task_log: TaskLog
) -> None:
    report = enforce(1)
    assert (report["status"], report["action"], report["spaces"]) == ("exceeded", "report", [])
    assert changes(hub_with_spend) == []
    assert "The budget is spent." in task_log.text


def test_the_task_fails_when_told_to_and_names_amount_budget_source_and_remedy(
    hub_with_spend: HubEmulator,
) -> None:
    with pytest.raises(AirflowFailException) as excinfo:
        enforce(1, fail_when_exceeded=True)
    assert str(excinfo.value).startswith(
        "acme has spent $4.00 on Spaces this month, 400% of the budget of $1.00"
    )
    assert "the Hub's billing" in str(excinfo.value)
    assert str(excinfo.value).endswith("Pause Spaces, or raise monthly_usd.")
    enforce(100, fail_when_exceeded=True)


def test_sleep_gives_the_billed_spaces_a_short_sleep_time(hub_with_spend: HubEmulator) -> None:
    lazy = hub_with_spend.add_space("acme/lazy", hardware="t4-small", sleep_time=86400)
    short = hub_with_spend.add_space("acme/short", hardware="t4-small", sleep_time=60)
    off = hub_with_spend.add_space("acme/off", hardware="t4-small", stage="PAUSED")
    free = hub_with_spend.add_space("acme/free")
    report = enforce(1, action="sleep")
    assert [lazy.sleep_time, short.sleep_time, off.sleep_time] == [300, 60, None]
    assert hub_with_spend.space("acme/gpu").sleep_time == 300
    assert {each["repo_id"]: each["outcome"] for each in report["spaces"]} == {
        "acme/gpu": "set",
        "acme/lazy": "set",
        "acme/short": "left alone",
    }
    assert free.stage == "RUNNING"
    hub_with_spend.advance(400)
    assert hub_with_spend.space("acme/gpu").stage == "SLEEPING"


def test_pause_pauses_the_billed_spaces_that_the_globs_leave(hub_with_spend: HubEmulator) -> None:
    hub_with_spend.add_space("acme/api-production", hardware="t4-small")
    free = hub_with_spend.add_space("acme/free")
    report = enforce(1, action="pause", exclude=["*-production"])
    assert [each["repo_id"] for each in report["spaces"]] == ["acme/gpu"]
    assert report["hourly_cost_saved"] == 0.4
    assert hub_with_spend.space("acme/gpu").stage == "PAUSED"
    assert hub_with_spend.space("acme/api-production").stage == free.stage == "RUNNING"


def test_only_named_spaces_change_if_some_are_named(hub_with_spend: HubEmulator) -> None:
    named_space = hub_with_spend.add_space("acme/named", hardware="t4-small")
    report = enforce(1, action="pause", repo_ids=["acme/named"])
    assert [each["repo_id"] for each in report["spaces"]] == ["acme/named"]
    assert (named_space.stage, hub_with_spend.space("acme/gpu").stage) == ("PAUSED", "RUNNING")
    assert round(report["spent_usd"], 2) == 4.0


def test_what_a_budget_has_paused_can_be_restarted_from_its_report(hub_with_spend: HubEmulator) -> None:
    report = enforce(1, action="pause")
    Try().run(RestartSpacesOperator(task_id="restart", report=report))
    assert hub_with_spend.space("acme/gpu").stage != "PAUSED"


def test_a_dry_run_changes_nothing(hub_with_spend: HubEmulator) -> None:
    report = enforce(1, action="pause", dry_run=True)
    assert report["spaces"][0]["outcome"] == "would be paused"
    assert changes(hub_with_spend) == []


def test_leased_spaces_are_left_to_their_run(
    hub_with_spend: HubEmulator, airflow: AirflowWithoutServer
) -> None:
    hub_with_spend.add_space("acme/other", hardware="t4-small")
    airflow.remember(hold("acme/gpu"), LeaseOwner("nightly", "run", "gpu.snapshot"))
    report = enforce(1, action="pause")
    outcomes = {each["repo_id"]: each["outcome"] for each in report["spaces"]}
    assert outcomes == {"acme/gpu": "left alone", "acme/other": "paused"}
    assert hub_with_spend.space("acme/gpu").stage == "RUNNING"


def test_nothing_is_changed_while_the_budget_is_not_spent(hub_with_spend: HubEmulator) -> None:
    assert enforce(4.5, action="pause")["spaces"] == []
    assert changes(hub_with_spend) == []
    assert hub_with_spend.space("acme/gpu").stage == "RUNNING"


def test_the_report_says_when_the_budget_will_be_spent(hub_with_spend: HubEmulator) -> None:
    report = enforce(4.4)
    ends = datetime.fromisoformat(report["spent_at"]) - datetime.now(timezone.utc)
    assert ends.total_seconds() == pytest.approx(HOUR, abs=300)
    assert report["projected_usd"] > 4.4
    assert enforce(10_000)["spent_at"] is None


# Parameters


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"monthly_usd": 0}, "monthly_usd of task 'budget' must be a number of USD a month above 0; got 0"),
        ({"monthly_usd": "much"}, "monthly_usd"),
        ({"monthly_usd": float("inf")}, "monthly_usd"),
        ({"action": "stop"}, "action must be one of report, sleep, pause; got 'stop'"),
        ({"warn_at": 80}, "warn_at must be a number above 0 and at most 1; got 80"),
    ],
)
def test_bad_values_are_refused_when_the_dag_is_parsed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EnforceBudgetOperator(task_id="budget", **{"author": "acme", "monthly_usd": 1, **options})


def test_templates_are_checked_when_they_are_rendered(hub_with_spend: HubEmulator) -> None:
    operator = EnforceBudgetOperator(
        task_id="budget",
        author="{{ params.owner }}",
        monthly_usd="{{ params.usd }}",
        action="{{ params.action }}",
        warn_at="{{ params.warn_at }}",
    )
    operator.author, operator.monthly_usd, operator.action, operator.warn_at = "acme", "1", "sleep", "0.5"
    assert Try().run(operator)["spaces"][0]["outcome"] == "set"
    operator.action = "stop"
    with pytest.raises(AirflowFailException, match="got 'stop'"):
        Try().run(operator)


def test_the_configuration_has_the_budget_of_each_owner(
    hub_with_spend: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AirflowFailException, match="monthly_usd of task 'budget' is missing"):
        enforce(None)
    monkeypatch.setenv("AIRFLOW__HF_SPACES__MONTHLY_BUDGET", "50, acme=8")
    assert enforce(None)["monthly_usd"] == 8
    assert enforce(None, author="alice", allow_empty=True)["monthly_usd"] == 50
    monkeypatch.setenv("AIRFLOW__HF_SPACES__MONTHLY_BUDGET", "acme=plenty")
    with pytest.raises(AirflowFailException, match="monthly_budget='acme=plenty' is not valid"):
        enforce(None)


def test_nothing_is_sent_for_values_that_are_not_valid(hub: HubEmulator) -> None:
    operator = EnforceBudgetOperator(task_id="budget", author="{{ owner }}", monthly_usd="{{ usd }}")
    operator.author, operator.monthly_usd = "no/owner", "1"
    with pytest.raises(AirflowFailException):
        Try().run(operator)
    assert not hub.requests
