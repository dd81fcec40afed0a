"""Lists of hardware: the first flavor that is available is used, and never two of them at once."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.errors import (
    HardwareUnavailable,
)
from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator
from tests.airflow_tools import Try
from tests.conftest import TaskLog

SPACE = "acme/whisper"
LIST = ["l4x1", "a10g-small", "t4-small"]


def upgrade(**options: Any) -> RequestHardwareOperator:
    defaults = {"task_id": "upgrade", "repo_id": SPACE, "hardware": LIST, "poll_interval": 0.02}
    return RequestHardwareOperator(**{**defaults, **options})


def run(tries: Try | None = None, **options: Any) -> Any:
    return (tries or Try()).run_to_end(lambda: upgrade(**options))


def requested(hub: HubEmulator) -> list[str]:
    """The flavors that were requested, in this order."""
    return [
        request.json["flavor"]
        for request in hub.requests
        if request.path.endswith("/hardware") and request.json
    ]


def price_lists(hub: HubEmulator) -> int:
    return sum(request.path == "/api/spaces/hardware" for request in hub.requests)


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
@pytest.mark.parametrize("missing", range(len(LIST)))
def test_the_first_flavor_that_is_available_is_used(
    hub: HubEmulator, task_log: TaskLog, missing: int, deferrable: bool
) -> None:
    space = hub.add_space(SPACE)
    space.no_capacity(*LIST[:missing])
    tries = Try()
    runtime = run(tries, deferrable=deferrable)
    assert (runtime["stage"], runtime["hardware"]) == ("RUNNING", LIST[missing])
    assert (space.stage, space.hardware) == ("RUNNING", LIST[missing])
    assert requested(hub) == LIST[: missing + 1]
    assert tries.xcom("upgrade", "requested") == LIST[missing]
    assert [each["hardware"] for each in tries.xcom("upgrade", "tried")] == LIST[: missing + 1]
    assert tries.store.values == {}
    assert price_lists(hub) == (1 if not deferrable else price_lists(hub))
    if missing == 1:
        assert "no l4x1 available; using a10g-small at $1.00/h" in task_log.text
    if missing == 2:
        assert "no l4x1 or a10g-small available; using t4-small at $0.40/h" in task_log.text


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_after_the_last_flavor_the_space_is_restored_and_the_error_lists_what_was_tried(
    hub: HubEmulator, deferrable: bool
) -> None:
    space = hub.add_space(SPACE, sleep_time=None)
    space.no_capacity(*LIST)
    tries = Try()
    with pytest.raises(HardwareUnavailable) as raised:
        run(tries, deferrable=deferrable)
    message = str(raised.value)
    assert message.startswith(f"Space {SPACE}: none of its hardware is available: l4x1 (Scheduling failure")
    assert [
        name for name in LIST if f"{name} (Scheduling failure: not enough hardware capacity)" in message
    ] == LIST
    assert "It is restored to cpu-basic. Add flavors to hardware" in message
    assert requested(hub) == [*LIST, "cpu-basic"]
    assert space.requested_hardware == "cpu-basic"
    assert tries.store.values == {}
