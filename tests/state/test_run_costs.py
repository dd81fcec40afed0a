"""The record of what the runs of an Airflow cost, by day and DAG."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone

import pytest

from airflow_provider_hfspaces.hub.cost.runs import BilledTime, RunCost
from airflow_provider_hfspaces.state.run_costs import DailyCost, record_run_cost, run_costs
from tests.airflow_variables import AirflowVariables

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
MONTH = date(2026, 11, 1)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> AirflowVariables:
    return AirflowVariables(monkeypatch)


def cost(minutes: int = 13, usd: float | None = 0.09, hardware: str = "t4-small") -> RunCost:
    return RunCost((BilledTime(hardware, 1, minutes * 60.0),), (usd,))


def record(run_id: str, of: RunCost, *, repo_id: str = "acme/whisper", at: datetime = NOON) -> bool:
    return record_run_cost(repo_id, of, ("began", run_id, "restore", "-1"), dag_id="nightly", at=at)


def recorded_costs(owner: str | None = "acme") -> tuple[DailyCost, ...]:
    return run_costs(owner, since=MONTH, until=date(2026, 11, 30))


def test_runs_of_a_day_and_a_dag_are_added_up(variables: AirflowVariables) -> None:
    assert all(record(f"run {number}", cost()) for number in range(20))
    assert recorded_costs() == (DailyCost("2026-11-23", "acme", "nightly", "t4-small", 20, 260, 1.8),)


def test_a_window_that_is_recorded_again_counts_once(variables: AirflowVariables) -> None:
    assert record("run", cost())
    assert record("run", cost())
    assert [each.runs for each in recorded_costs()] == [1]


def test_days_flavors_and_owners_are_kept_apart(variables: AirflowVariables) -> None:
    record("a", cost())
    record("b", cost(5, 0.07, "l4x1"))
    record("c", cost(), at=datetime(2026, 11, 24, 1, tzinfo=timezone.utc))
    record("d", cost(), repo_id="other/demo")
    assert [(each.day, each.hardware) for each in recorded_costs()] == [
        ("2026-11-23", "l4x1"),
        ("2026-11-23", "t4-small"),
        ("2026-11-24", "t4-small"),
    ]
    assert {each.owner for each in recorded_costs(None)} == {"acme", "other"}


def test_minutes_at_an_unknown_price_are_counted_apart(variables: AirflowVariables) -> None:
    record("a", cost(usd=None))
    assert recorded_costs() == (DailyCost("2026-11-23", "acme", "nightly", "t4-small", 1, 13, 0.0, 13),)


def test_a_run_without_billed_minutes_writes_nothing(variables: AirflowVariables) -> None:
    assert record("a", RunCost((), ()))
    assert dict(variables) == {}


def test_an_entry_that_another_task_has_overwritten_is_written_again(variables: AirflowVariables) -> None:
    overwritten = []

    def other_task_writes(seconds: float) -> None:
        if not overwritten:
            overwritten.extend(name for name in variables if name.startswith("hf_spaces_run_costs-2026-11"))
            variables[overwritten[0]] = json.dumps({"costs": [], "written": []})

    window = ("began", "run", "restore", "3")
    assert record_run_cost(
        "acme/whisper", cost(), window, dag_id="nightly", at=NOON, in_crowd=True, sleep=other_task_writes
    )
    assert len(overwritten) == 1
    assert [each.runs for each in recorded_costs()] == [1]


def test_the_same_month_of_the_year_before_is_deleted_with_the_first_entry_after_it(
    variables: AirflowVariables,
) -> None:
    record("run", cost(), at=datetime(2026, 10, 5, tzinfo=timezone.utc))
    (old,) = variables
    record("run", cost(), at=datetime(2027, 11, 5, tzinfo=timezone.utc))
    assert old not in variables
    assert len(variables) == 1


def test_a_failure_of_airflow_is_logged_and_does_not_fail_the_restore(
    variables: AirflowVariables, caplog: pytest.LogCaptureFixture
) -> None:
    variables.error = RuntimeError("Airflow does not answer")
    assert not record("run", cost())
    assert "the cost of this run was not recorded: Airflow does not answer" in caplog.text


def test_a_variable_that_somebody_has_changed_is_read_as_far_as_it_is_valid(
    variables: AirflowVariables,
) -> None:
    record("run", cost())
    (name,) = variables
    costs = json.loads(variables[name])
    costs["costs"] += [{"day": "today"}, 5, {**costs["costs"][0], "usd": -1}]
    variables[name] = json.dumps(costs)
    assert [each.runs for each in recorded_costs()] == [1]
