"""The parts of a page on what Spaces cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from airflow_provider_hfspaces.hub.cost.prices import HOURS_PER_MONTH, SpaceCost, SubtotalCost
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE, SpaceInfo
from airflow_provider_hfspaces.reports.charts import bars, columns_by_day, line
from airflow_provider_hfspaces.reports.findings import Finding
from airflow_provider_hfspaces.reports.markup import Child, Markup, tag
from airflow_provider_hfspaces.reports.report import CostReport
from airflow_provider_hfspaces.reports.words import day, duration, moment, parsed, usd

__all__ = ["billed", "concerns", "fleet", "hardware", "numbers", "over_time", "savings"]

_FINDINGS = 10
_SHOWN = 25
_LATEST = 7
_LONGEST_ERROR = 200


def numbers(report: CostReport) -> Markup:
    """The few amounts to look at first."""
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
        cards.append((f"{total.unknown}", "at a cost that is not known, not in any sum"))
    pauses = sum(entry["restarted"] > 0 for entry in history.savings)
    if pauses:
        runs = "1 pause" if pauses == 1 else f"{pauses} pauses"
        cards.append((usd(history.saved), f"saved by {runs}, estimated"))
    return tag(
        "div", [tag("div", tag("b", amount), tag("span", words)) for amount, words in cards], class_="numbers"
    )


def concerns(report: CostReport, found: Sequence[Finding]) -> Markup:
    """What is on and should perhaps not be."""
    title = "On, and should perhaps not be"
    if not found:
        return _section(title, tag("p", "Nothing stands out.", class_="soft"))
    items = [
        tag(
            "li",
            tag("span", _hourly(each.hourly), class_="cost"),
            tag("b", _link(report, each.repo_id)),
            tag("br"),
            "; ".join(each.reasons),
        )
        for each in found
    ]
    parts = [tag("ul", items[:_FINDINGS], class_="findings")]
    if len(items) > _FINDINGS:
        rest = tag("ul", items[_FINDINGS:], class_="findings")
        parts.append(tag("details", tag("summary", f"{len(items) - _FINDINGS:,} more"), rest))
    return _section(title, parts)


def hardware(report: CostReport) -> Markup:
    """What costs how much, by hardware."""
    rows = [
        (f"{name}, {_count(each.billed + each.starting)}", each.when_started, _hourly_bar(each))
        for name, each in report.fleet.by_hardware().items()
        if each.when_started > 0 or each.hourly > 0
    ]
    stages = ", ".join(f"{each.spaces:,} {stage}" for stage, each in report.fleet.by_stage().items())
    chart: Child = bars(rows, "Estimated USD per hour by hardware") if rows else ""
    nothing: Child = "" if rows else tag("p", "Nothing costs anything now.", class_="soft")
    by_stage = tag("p", f"By stage: {stages}.", class_="soft") if stages else ""
    return _section("By hardware, estimated from list prices", chart, nothing, by_stage)


def fleet(report: CostReport) -> Markup:
    """All Spaces, those at the end that cost nothing even when they run."""
    paid = [each for each in report.fleet.spaces if each.if_running != 0 or each.costs_something]
    free = [each for each in report.fleet.spaces if each.if_running == 0 and not each.costs_something]
    parts: list[Child] = []
    if paid:
        parts.append(_spaces(report, paid, "Estimated USD per hour, for all replicas together."))
    if free:
        title = f"{_count(len(free))} on free hardware" + ("" if paid else ", and no other")
        table = _spaces(report, free, "These cost nothing.")
        parts.append(tag("details", tag("summary", title), table))
    if not report.fleet.spaces:
        parts.append(tag("p", "There are no Spaces that the token may see.", class_="soft"))
    return _section("Spaces", parts)


def _spaces(report: CostReport, spaces: Iterable[SpaceCost], caption: str) -> list[Markup]:
    header = ("Space", "Stage", "Hardware", "Now, USD/h", "If running, USD/h", "Sleeps after", "Last change")
    rows = []
    for each in spaces:
        info = report.spaces.get(each.repo_id)
        rows.append(
            (
                _link(report, each.repo_id),
                _stage(each, info),
                (each.hardware or "none") + (f" x {each.replicas}" if each.replicas > 1 else ""),
                usd(each.hourly),
                usd(each.if_running),
                _sleeps(info),
                _changed(info),
            )
        )
    return _folding(header, rows, numbers=(3, 4), caption=caption)


def billed(report: CostReport) -> Markup:
    """What the Hub says that it billed, beside the estimate for the same minutes."""
    title = "Billed by the Hub"
    usage = report.usage
    if usage is None:
        words = report.no_usage or "The Hub's billing was not asked for."
        return _section(title, tag("p", words, class_="soft"))
    start, end = parsed(usage.period_start), parsed(usage.period_end)
    period = f" from {day(start)} to {day(end)}" if start and end else ""
    if not usage.spaces:
        return _section(title, tag("p", f"Nothing for these Spaces in the period{period}.", class_="soft"))
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
    minutes = sum(each.minutes for each in usage.spaces)
    total = ("All", "", f"{minutes:,.0f}", usd(usage.usd), usd(usage.estimate), _difference(usage.difference))
    header = ("Space", "Hardware", "Minutes", "Billed", "Estimate", "Difference")
    caption = f"The Hub's own figures in its period{period}, beside the list price of the same minutes."
    other = f"Besides, {usd(usage.other)} for something else than minutes, such as storage."
    return _section(
        title,
        _folding(header, rows, numbers=(2, 3, 4, 5), caption=caption, total=total),
        tag("p", other, class_="soft") if usage.other else "",
    )


def savings(report: CostReport) -> Markup:
    """What pauses have saved until their restarts."""
    entries = report.history.savings
    title = "Saved by pauses, estimated"
    if not entries:
        return _section(title, tag("p", "No restart has been reported yet.", class_="soft"))
    points = [(when, each["saved"]) for each in entries if (when := parsed(each["at"]))]
    rows = [
        (moment(when), f"{each['restarted']:,.0f}", f"{each['failed']:,.0f}", usd(each["saved"]))
        for each in reversed(entries)
        if (when := parsed(each["at"]))
    ]
    header = ("Restarted at", "Spaces", "Failed", "Saved, USD")
    caption = "What the paused time would have cost. At the most: a Space might have slept for part of it."
    chart = columns_by_day(points, "Estimated USD saved by day")
    return _section(title, chart, _folding(header, rows, numbers=(1, 2, 3), caption=caption, most=_LATEST))


def over_time(report: CostReport) -> Markup | str:
    """The total of past reports; nothing as long as there is only one."""
    points = [(when, each["hourly_cost"]) for each in report.history.fleet if (when := parsed(each["at"]))]
    if len(points) < 2:
        return ""
    return _section(
        "Estimated USD per hour, report by report",
        line(points, "Estimated USD per hour"),
        tag("p", f"{len(points)} reports.", class_="soft"),
    )


def _section(title: str, *parts: Child) -> Markup:
    return tag("section", tag("h2", title), *parts)


def _folding(
    header: Sequence[str],
    rows: Sequence[Sequence[Child]],
    *,
    numbers: tuple[int, ...],
    caption: str,
    most: int = _SHOWN,
    total: Sequence[Child] | None = None,
) -> list[Markup]:
    """A table whose first rows show, and whose others do when somebody asks for them."""
    parts = [_table(header, rows[:most], numbers=numbers, caption=caption, total=total)]
    if len(rows) > most:
        rest = _table(header, rows[most:], numbers=numbers)
        parts.append(tag("details", tag("summary", f"{len(rows) - most:,} more"), rest))
    return parts


def _table(
    header: Sequence[str],
    rows: Iterable[Sequence[Child]],
    *,
    numbers: tuple[int, ...],
    caption: str = "",
    total: Sequence[Child] | None = None,
) -> Markup:
    def kind(column: int) -> str | None:
        return "number" if column in numbers else None

    def row(cells: Sequence[Child]) -> Markup:
        return tag(
            "tr",
            [tag("td", cell, class_=kind(at), data_label=header[at]) for at, cell in enumerate(cells)],
        )

    head = tag("tr", [tag("th", text, class_=kind(at), scope="col") for at, text in enumerate(header)])
    return tag(
        "table",
        tag("caption", caption) if caption else "",
        tag("thead", head),
        tag("tbody", [row(cells) for cells in rows]),
        tag("tfoot", row(total)) if total else "",
    )


def _link(report: CostReport, repo_id: str) -> Markup:
    address = f"{report.endpoint}/spaces/{quote(repo_id, safe='/', errors='replace')}"
    return tag("a", repo_id, href=address, rel="noreferrer")


def _hourly_bar(cost: SubtotalCost) -> str:
    words = f"{usd(cost.when_started)} an hour"
    return words if cost.when_started == cost.hourly else f"{words} when built, {usd(cost.hourly)} now"


def _hourly(amount: float | None) -> str:
    return "cost not known" if amount is None else f"{usd(amount)} an hour"


def _count(spaces: int) -> str:
    return "1 Space" if spaces == 1 else f"{spaces:,} Spaces"


def _difference(amount: float | None) -> str:
    return "?" if amount is None else f"{'+' if amount >= 0.00005 else ''}{usd(amount)}"


def _stage(space: SpaceCost, info: SpaceInfo | None) -> Markup:
    error = info.runtime.error_message if info and info.runtime else None
    shown = tag("small", str(error)[:_LONGEST_ERROR]) if error else ""
    return tag("span", space.stage or "unknown", shown, class_="stage")


def _sleeps(info: SpaceInfo | None) -> str:
    runtime = info.runtime if info else None
    if runtime is None:
        return "unknown"
    if runtime.is_static:
        return "static"
    if runtime.sleep_time is not None:
        return duration(runtime.sleep_time)
    return "the Hub's choice" if runtime.configured_hardware in FREE_HARDWARE else "never"


def _changed(info: SpaceInfo | None) -> str:
    when = parsed(info.last_modified) if info else None
    return day(when) if when else "unknown"
