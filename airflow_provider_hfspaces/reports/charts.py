"""Charts as SVG, without scripts. Widths are in percent, so that letters stay as large as they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from airflow_provider_hfspaces.reports.markup import Markup, tag
from airflow_provider_hfspaces.reports.words import day, moment, usd

__all__ = ["bars", "columns_by_day", "line"]

_ROW = 40
_PLOT = 120
_TOP = 22
_DAYS = 60


def bars(rows: Sequence[tuple[str, float, str]], title: str) -> Markup:
    """A bar for each row, as long as its amount.

    :param rows: label, amount, and the amount in words.
    """
    most = max((amount for _, amount, _ in rows), default=0) or 1
    parts = []
    for number, (label, amount, words) in enumerate(rows):
        y = number * _ROW
        parts += [
            tag("text", label, x=0, y=y + 14),
            tag("text", words, x="100%", y=y + 14, text_anchor="end", class_="value"),
            tag("rect", x=0, y=y + 21, width="100%", height=10, rx=3, class_="track"),
            tag("rect", x=0, y=y + 21, width=f"{amount / most * 100:.2f}%", height=10, rx=3, class_="bar"),
        ]
    said = "; ".join(f"{label}: {words}" for label, _, words in rows)
    return _chart(parts, len(rows) * _ROW, f"{title}. {said}")


def columns_by_day(points: Sequence[tuple[datetime, float]], title: str) -> Markup:
    """A column for each day of the last sixty, as high as the day's amounts together."""
    sums: dict[datetime, float] = {}
    for when, amount in points:
        date = when.replace(hour=0, minute=0, second=0, microsecond=0)
        sums[date] = sums.get(date, 0.0) + amount
    last = max(sums)
    first = max(min(sums), last - timedelta(days=_DAYS - 1))
    days = max((last - first).days + 1, 14)
    first = last - timedelta(days=days - 1)
    shown = {date: amount for date, amount in sums.items() if date >= first}
    most = max(*shown.values(), 0)
    parts = _frame(usd(most), day(first), day(last))
    for date, amount in sorted(shown.items()):
        height = max(amount, 0) / (most or 1) * _PLOT
        x = (date - first).days / days * 100
        column = tag(
            "rect",
            tag("title", f"{day(date)}: {usd(amount)}"),
            x=f"{x:.2f}%",
            y=f"{_TOP + _PLOT - height:.1f}",
            width=f"{100 / days * 0.8:.2f}%",
            height=f"{height:.1f}",
            class_="bar",
        )
        parts.append(column)
    return _chart(parts, _TOP + _PLOT + 20, f"{title}, from {day(first)} to {day(last)}")


def line(points: Sequence[tuple[datetime, float]], title: str) -> Markup:
    """Steps from amount to amount: each holds until the next."""
    first, last = points[0][0], points[-1][0]
    span = (last - first).total_seconds() or 1
    most = max(amount for _, amount in points)
    path, height = "", 0.0
    for when, amount in points:
        x, height = (when - first).total_seconds() / span * 1000, 100 - amount / (most or 1) * 100
        path += f"M{x:.1f} {height:.1f}" if not path else f"H{x:.1f}V{height:.1f}"
    attributes = {"viewBox": "0 0 1000 100", "preserveAspectRatio": "none"}
    plot = tag(
        "svg",
        tag("path", d=f"{path}V100H0Z", class_="area"),
        tag("path", d=path, class_="line"),
        **attributes,
        x=0,
        y=_TOP,
        width="100%",
        height=_PLOT,
        overflow="visible",
    )
    parts = [*_frame(f"{usd(most)} an hour", moment(first), moment(last)), plot]
    now = usd(points[-1][1])
    return _chart(parts, _TOP + _PLOT + 20, f"{title}, from {moment(first)} to {moment(last)}: now {now}")


def _frame(most: str, first: str, last: str) -> list[Markup]:
    bottom = _TOP + _PLOT
    return [
        tag("line", x1=0, x2="100%", y1=_TOP, y2=_TOP, class_="grid"),
        tag("line", x1=0, x2="100%", y1=bottom, y2=bottom, class_="axis"),
        tag("text", most, x=0, y=_TOP - 6, class_="small"),
        tag("text", first, x=0, y=bottom + 16, class_="small"),
        tag("text", last, x="100%", y=bottom + 16, text_anchor="end", class_="small"),
    ]


def _chart(parts: Sequence[Markup], height: int, said: str) -> Markup:
    return tag("svg", parts, class_="chart", width="100%", height=height, role="img", aria_label=said)
