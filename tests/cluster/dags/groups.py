"""Lease a Space with a list of hardware, work on a copy of it, and run every operator for whole fleets."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_hfspaces.operators.app import SpaceBatchOperator
from airflow_provider_hfspaces.operators.budget import EnforceBudgetOperator
from airflow_provider_hfspaces.operators.copies import DeleteCopiesOperator
from airflow_provider_hfspaces.operators.cost import SpacesCostReportOperator
from airflow_provider_hfspaces.operators.fleet import (
    EnforceSleepTimeOperator,
    ListSpacesOperator,
    PauseSpacesOperator,
    RestartSpacesOperator,
)
from airflow_provider_hfspaces.operators.leases import RestoreAbandonedLeasesOperator
from airflow_provider_hfspaces.task_groups.copies import SpaceCopyTaskGroup
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, chain
except ImportError:
    from airflow import DAG
    from airflow.models.baseoperator import chain

OWNER, SPACE = "works", "works/one"
HOME = Path(__file__).parents[1]

LIMITS: dict[str, Any] = {
    "sleep_time": 3600,
    "max_run_cost": 5,
    "deferrable": True,
    "poll_interval": 1,
    "retry_delay": timedelta(seconds=1),
}


def batch(repo_id: Any, folder: str) -> None:
    SpaceBatchOperator(
        task_id="batch",
        repo_id=repo_id,
        api="/predict",
        items=[{"text": "one"}, {"text": "two"}],
        output=str(HOME / folder),
    )


with DAG(
    dag_id="groups",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    is_paused_upon_creation=False,
    default_args={"execution_timeout": timedelta(minutes=5)},
):
    # The test lets the Hub have no capacity for the first flavor.
    with SpaceHardwareTaskGroup("lease", SPACE, ["l4x1", "t4-small"], **LIMITS) as lease:
        batch(SPACE, "leased")
    with SpaceCopyTaskGroup(
        "copy", SPACE, ["t4-small", "l4x1"], to_id=f"{OWNER}/one-batch", **LIMITS
    ) as copy:
        batch(copy.repo_id, "copied")
    chain(
        lease,
        copy,
        ListSpacesOperator(task_id="list", author=OWNER),
        EnforceSleepTimeOperator(task_id="sleep_times", author=OWNER, max_sleep_time=1800),
        EnforceBudgetOperator(task_id="budget", author=OWNER, monthly_usd=500, action="report"),
        RestoreAbandonedLeasesOperator(task_id="leases", author=OWNER),
        DeleteCopiesOperator(task_id="copies", author=OWNER),
        PauseSpacesOperator(task_id="pause", author=OWNER, report_to="works"),
        RestartSpacesOperator(task_id="restart", report_from="works"),
        SpacesCostReportOperator(task_id="report", author=OWNER, path=str(HOME / "works.html")),
    )
