"""The command ``cost --by dag`` or ``--by day``: what the runs of this Airflow have cost."""

from __future__ import annotations

from argparse import Namespace
from datetime import date, datetime, timezone
from typing import Any

from airflow_provider_hfspaces.cli.output import Output, UsageError, say

__all__ = ["GROUPS", "run_costs_by"]

GROUPS = {"dag": "dag_id", "day": "day"}
"""The values of ``--by`` that are about runs, each with the field that it groups by."""


def run_costs_by(arguments: Namespace, output: Output) -> bool:
    """Show what runs have cost. Reads Airflow's database, and sends no request to the Hub.

    :raises UsageError: for Spaces or a selection, because runs are recorded without them, and for a date that
        is not valid.
    """
    from airflow_provider_hfspaces.state.run_costs import run_costs

    criteria = ("repo_ids", "stage", "hardware", "billed_only", "include", "exclude", "tag")
    if any(getattr(arguments, name) for name in criteria):
        raise UsageError(
            f"--by {arguments.by} shows what runs have cost, which is recorded by owner, DAG and day. Select "
            f"only with --author and --since."
        )
    since, field = _first_day(arguments.since), GROUPS[arguments.by]
    rows: dict[str, dict[str, Any]] = {}
    for each in run_costs(arguments.author, since=since):
        key = getattr(each, field)
        empty = {field: key, "runs": 0, "billed_minutes": 0, "usd": 0.0, "unpriced_minutes": 0}
        row = rows.setdefault(key, empty)
        row["runs"] += each.runs
        row["billed_minutes"] += each.minutes
        row["usd"] = round(row["usd"] + each.usd, 6)
        row["unpriced_minutes"] += each.unpriced_minutes
    listed = list(rows.values())
    if arguments.by == "dag":
        listed.sort(key=lambda row: (-row["usd"], row["dag_id"]))
    output.write(listed)
    runs, usd = sum(row["runs"] for row in listed), sum(row["usd"] for row in listed)
    say(f"{runs:,} runs since {since} cost about ${usd:,.2f}, as estimated from the Hub's list prices.")
    return True


def _first_day(text: str | None) -> date:
    if text is None:
        return datetime.now(timezone.utc).date().replace(day=1)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--since {text!r} is not a valid date: use ISO format, such as 2026-11-01."
        ) from None
