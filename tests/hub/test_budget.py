"""What an owner has spent in a month: an estimate that grows from look to look, and the Hub's billing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.hub.cost.budget import MonthSpend
from airflow_provider_hfspaces.hub.cost.limits import budget_status
from airflow_provider_hfspaces.hub.errors import HubProtocolError

NOON = datetime(2026, 11, 12, 12, tzinfo=timezone.utc)
DECEMBER = datetime(2026, 12, 1, tzinfo=timezone.utc)


def spend(usd: float = 10.0, hourly: float | None = 2.0, as_of: datetime = NOON) -> MonthSpend:
    return MonthSpend("acme", usd, "estimate", NOON - timedelta(days=3), DECEMBER, as_of, hourly)


def test_the_first_estimate_of_a_month_begins_at_zero() -> None:
    first = MonthSpend.estimated("acme", None, 2.0, NOON)
    assert (first.usd, first.since, first.until, first.hourly) == (0.0, NOON, DECEMBER, 2.0)


@pytest.mark.parametrize(("before", "now", "usd"), [(2.0, 2.0, 12.0), (2.0, 0.0, 11.0), (0.0, 4.0, 12.0)])
def test_the_time_between_two_looks_costs_the_mean_of_both_prices(
    before: float, now: float, usd: float
) -> None:
    later = MonthSpend.estimated("acme", spend(hourly=before), now, NOON + timedelta(hours=1))
    assert (later.usd, later.since) == (usd, NOON - timedelta(days=3))


def test_a_look_by_a_clock_that_is_ahead_keeps_the_amount() -> None:
    ahead = spend(as_of=NOON + timedelta(seconds=5))
    later = MonthSpend.estimated("acme", ahead, 2.0, NOON)
    assert (later.usd, later.as_of) == (10.0, ahead.as_of)
    assert MonthSpend.estimated("acme", later, 2.0, NOON + timedelta(hours=1, seconds=5)).usd == 12.0
    nonsense = spend(as_of=NOON + timedelta(days=300))
    assert MonthSpend.estimated("acme", nonsense, 2.0, NOON).usd == 0.0


def test_a_new_month_counts_from_its_beginning() -> None:
    last = spend(as_of=DECEMBER - timedelta(hours=3))
    new = MonthSpend.estimated("acme", last, 2.0, DECEMBER + timedelta(hours=1))
    assert (new.usd, new.since) == (2.0, DECEMBER)
    assert new.until == datetime(2027, 1, 1, tzinfo=timezone.utc)


def test_a_look_of_long_ago_says_nothing_about_this_month() -> None:
    last = spend(as_of=DECEMBER - timedelta(days=8))
    new = MonthSpend.estimated("acme", last, 2.0, DECEMBER + timedelta(hours=1))
    assert (new.usd, new.since) == (0.0, DECEMBER + timedelta(hours=1))


def test_the_projection_and_the_end_of_the_budget_assume_that_nothing_changes() -> None:
    now = spend()
    assert now.projected == pytest.approx(10 + 2 * 18.5 * 24)
    assert now.spent_at(20.0) == NOON + timedelta(hours=5)
    assert now.spent_at(5.0) == NOON
    assert now.spent_at(10_000.0) is None
    assert spend(hourly=None).projected is None
    assert spend(hourly=0.0).spent_at(20.0) is None


def test_an_amount_survives_its_way_through_json() -> None:
    assert MonthSpend.from_dict(spend().to_dict()) == spend()
    invalid_records: list[Any] = [
        None,
        [],
        {},
        {**spend().to_dict(), "usd": "much"},
        {**spend().to_dict(), "usd": float("nan")},
        {**spend().to_dict(), "hourly": float("inf")},
        {**spend().to_dict(), "as_of": 3},
    ]
    assert [MonthSpend.from_dict(each) for each in invalid_records] == [None] * 7


@pytest.mark.parametrize(
    ("usd", "status"), [(79.9, "within"), (80, "warning"), (99.9, "warning"), (100, "exceeded")]
)
def test_a_budget_is_exceeded_as_soon_as_it_is_spent(usd: float, status: str) -> None:
    assert budget_status(usd, 100, 0.8) == status
    assert (budget_status(usd, 100) == "exceeded") == (status == "exceeded")


def test_the_billed_amount_has_all_spaces_and_the_period_of_the_hub() -> None:
    def item(product: str, micro: int) -> dict[str, Any]:
        return {
            "entityId": "a",
            "label": "acme/a",
            "product": product,
            "quantity": 1,
            "totalCostMicroUSD": micro,
        }

    payload = {
        "usage": {
            "Spaces": [
                item("spaces/t4-small/minutes", 2_000_000),
                item("spaces/storage-small/minutes", 500_000),
            ]
        },
        "period": {"periodStart": "2026-11-07T00:00:00.000Z", "periodEnd": "2026-12-07T00:00:00.000Z"},
    }
    spend = MonthSpend.from_billing("acme", payload, 1.0, NOON)
    assert (spend.usd, spend.source) == (2.5, "billing")
    assert (spend.since.day, spend.until.month) == (7, 12)
    assert "the Hub's billing since 2026-11-07" in spend.in_words()
    with pytest.raises(HubProtocolError, match=r"until 2026-12-07, and not yet that of the current period"):
        MonthSpend.from_billing("acme", payload, 1.0, DECEMBER + timedelta(days=6))
    for invalid_payload in ({}, {"usage": 3}, {**payload, "period": {"periodStart": "soon"}}):
        with pytest.raises(HubProtocolError):
            MonthSpend.from_billing("acme", invalid_payload, 1.0, NOON)
