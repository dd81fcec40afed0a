"""The command that shows what runs have cost."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.cost.runs import BilledTime, RunCost
from airflow_provider_hfspaces.state.run_costs import record_run_cost
from tests.airflow_records import AirflowRecords, as_server
from tests.cli.conftest import Run

__all__ = ["as_server"]

AT = datetime(2026, 11, 7, 12, tzinfo=timezone.utc)


@pytest.fixture
def recorded_costs(fleet: HubEmulator, airflow_records: AirflowRecords, as_server: None) -> None:
    """Two runs of one DAG, and one of another DAG a day later."""
    prices = HfSpacesHook().price_list()

    def record(dag_id: str, repo_id: str, run_id: str, hardware: str, seconds: float, at: datetime) -> None:
        cost = RunCost.from_times([BilledTime(hardware, 1, seconds)], prices)
        assert record_run_cost(repo_id, cost, ("", run_id), dag_id=dag_id, at=at)

    record("nightly_batch", "acme/whisper", "1", "t4-small", 13 * 60, AT)
    record("nightly_batch", "acme/whisper", "2", "t4-small", 13 * 60, AT)
    record("reports", "other/space", "1", "a100-large", 5 * 60, AT.replace(day=8))


def test_the_cost_of_runs_is_shown_by_dag_and_by_day_without_a_request(
    run: Run, fleet: HubEmulator, recorded_costs: None
) -> None:
    before = len(fleet.requests)
    result = run("cost", "--by", "dag", "--since", "2026-11-01", "-o", "json")
    assert result.code == 0, result.err
    assert [(each["dag_id"], each["runs"], each["billed_minutes"]) for each in result.rows] == [
        ("reports", 1, 5),
        ("nightly_batch", 2, 26),
    ]
    assert result.rows[1]["usd"] == pytest.approx(0.173342, abs=1e-4)
    assert "3 runs since 2026-11-01 cost about $0.38" in result.err
    by_day = run("cost", "--by", "day", "--since", "2026-11-08", "-o", "json").rows
    assert [each["day"] for each in by_day] == ["2026-11-08"]
    of_acme = run("cost", "--by", "dag", "--since", "2026-11-01", "--author", "acme", "-o", "json").rows
    assert [each["dag_id"] for each in of_acme] == ["nightly_batch"]
    assert len(fleet.requests) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "dag", "acme/whisper"], "only with --author and --since."),
        (
            ["--by", "day", "--since", "yesterday"],
            "--since 'yesterday' is not a valid date: use ISO format, such as 2026-11-01.",
        ),
    ],
)
def test_wrong_use_is_explained(run: Run, arguments: list[str], message: str) -> None:
    result = run("cost", *arguments)
    assert result.code == 2
    assert message in result.err
