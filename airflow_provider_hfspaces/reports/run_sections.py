"""The section of a report with what the runs of Airflow cost, as values for ``templates/cost_page.html``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from airflow_provider_hfspaces.reports.charts import columns_by_day
from airflow_provider_hfspaces.reports.cost_report import CostReport
from airflow_provider_hfspaces.reports.tables import Table
from airflow_provider_hfspaces.reports.words import day, usd
from airflow_provider_hfspaces.state.run_costs import DailyCost

__all__ = ["RUN_DAYS", "runs", "sums_by_dag"]

RUN_DAYS = 60
"""Number of days whose runs a report shows."""

_VISIBLE_DAYS = 14


def runs(report: CostReport) -> dict[str, Any]:
    """Return what the runs of this Airflow cost: a chart by day, and tables by DAG and by day and DAG."""
    costs = report.runs
    if not costs:
        return {
            "runs_by_day": None,
            "runs_by_dag": None,
            "runs_by_day_and_dag": None,
            "runs_note": "What the runs cost could not be read from Airflow."
            if costs is None
            else f"No run of this Airflow has reported a cost in the last {RUN_DAYS} days.",
        }
    points = [(_moment(each.day), each.usd) for each in costs]
    return {
        "runs_by_day": columns_by_day(points, "Estimated USD of runs by day"),
        "runs_by_dag": _by_dag(costs),
        "runs_by_day_and_dag": _by_day_and_dag(costs),
        "runs_note": _note(report, costs),
    }


def sums_by_dag(costs: Iterable[DailyCost]) -> list[dict[str, Any]]:
    """Return what the runs of each DAG cost, as plain JSON, the most expensive DAG first."""
    groups: dict[str, list[DailyCost]] = {}
    for each in costs:
        groups.setdefault(each.dag_id, []).append(each)
    rows = [{"dag_id": dag_id, **_sum(group)} for dag_id, group in groups.items()]
    return sorted(rows, key=lambda row: (-row["cost_usd"], row["dag_id"]))


def _by_dag(costs: Iterable[DailyCost]) -> Table:
    listed = list(costs)
    rows = [
        (row["dag_id"], f"{row['runs']:,}", row["hardware"], f"{row['minutes']:,}", usd(row["cost_usd"]))
        for row in sums_by_dag(listed)
    ]
    total = _sum(listed)
    return Table(
        header=("DAG", "Runs", "Hardware", "Minutes", "USD"),
        rows=rows,
        numbers=frozenset({1, 3, 4}),
        caption=f"What the runs of each DAG cost in the last {RUN_DAYS} days.",
        total=("All", f"{total['runs']:,}", "", f"{total['minutes']:,}", usd(total["cost_usd"])),
    )


def _by_day_and_dag(costs: Iterable[DailyCost]) -> Table:
    rows = [
        (
            day(_moment(each.day)),
            each.dag_id,
            f"{each.runs:,}" if each.runs else "",
            each.hardware,
            f"{each.minutes:,}",
            usd(each.usd) if each.minutes > each.unpriced_minutes else "?",
        )
        for each in sorted(costs, key=lambda each: each.key, reverse=True)
    ]
    return Table(
        header=("Day", "DAG", "Runs", "Hardware", "Minutes", "USD"),
        rows=rows,
        numbers=frozenset({2, 4, 5}),
        caption="What the runs of each day cost. A run counts on the day in UTC on which it ended.",
        visible_rows=_VISIBLE_DAYS,
    )


def _sum(costs: Iterable[DailyCost]) -> dict[str, Any]:
    listed = list(costs)
    return {
        "runs": sum(each.runs for each in listed),
        "minutes": sum(each.minutes for each in listed),
        "cost_usd": round(math.fsum(each.usd for each in listed), 6),
        "hardware": ", ".join(dict.fromkeys(each.hardware for each in listed)),
    }


def _note(report: CostReport, costs: Iterable[DailyCost]) -> str:
    unpriced = sum(each.unpriced_minutes for each in costs)
    note = (
        "A run that leases or copies a Space counts from its request for the hardware until the Space is "
        "restored or the copy is deleted. A batch outside such a group counts while it works."
    )
    if report.selection:
        note += f" The runs are those on all Spaces of {report.owner}, without the selection above."
    if unpriced:
        note += f" {unpriced:,} minutes at an unknown price are in none of the sums."
    return note


def _moment(iso_day: str) -> datetime:
    return datetime.fromisoformat(iso_day).replace(tzinfo=timezone.utc)
