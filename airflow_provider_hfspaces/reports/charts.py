"""The geometry of the charts on a report. The templates in ``charts.html`` draw them as SVG.

Come here to change the size of a chart, or which days it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_provider_hfspaces.reports.words import day, moment, usd

__all__ = ["Bar", "BarChart", "Column", "ColumnChart", "Frame", "LineChart", "bars", "columns_by_day", "line"]

_ROW_PIXELS = 40
_PLOT_PIXELS = 120
_TOP_PIXELS = 22
_MAX_DAYS = 60
_MIN_DAYS = 14


@dataclass(frozen=True)
class Bar:
    """A labelled bar, whose length is a percentage of the longest one's."""

    label: str
    amount: str
    top: int
    percent: str


@dataclass(frozen=True)
class BarChart:
    """Bars below each other.

    :ivar height: in pixels.
    :ivar description: the whole chart in words, for screen readers.
    """

    bars: tuple[Bar, ...]
    height: int
    description: str


@dataclass(frozen=True)
class Frame:
    """The lines and labels around a plot.

    :ivar highest: label of the upper line.
    :ivar first: label of the left end.
    :ivar last: label of the right end.
    """

    highest: str
    first: str
    last: str
    top: int = _TOP_PIXELS
    plot: int = _PLOT_PIXELS
    bottom: int = _TOP_PIXELS + _PLOT_PIXELS
    height: int = _TOP_PIXELS + _PLOT_PIXELS + 20


@dataclass(frozen=True)
class Column:
    """The column of one day; ``x`` is in percent, ``y`` and ``height`` in pixels."""

    title: str
    x: str
    y: str
    height: str


@dataclass(frozen=True)
class ColumnChart:
    """Columns beside each other, each of them ``width`` percent wide."""

    columns: tuple[Column, ...]
    width: str
    frame: Frame
    description: str


@dataclass(frozen=True)
class LineChart:
    """A line of steps, as an SVG path in a box of 1000 by 100."""

    path: str
    frame: Frame
    description: str


def bars(rows: Sequence[tuple[str, float, str]], title: str) -> BarChart:
    """Return a bar for each row, as long as its amount.

    :param rows: for each bar its label, its amount, and the amount in words.
    :param title: what the bars show, for screen readers.
    """
    longest = max((amount for _, amount, _ in rows), default=0) or 1
    drawn = tuple(
        Bar(label, words, number * _ROW_PIXELS, f"{amount / longest * 100:.2f}")
        for number, (label, amount, words) in enumerate(rows)
    )
    description = "; ".join(f"{label}: {words}" for label, _, words in rows)
    return BarChart(drawn, len(rows) * _ROW_PIXELS, f"{title}. {description}")


def columns_by_day(points: Sequence[tuple[datetime, float]], title: str) -> ColumnChart:
    """Return a column for each day, as high as the day's sum, for the last sixty days at most."""
    sums: dict[datetime, float] = {}
    for when, amount in points:
        date = when.replace(hour=0, minute=0, second=0, microsecond=0)
        sums[date] = sums.get(date, 0.0) + amount
    last = max(sums)
    first = max(min(sums), last - timedelta(days=_MAX_DAYS - 1))
    days = max((last - first).days + 1, _MIN_DAYS)
    first = last - timedelta(days=days - 1)
    shown = {date: amount for date, amount in sums.items() if date >= first}
    highest = max(*shown.values(), 0)
    columns = []
    for date, amount in sorted(shown.items()):
        height = max(amount, 0) / (highest or 1) * _PLOT_PIXELS
        columns.append(
            Column(
                title=f"{day(date)}: {usd(amount)}",
                x=f"{(date - first).days / days * 100:.2f}",
                y=f"{_TOP_PIXELS + _PLOT_PIXELS - height:.1f}",
                height=f"{height:.1f}",
            )
        )
    return ColumnChart(
        columns=tuple(columns),
        width=f"{100 / days * 0.8:.2f}",
        frame=Frame(usd(highest), day(first), day(last)),
        description=f"{title}, from {day(first)} to {day(last)}",
    )


def line(points: Sequence[tuple[datetime, float]], title: str) -> LineChart:
    """Return a line of steps: each amount holds until the next one."""
    first, last = points[0][0], points[-1][0]
    span = (last - first).total_seconds() or 1
    highest = max(amount for _, amount in points)
    path = ""
    for when, amount in points:
        x, y = (when - first).total_seconds() / span * 1000, 100 - amount / (highest or 1) * 100
        path += f"M{x:.1f} {y:.1f}" if not path else f"H{x:.1f}V{y:.1f}"
    now = usd(points[-1][1])
    return LineChart(
        path=path,
        frame=Frame(f"{usd(highest)} an hour", moment(first), moment(last)),
        description=f"{title}, from {moment(first)} to {moment(last)}: now {now}",
    )
