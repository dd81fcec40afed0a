"""The bill, by hand-calculated examples."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"


@pytest.mark.parametrize(("seconds", "minutes"), [(1, 1), (60, 1), (61, 2), (3600, 60)])
def test_each_begun_minute_is_billed(hub: HubEmulator, seconds: int, minutes: int) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    hub.advance(seconds)
    bill = hub.bill()
    assert bill.minutes == minutes
    assert bill.total_usd == pytest.approx(minutes * 0.006667)


def test_free_hardware_costs_nothing(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    hub.advance(3600)
    assert (hub.bill().minutes, hub.bill().total_usd) == (0, 0)


def test_each_replica_is_billed(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    ask("POST", f"/api/spaces/{SPACE}/replicas", {"replicas": 3})
    hub.advance(600)
    assert hub.bill().minutes == 30


@pytest.mark.parametrize("stage", ["PAUSED", "SLEEPING", "BUILD_ERROR", "RUNTIME_ERROR", "BUILDING"])
def test_a_space_that_does_not_run_costs_nothing(hub: HubEmulator, stage: str) -> None:
    hub.add_space(SPACE, hardware="a100-large", stage=stage)
    hub.advance(60)
    assert hub.bill().total_usd == 0


def test_starting_is_billed_and_building_is_not(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE, hardware="t4-small", stage="PAUSED")
    ask("POST", f"/api/spaces/{SPACE}/restart")
    hub.advance(120)
    assert hub.bill().minutes == 0
    hub.advance(30)
    assert hub.bill().minutes == 1


def test_the_billing_api_agrees_with_the_bill(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    hub.add_space("acme/other", hardware="a10g-small")
    hub.advance(90)
    usage = ask("GET", "/api/organizations/acme/billing/usage").json()["usage"]["Spaces"]
    assert sum(item["totalCostMicroUSD"] for item in usage) == round(hub.bill().total_usd * 1_000_000)
    assert {item["product"] for item in usage} == {"spaces/t4-small/minutes", "spaces/a10g-small/minutes"}


def test_a_fine_grained_token_needs_a_permission_for_the_bill(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    blind = hub.add_token("alice", "fineGrained", scopes={"acme": ["repo.write"], "alice": ["repo.write"]})
    seeing = hub.add_token(
        "alice", "fineGrained", scopes={"acme": ["org.billing.read"], "alice": ["user.billing.read"]}
    )
    for path in ("/api/organizations/acme/billing/usage", "/api/settings/billing/usage"):
        assert ask("GET", path, token=blind).status_code == 403
        assert ask("GET", path, token=seeing).status_code == 200
