"""A task reads the Hub's price list once, however often it needs a price."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hardware import any_hardware
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.require import require_hardware
from tests.conftest import TaskLog
from tests.lease_tools import SPACE, AirflowWithoutServer, Window


def price_lists(hub: HubEmulator) -> int:
    return [request.path for request in hub.requests].count("/api/spaces/hardware")


def test_a_hook_reads_the_prices_once_and_again_on_request(hub: HubEmulator) -> None:
    hook = HfSpacesHook()
    assert hook.price_list() is hook.price_list()
    assert price_lists(hub) == 1
    hub.settings.change({"prices": {"t4-small": 0.5}})
    assert hook.price_list().hourly("t4-small") == 0.4
    assert hook.price_list(again=True).hourly("t4-small") == 0.5
    assert hook.price_list().hourly("t4-small") == 0.5
    assert HfSpacesHook().price_list().hourly("t4-small") == 0.5


def test_the_list_of_hardware_is_always_the_present_one(hub: HubEmulator) -> None:
    hook = HfSpacesHook()
    hook.price_list()
    hub.settings.change({"prices": {"t4-small": 0.5}})
    assert {each.name: each.price for each in hook.list_hardware()}["t4-small"] == "$0.50/h"
    assert hook.price_list().hourly("t4-small") == 0.5


def test_a_price_list_that_could_not_be_read_is_read_again(hub: HubEmulator) -> None:
    hook = HfSpacesHook()
    hub.faults.add(kind="status", status=403, path="/api/spaces/hardware$", times=1)
    with pytest.raises(HubError):
        hook.price_list()
    assert hook.price_list().hourly("t4-small") == 0.4


def test_a_flavor_that_is_not_known_is_looked_up_in_the_list_that_the_hook_has(hub: HubEmulator) -> None:
    hook = HfSpacesHook()
    hook.price_list()
    for _ in range(2):
        with pytest.raises(ValueError, match="'t4-smal' is not a flavor"):
            hook.request_hardware(SPACE, "t4-smal")
    assert price_lists(hub) == 1


def test_a_restore_reads_the_prices_once(
    hub: HubEmulator, airflow: AirflowWithoutServer, task_log: TaskLog
) -> None:
    space = hub.add_space(SPACE, hardware="cpu-upgrade")
    window = Window(max_hourly_cost=10)
    window.run("snapshot", "upgrade")
    HfSpacesHook().request_hardware(SPACE, "l4x1")
    before = price_lists(hub)
    window.run("restore")
    # For the limit, for the comparison with hardware that the run did not request, and for the cost.
    assert price_lists(hub) - before == 1
    assert space.requested_hardware == "cpu-upgrade"
    assert "of t4-small, about $" in task_log.text


@pytest.mark.parametrize(
    "hardware", [any_hardware(vram_gb=16), [any_hardware(vram_gb=24), any_hardware(vram_gb=16)]]
)
def test_a_check_of_the_hardware_reads_the_prices_once(hub: HubEmulator, hardware: Any) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    require_hardware(SPACE, hardware)
    assert price_lists(hub) == 1
