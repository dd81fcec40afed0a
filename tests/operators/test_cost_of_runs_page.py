"""The cost page shows what the runs of this Airflow cost, by day and by DAG."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.cost.runs import BilledTime, RunCost
from airflow_provider_hfspaces.operators.cost import SpacesCostReportOperator
from airflow_provider_hfspaces.state.run_costs import record_run_cost
from tests.airflow_tools import Try
from tests.airflow_variables import AirflowVariables

NOW = datetime.now(timezone.utc)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> AirflowVariables:
    return AirflowVariables(monkeypatch)


def ran(dag_id: str, minutes: int, usd: float | None, *, days_ago: int = 0, repo_id: str = "acme/a") -> None:
    """Record that a run of a DAG has ended."""
    cost = RunCost((BilledTime("t4-small", 1, minutes * 60.0),), (usd,))
    window = (f"{dag_id} {minutes} {days_ago}", "run", repo_id, "-1")
    record_run_cost(repo_id, cost, window, dag_id=dag_id, at=NOW - timedelta(days=days_ago))


def report(hub: HubEmulator, folder: Path, **options: Any) -> tuple[dict[str, Any], str]:
    """The result of the task, and the page."""
    hub.add_space("acme/a")
    path = folder / "cost.html"
    task = SpacesCostReportOperator(task_id="report", author="acme", path=str(path), billing=False, **options)
    return Try().run(task), path.read_text()


def test_the_page_shows_the_cost_of_runs_by_day_and_by_dag(
    hub: HubEmulator, variables: AirflowVariables, tmp_path: Path
) -> None:
    ran("nightly", 13, 0.09, days_ago=1)
    ran("nightly", 60, 0.40)
    ran("hourly <b>", 5, 0.03)
    result, page = report(hub, tmp_path)
    assert [(each["dag_id"], each["runs"], each["minutes"], each["cost_usd"]) for each in result["runs"]] == [
        ("nightly", 2, 73, 0.49),
        ("hourly <b>", 1, 5, 0.03),
    ]
    section = page.split("Cost of runs by day and by DAG, estimated")[1].split("</section>")[0]
    assert "<svg" in section
    assert f"{NOW:%Y-%m-%d}: $0.43" in section
    assert ">$0.52<" in section
    assert "hourly &lt;b&gt;" in section
    assert "hourly <b>" not in page


def test_runs_on_the_spaces_of_others_and_older_ones_are_left_out(
    hub: HubEmulator, variables: AirflowVariables, tmp_path: Path
) -> None:
    ran("theirs", 13, 0.09, repo_id="other/a")
    ran("old", 13, 0.09, days_ago=70)
    result, page = report(hub, tmp_path)
    assert result["runs"] == []
    assert "No run of this Airflow has reported a cost in the last 60 days." in page


def test_minutes_at_an_unknown_price_are_named(
    hub: HubEmulator, variables: AirflowVariables, tmp_path: Path
) -> None:
    ran("nightly", 13, None)
    _, page = report(hub, tmp_path, include="a*")
    assert "13 minutes at an unknown price are in none of the sums." in page
    assert "The runs are those on all Spaces of acme, without the selection above." in page


def test_a_page_is_written_although_airflow_does_not_say_what_runs_cost(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    AirflowVariables(monkeypatch).error = RuntimeError("Airflow does not answer")
    result, page = report(hub, tmp_path)
    assert result["runs"] is None
    assert "What the runs cost could not be read from Airflow." in page
