"""``max_hourly_cost``: refused when it is not an amount, and never a reason to leave the hardware on."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator, RestoreHardwareOperator
from tests.conftest import TaskLog
from tests.lease_tools import SPACE, Window

pytestmark = pytest.mark.usefixtures("airflow")


def work(hub: HubEmulator, own: str = "cpu-upgrade") -> Any:
    """A run has moved the Space from its own hardware to a T4."""
    space = hub.add_space(SPACE, hardware=own)
    window = Window(max_hourly_cost="{{ var.value.limit }}")
    window.run("snapshot", "upgrade")
    assert space.requested_hardware == "t4-small"
    return window


@pytest.mark.parametrize("limit", ["much", "nan", "-1", float("nan"), -1, True, [1]])
@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (RequestHardwareOperator, {"repo_id": SPACE, "hardware": "t4-small"}),
        (RestoreHardwareOperator, {"repo_id": SPACE, "from_task": "snapshot"}),
        (DuplicateSpaceOperator, {"from_id": SPACE, "hardware": "t4-small"}),
    ],
)
def test_a_limit_that_is_not_an_amount_is_refused_when_the_dag_is_parsed(
    operator: Any, arguments: dict[str, Any], limit: Any
) -> None:
    with pytest.raises(ValueError, match="max_hourly_cost of task 'name' must be a number of USD"):
        operator(task_id="name", max_hourly_cost=limit, **arguments)


@pytest.mark.parametrize("limit", ["much", "nan", -1])
def test_a_restore_ignores_a_limit_that_a_template_rendered_and_that_is_not_valid(
    hub: HubEmulator, limit: Any, task_log: TaskLog
) -> None:
    window = work(hub)
    window.restore.max_hourly_cost = limit
    window.run("restore")
    assert hub.space(SPACE).requested_hardware == "cpu-upgrade"
    assert "This restore has no limit." in task_log.text


def test_a_price_list_that_cannot_be_read_moves_a_limited_restore_to_the_fallback(
    hub: HubEmulator, task_log: TaskLog
) -> None:
    window = work(hub)
    window.restore.max_hourly_cost = 10
    hub.faults.add(kind="status", status=403, path="/api/spaces/hardware$")
    window.run("restore")
    assert hub.space(SPACE).requested_hardware == "cpu-basic"
    assert "The Space is restored without knowing a price" in task_log.text


def test_without_prices_a_restore_moves_no_space_from_free_hardware_to_paid_hardware(
    hub: HubEmulator,
) -> None:
    window = work(hub)
    window.restore.max_hourly_cost = None
    window.restore.hook.request_hardware(SPACE, "cpu-basic")
    hub.faults.add(kind="status", status=403, path="/api/spaces/hardware$")
    window.run("restore")
    assert hub.space(SPACE).requested_hardware == "cpu-basic"
