"""The contents of the sections of a report, as values for ``templates/cost_page.html``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from airflow_provider_hfspaces.hub.cost.prices import HOURS_PER_MONTH, SpaceCost, SubtotalCost
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE, SpaceInfo
from airflow_provider_hfspaces.reports.charts import bars, columns_by_day, line
from airflow_provider_hfspaces.reports.cost_report import CostReport
from airflow_provider_hfspaces.reports.findings import Finding
from airflow_provider_hfspaces.reports.tables import SpaceLink, StageCell, Table
from airflow_provider_hfspaces.reports.words import day, duration, moment, parse_time, usd

__all__ = ["billed", "concerns", "hardware", "numbers", "over_time", "savings", "spaces"]

_VISIBLE_FINDINGS = 10
_VISIBLE_RESTARTS = 7
_MAX_ERROR_LENGTH = 200


def numbers(report: CostReport) -> dict[str, Any]:
    """Return the most important numbers, for the top of the page."""
    total, history = report.fleet.total, report.history
    cards = [(usd(report.fleet.hourly), "an hour now, estimated")]
    if report.fleet.when_started != report.fleet.hourly or total.starting:
        cards.append((usd(report.fleet.when_started), "an hour when the builds are done, estimated"))
    cards += [
        (usd(report.fleet.monthly), f"a month ({HOURS_PER_MONTH} h) if nothing changes, estimated"),
        (f"{total.billed:,} of {total.spaces:,}", "Spaces are billed now"),
    ]
    if total.starting:
        verb = "is" if total.starting == 1 else "are"
        cards.append((f"{total.starting:,}", f"{verb} building, and billed when the build is done"))
    if total.unknown:
        cards.append((f"{total.unknown}", "at an unknown cost, in none of the sums"))
    pauses = sum(entry["restarted"] > 0 for entry in history.savings)
    if pauses:
        runs = "1 pause" if pauses == 1 else f"{pauses} pauses"
        cards.append((usd(history.saved), f"saved by {runs}, estimated"))
    return {"cards": [{"amount": amount, "meaning": meaning} for amount, meaning in cards]}


def concerns(report: CostReport, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the Spaces that look forgotten."""
    shown = [
        {
            "space": _link(report, each.repo_id),
            "cost": "cost unknown" if each.hourly is None else f"{usd(each.hourly)} an hour",
            "reasons": "; ".join(each.reasons),
        }
        for each in findings
    ]
    return {"findings": shown, "visible_findings": _VISIBLE_FINDINGS}


def hardware(report: CostReport) -> dict[str, Any]:
    """Return the costs by hardware, and the number of Spaces by stage."""
    rows = [
        (f"{name}, {_count(each.billed + each.starting)}", each.when_started, _in_words(each))
        for name, each in report.fleet.by_hardware().items()
        if each.when_started > 0 or each.hourly > 0
    ]
    stages = ", ".join(f"{each.spaces:,} {stage}" for stage, each in report.fleet.by_stage().items())
    return {"hardware": bars(rows, "Estimated USD per hour by hardware"), "stages": stages}


def spaces(report: CostReport) -> dict[str, Any]:
    """Return all Spaces. Those that cost nothing even while they run come last."""
    paid = [each for each in report.fleet.spaces if each.if_running != 0 or each.costs_something]
    free = [each for each in report.fleet.spaces if each.if_running == 0 and not each.costs_something]
    return {
        "paid": _spaces(report, paid, "Estimated USD per hour, for all replicas together."),
        "free": _spaces(report, free, "These cost nothing."),
        "free_title": f"{_count(len(free))} on free hardware" + ("" if paid else ", and no other"),
    }


def _spaces(report: CostReport, costs: Iterable[SpaceCost], caption: str) -> Table:
    header = ("Space", "Stage", "Hardware", "Now, USD/h", "If running, USD/h", "Sleeps after", "Last change")
    rows = []
    for each in costs:
        info = report.spaces.get(each.repo_id)
        rows.append(
            (
                _link(report, each.repo_id),
                _stage(each, info),
                (each.hardware or "none") + (f" x {each.replicas}" if each.replicas > 1 else ""),
                usd(each.hourly),
                usd(each.if_running),
                _sleep_time(info),
                _last_change(info),
            )
        )
    return Table(header, rows, frozenset({3, 4}), caption)


def billed(report: CostReport) -> dict[str, Any]:
    """Return what the Hub billed, next to the estimate for the same minutes."""
    usage = report.usage
    if usage is None:
        return _billed(report.no_usage or "The Hub's billing was not read.")
    start, end = parse_time(usage.period_start), parse_time(usage.period_end)
    period = f" from {day(start)} to {day(end)}" if start and end else ""
    if not usage.spaces:
        return _billed(f"The Hub billed nothing for these Spaces in its period{period}.")
    rows = [
        (
            _link(report, each.repo_id) if "/" in each.repo_id else each.repo_id,
            each.hardware,
            f"{each.minutes:,.0f}",
            usd(each.usd),
            usd(each.estimate),
            _difference(each.difference),
        )
        for each in usage.spaces
    ]
    minutes = f"{sum(each.minutes for each in usage.spaces):,.0f}"
    table = Table(
        header=("Space", "Hardware", "Minutes", "Billed", "Estimate", "Difference"),
        rows=rows,
        numbers=frozenset({2, 3, 4, 5}),
        caption=f"The Hub's own figures in its period{period}, next to the list price of the same minutes.",
        total=("All", "", minutes, usd(usage.usd), usd(usage.estimate), _difference(usage.difference)),
    )
    other = f"In addition, {usd(usage.other)} for other things than minutes, such as storage."
    return _billed(other if usage.other else "", table)


def _billed(note: str, table: Table | None = None) -> dict[str, Any]:
    return {"billed": {"note": note, "table": table}}


def over_time(report: CostReport) -> dict[str, Any]:
    """Return the totals of past reports. A chart needs two reports."""
    points = [
        (when, each["hourly_cost"]) for each in report.history.fleet if (when := parse_time(each["at"]))
    ]
    chart = line(points, "Estimated USD per hour") if len(points) > 1 else None
    return {"costs_over_time": chart, "reports": len(points)}


def savings(report: CostReport) -> dict[str, Any]:
    """Return what pauses have saved, up to the restarts."""
    restarts = [(when, each) for each in report.history.savings if (when := parse_time(each["at"]))]
    rows = [
        (moment(when), f"{each['restarted']:,.0f}", f"{each['failed']:,.0f}", usd(each["saved"]))
        for when, each in reversed(restarts)
    ]
    table = Table(
        header=("Restarted at", "Spaces", "Failed", "Saved, USD"),
        rows=rows,
        numbers=frozenset({1, 2, 3}),
        caption="What the Spaces would have cost while they were paused. An upper bound: a Space may have "
        "slept for part of the time.",
        visible_rows=_VISIBLE_RESTARTS,
    )
    points = [(when, each["saved"]) for when, each in restarts]
    chart = columns_by_day(points, "Estimated USD saved by day") if points else None
    return {"savings": table, "savings_by_day": chart}


def _link(report: CostReport, repo_id: str) -> SpaceLink:
    return SpaceLink(repo_id, f"{report.endpoint}/spaces/{quote(repo_id, safe='/', errors='replace')}")


def _in_words(cost: SubtotalCost) -> str:
    words = f"{usd(cost.when_started)} an hour"
    return words if cost.when_started == cost.hourly else f"{words} when built, {usd(cost.hourly)} now"


def _count(number: int) -> str:
    return "1 Space" if number == 1 else f"{number:,} Spaces"


def _difference(amount: float | None) -> str:
    return "?" if amount is None else f"{'+' if amount >= 0.00005 else ''}{usd(amount)}"


def _stage(cost: SpaceCost, info: SpaceInfo | None) -> StageCell:
    error = info.runtime.error_message if info and info.runtime else None
    return StageCell(cost.stage or "unknown", str(error)[:_MAX_ERROR_LENGTH] if error else None)


def _sleep_time(info: SpaceInfo | None) -> str:
    runtime = info.runtime if info else None
    if runtime is None:
        return "unknown"
    if runtime.is_static:
        return "static"
    if runtime.sleep_time is not None:
        return duration(runtime.sleep_time)
    return "the Hub's choice" if runtime.configured_hardware in FREE_HARDWARE else "never"


def _last_change(info: SpaceInfo | None) -> str:
    when = parse_time(info.last_modified) if info else None
    return day(when) if when else "unknown"
