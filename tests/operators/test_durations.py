"""Random durations: an operator that waits either refuses them before any request, or waits that long."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.checks import InvalidNumber
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator
from airflow_provider_hfspaces.sensors.spaces import SpaceRunningSensor
from tests.airflow_tools import Try

SPACE = "acme/whisper"
ROUNDS = 40

OPERATORS: dict[str, Callable[..., Any]] = {
    "request": lambda **more: RequestHardwareOperator(repo_id=SPACE, hardware="t4-small", **more),
    "restore": lambda **more: RestoreHardwareOperator(
        repo_id=SPACE, from_task="snapshot", fallback="cpu-upgrade", wait=True, **more
    ),
    "restart": lambda **more: RestartSpaceOperator(repo_id=SPACE, **more),
    "duplicate": lambda **more: DuplicateSpaceOperator(from_id=SPACE, to_id="acme/copy", wait=True, **more),
    "sensor": lambda poll_interval, **more: SpaceRunningSensor(
        repo_id=SPACE, poke_interval=poll_interval, **more
    ),
}


def a_duration(draw: random.Random) -> tuple[Any, float | None]:
    """Returns a value that a user might write, and its seconds; ``None`` if the value is not valid."""
    seconds = draw.choice([draw.uniform(0.001, 0.05), draw.randint(1, 3600)])
    return draw.choice(
        [
            (seconds, float(seconds)),
            (str(seconds), float(seconds)),
            (f" {seconds} ", float(seconds)),
            (timedelta(seconds=seconds), timedelta(seconds=seconds).total_seconds()),
            (-seconds, None),
            (str(-seconds), None),
            (timedelta(seconds=-seconds), None),
            ("".join(draw.choices(string.ascii_letters + " ,:", k=5)), None),
            (f"{seconds}s", None),
            (draw.choice(["", True, False, b"10", [10], {"seconds": 10}, object(), int]), None),
            (draw.choice([float("nan"), float("inf"), -float("inf"), "nan", "inf", 10**400, 1e300]), None),
            ("{{ params.seconds }}", None),
        ]
    )


@pytest.mark.parametrize("deferrable", [False, True], ids=["in a worker", "deferred"])
@pytest.mark.parametrize("name", OPERATORS)
def test_every_random_duration_is_valid_or_refused_before_any_request(
    hub: HubEmulator, name: str, deferrable: bool
) -> None:
    draw = random.Random(f"{name} {deferrable}")
    hub.add_space(SPACE, hardware="cpu-basic")
    valid_count = refusal_count = 0
    for _ in range(ROUNDS):
        (interval, interval_seconds), (timeout, timeout_seconds) = a_duration(draw), a_duration(draw)
        arguments = {"poll_interval": interval, "timeout": timeout, "deferrable": deferrable}
        if interval_seconds is None or timeout_seconds is None:
            refusal_count += 1
            with pytest.raises(
                InvalidNumber, match=rf"^(poll_interval|poke_interval|timeout) of task '{name}'"
            ):
                OPERATORS[name](task_id=name, **arguments)
            assert hub.requests == []
            continue
        valid_count += 1
        task = OPERATORS[name](task_id=name, **arguments)
        read = task.poke_interval if name == "sensor" else task.poll_interval
        assert (read, task.timeout) == pytest.approx((interval_seconds, timeout_seconds), abs=1e-5)
    assert valid_count
    assert refusal_count


@pytest.mark.parametrize("name", OPERATORS)
def test_a_wait_needs_a_timeout_but_no_interval(hub: HubEmulator, name: str) -> None:
    assert getattr(OPERATORS[name](task_id=name, poll_interval=None), "poll_interval", None) is None
    with pytest.raises(InvalidNumber, match=f"^timeout of task '{name}'"):
        OPERATORS[name](task_id=name, poll_interval=None, timeout=None)
    assert hub.requests == []


@pytest.mark.parametrize("deferrable", [False, True], ids=["in a worker", "deferred"])
@pytest.mark.parametrize(
    ("name", "poll_interval", "timeout"),
    [
        (name, poll_interval, timeout)
        for name in ("request", "restore", "restart", "duplicate")
        for poll_interval, timeout in (
            ("0.02", "600"),
            (timedelta(milliseconds=20), timedelta(minutes=10)),
            (0.02, "6e2"),
        )
    ]
    # Without an interval, a wait looks every two seconds of real time: one operator is enough.
    + [("request", None, 600)],
)
def test_a_wait_with_any_valid_duration_reaches_the_goal(
    hub: HubEmulator, name: str, poll_interval: Any, timeout: Any, deferrable: bool
) -> None:
    hub.add_space(SPACE, hardware="cpu-basic")
    if poll_interval is None:
        hub.settings.seconds_per_request = 50
    task = OPERATORS[name](task_id=name, poll_interval=poll_interval, timeout=timeout, deferrable=deferrable)
    result = Try().run_deferred(task) if deferrable else Try().run(task)
    assert result.get("stage", "RUNNING") == "RUNNING"


@pytest.mark.parametrize("name", ["lease_timeout", "lease_poll_interval", "lease_duration"])
@pytest.mark.parametrize("value", [None, "ten", -1, float("nan"), True])
def test_a_wait_for_a_lease_refuses_a_duration_before_any_request(
    hub: HubEmulator, name: str, value: Any
) -> None:
    with pytest.raises(InvalidNumber, match=f"^{name} of task 'snapshot' must be a number of seconds"):
        SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE, lease=True, **{name: value})
    operator = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE, lease=True, **{name: "90"})
    assert getattr(operator, name) == 90.0
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in ("timeout", "poll_interval", "grace")
        for value in (None, "ten", -1, float("nan"), True)
        if (name, value) != ("poll_interval", None)
    ],
)
def test_the_hooks_wait_refuses_a_duration_before_any_request(
    hub: HubEmulator, name: str, value: Any
) -> None:
    with pytest.raises(InvalidNumber, match=f"^{name} must be a number of seconds"):
        HfSpacesHook().wait_for(SPACE, Goal(), **{"timeout": 10, "poll_interval": 1, name: value})
    assert hub.requests == []
