"""Amounts, durations and times in words, and the geometry of charts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_hfspaces.reports.charts import bars, columns_by_day, line
from airflow_provider_hfspaces.reports.words import duration, is_plausible, parse_time, usd

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "$0.00"),
        (0.00001, "$0.00"),
        (0.006667, "$0.0067"),
        (-0.5, "-$0.50"),
        (1971, "$1,971.00"),
        (175_090.5, "$175,090"),
        (None, "?"),
    ],
)
def test_an_amount_has_its_significant_digits(amount: float | None, words: str) -> None:
    assert usd(amount) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (900, "15 min"),
        (5400, "1 h 30 min"),
        (86_400, "1 day"),
        (180_061, "2 days 2 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    "text", ["2026-11-23T12:00:00.000Z", "2026-11-23T13:00:00+01:00", "2026-11-23T12:00:00"]
)
def test_a_time_is_read_in_every_iso_format(text: str) -> None:
    assert parse_time(text) == NOON


@pytest.mark.parametrize("text", [None, 5, "", "yesterday", "0001-01-01T00:00:00+23:00", "9999-01-01"])
def test_anything_else_is_not_a_time(text: object) -> None:
    assert parse_time(text) is None


def test_bars_are_as_long_as_their_amounts() -> None:
    chart = bars([("t4", 2.0, "$2.00"), ("cpu", 0.5, "$0.50")], "Cost")
    assert [(bar.label, bar.percent, bar.top) for bar in chart.bars] == [
        ("t4", "100.00", 0),
        ("cpu", "25.00", 40),
    ]
    assert chart.description == "Cost. t4: $2.00; cpu: $0.50"


def test_amounts_of_a_day_share_a_column_and_old_days_have_none() -> None:
    points = [(NOON - timedelta(days=90), 99.0), (NOON, 1.0), (NOON + timedelta(hours=2), 2.0)]
    chart = columns_by_day(points, "Saved")
    assert [column.title for column in chart.columns] == ["2026-11-23: $3.00"]
    assert len(columns_by_day([*points, (NOON - timedelta(days=9), 1.0)], "Saved").columns) == 2


def test_zero_amounts_are_drawn_without_height() -> None:
    (column,) = columns_by_day([(NOON, 0.0)], "Saved").columns
    assert (column.title, column.height) == ("2026-11-23: $0.00", "0.0")
    flat = line([(NOON, 0.0), (NOON + timedelta(days=1), 0.0)], "Cost")
    assert flat.path == "M0.0 100.0H1000.0V100.0"


def test_an_amount_holds_until_the_next_one() -> None:
    chart = line([(NOON, 4.0), (NOON + timedelta(days=1), 2.0), (NOON + timedelta(days=2), 4.0)], "Cost")
    assert chart.path == "M0.0 0.0H500.0V50.0H1000.0V0.0"


@pytest.mark.parametrize("amount", [10**400, -(10**400), 1e13, float("nan"), float("inf"), True, "1", None])
def test_an_amount_that_no_report_can_add_up_is_not_plausible(amount: object) -> None:
    assert not is_plausible(amount)
    assert is_plausible(1e9)
