"""Billed usage, compared with the list prices."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_hfspaces.hub.cost.billing import BilledUsage
from airflow_provider_hfspaces.hub.cost.prices import PriceList
from airflow_provider_hfspaces.hub.errors import HubProtocolError
from airflow_provider_hfspaces.hub.models import HardwareFlavor

PRICES = PriceList.from_flavors(
    [HardwareFlavor.from_payload({"name": "t4-small", "unitCostMicroUSD": 6667, "unitLabel": "minute"})]
)


def item(product: str = "spaces/t4-small/minutes", **fields: Any) -> dict[str, Any]:
    return {
        "entityId": "a" * 24,
        "label": "acme/whisper",
        "product": product,
        "quantity": 12,
        "totalCostMicroUSD": 80004,
        "unitCostMicroUSD": 6667,
        "active": False,
        **fields,
    }


def usage(*items: Any, **options: Any) -> BilledUsage:
    return BilledUsage.from_payload({"usage": {"Spaces": list(items)}}, PRICES, **options)


def test_usage_is_compared_with_the_list_price_of_the_same_minutes() -> None:
    usage_of_space = usage(item(), item(quantity=3, totalCostMicroUSD=10_000, active=True))
    (space,) = usage_of_space.spaces
    assert (space.repo_id, space.hardware, space.minutes) == ("acme/whisper", "t4-small", 15)
    assert (space.usd, space.estimate, space.difference) == (0.090004, 0.100005, -0.010001)
    assert (usage_of_space.usd, usage_of_space.estimate, usage_of_space.difference) == (
        0.090004,
        0.100005,
        -0.010001,
    )
    assert usage_of_space.active("acme/whisper") == space
    assert space.active_minutes == 3
    assert json.loads(json.dumps(usage_of_space.to_dict())) == usage_of_space.to_dict()


def test_hardware_without_a_list_price_has_no_difference() -> None:
    usage_of_space = usage(item(), item("spaces/h200/minutes", label="acme/big", totalCostMicroUSD=5_000_000))
    assert [(each.repo_id, each.estimate) for each in usage_of_space.spaces] == [
        ("acme/big", None),
        ("acme/whisper", 0.080004),
    ]
    assert (usage_of_space.usd, usage_of_space.estimate, usage_of_space.difference) == (5.080004, None, None)


def test_storage_does_not_count_as_minutes() -> None:
    usage_of_space = usage(item("spaces/storage-small/minutes", totalCostMicroUSD=7))
    assert (usage_of_space.spaces, usage_of_space.other) == ((), 0.000007)


def test_a_renamed_space_has_its_current_name() -> None:
    usage_of_space = usage(
        item(label="acme/old"), item(entityId="b" * 24, label=None), names={"a" * 24: "acme/new"}
    )
    assert [each.repo_id for each in usage_of_space.spaces] == ["acme/new", "b" * 24]
    only = usage(item(), item(label="acme/x"), wanted=lambda repo_id: repo_id == "acme/x")
    assert [each.repo_id for each in only.spaces] == ["acme/x"]


@pytest.mark.parametrize(
    "payload", [{}, {"usage": []}, {"usage": {"Spaces": [1]}}, {"usage": {"Spaces": [{}]}}]
)
def test_an_unreadable_answer_raises_a_protocol_error(payload: dict[str, Any]) -> None:
    with pytest.raises(HubProtocolError, match="billing usage cannot be read"):
        BilledUsage.from_payload(payload, PRICES)


def test_a_period_without_spaces_has_no_usage() -> None:
    usage_of_space = BilledUsage.from_payload(
        {"usage": {}, "period": {"periodStart": "2026-11-01T00:00:00.000Z"}}, PRICES
    )
    assert (
        usage_of_space.spaces,
        usage_of_space.usd,
        usage_of_space.estimate,
        usage_of_space.period_start,
    ) == (
        (),
        0,
        0,
        "2026-11-01T00:00:00.000Z",
    )
