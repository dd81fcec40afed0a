"""Without an interval, every wait looks as often as the share of the quota allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed, SpaceWaitTimeout
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.operators.app import CallSpaceOperator, SpaceBatchOperator
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator, RestoreHardwareOperator
from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator
from airflow_provider_hfspaces.sensors.spaces import SpaceHealthySensor, SpaceRunningSensor
from airflow_provider_hfspaces.space_app.health_check import HealthCheck
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup
from airflow_provider_hfspaces.triggers.events import SpaceEventTrigger
from airflow_provider_hfspaces.triggers.spaces import SpaceTrigger
from tests.airflow_tools import Try

SPACE = "acme/whisper"


class Pauses(threading.Event):
    """An event that records how long a wait would sleep, and acts instead of sleeping."""

    def __init__(self, happen: Callable[[int], Any]) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._happen = happen

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds.append(timeout)
        self._happen(len(self.seconds))
        return self.is_set()


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0}


@pytest.fixture(autouse=True)
def at_the_beginning_of_a_window(hub: HubEmulator) -> None:
    """Windows of the quota count real time. Here none ends during a test."""
    hub.world.limits.clock = lambda: 0.0


def run_at(hub: HubEmulator, look: int) -> Callable[[int], None]:
    """Returns what lets the Space run after this number of looks."""

    def happen(looks: int) -> None:
        if looks == look:
            for event in ("built", "started"):
                hub.world.space(SPACE).do(event)

    return happen


def test_a_wait_in_a_worker_looks_every_two_seconds_while_the_quota_allows(hub: HubEmulator) -> None:
    hub.add_space(SPACE, stage="BUILDING")
    pauses = Pauses(run_at(hub, 4))
    assert HfSpacesHook().wait_for(SPACE, Goal(), timeout=600, stop=pauses).stage == "RUNNING"
    assert pauses.seconds == [2.0] * 4


def test_a_wait_in_a_worker_looks_less_often_when_little_is_left(hub: HubEmulator) -> None:
    hub.set_quota(30)
    hub.add_space(SPACE, stage="BUILDING")
    pauses = Pauses(run_at(hub, 12))
    assert HfSpacesHook().wait_for(SPACE, Goal(), timeout=86_400, stop=pauses).stage == "RUNNING"
    # A half of 30 requests in 300 seconds, of which three tenths are kept for bursts.
    assert min(pauses.seconds) == pytest.approx(300 / (30 * 0.5 * 0.7))
    assert {request.status for request in hub.requests} == {200}


def test_the_share_of_the_configuration_counts_in_workers_too(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__HF_SPACES__QUOTA_SHARE", "0.1")
    hub.add_space(SPACE, stage="BUILDING")
    hub.set_quota(1000)
    pauses = Pauses(run_at(hub, 3))
    HfSpacesHook().wait_for(SPACE, Goal(), timeout=600, stop=pauses)
    assert pauses.seconds[1:] == pytest.approx([300 / (1000 * 0.1 * 0.7)] * 2)


def test_a_number_still_means_what_it_says_in_a_worker(hub: HubEmulator) -> None:
    hub.add_space(SPACE, stage="BUILDING")
    pauses = Pauses(run_at(hub, 3))
    HfSpacesHook().wait_for(SPACE, Goal(), timeout=600, poll_interval=25, stop=pauses)
    assert pauses.seconds == [25.0] * 3


def test_an_app_is_asked_no_more_often_than_every_five_seconds(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    pauses = Pauses(lambda looks: pauses.set() if looks == 3 else None)
    with pytest.raises(SpaceWaitFailed, match="stopped"):
        HfSpacesHook().wait_for(
            SPACE, Goal(), timeout=600, stop=pauses, health=HealthCheck("/", text="never answered")
        )
    assert pauses.seconds == pytest.approx([5.0] * 3, abs=1.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda **more: RequestHardwareOperator(repo_id=SPACE, hardware="t4-small", **more),
        lambda **more: RestoreHardwareOperator(repo_id=SPACE, from_task="snapshot", wait=True, **more),
        lambda **more: RestartSpaceOperator(repo_id=SPACE, **more),
        lambda **more: DuplicateSpaceOperator(from_id=SPACE, to_id="acme/copy", wait=True, **more),
        lambda **more: CallSpaceOperator(repo_id=SPACE, api="/predict", **more),
        lambda **more: SpaceBatchOperator(
            repo_id=SPACE, api="/predict", items=[1], output="file:///tmp/none", **more
        ),
    ],
    ids=["request", "restore", "restart", "duplicate", "call", "batch"],
)
def test_operators_leave_the_interval_to_the_quota_unless_they_get_a_number(
    make: Callable[..., Any],
) -> None:
    assert make(task_id="task").poll_interval is None
    assert make(task_id="task", poll_interval=None).poll_interval is None
    assert make(task_id="task", poll_interval="7").poll_interval == 7.0


def test_triggers_store_what_they_got() -> None:
    wait = SpaceTrigger(repo_id=SPACE, goal=Goal(), deadline=time.time() + 60)
    assert wait.serialize()[1]["poll_interval"] is None
    trigger = SpaceTrigger(**{**wait.serialize()[1], "poll_interval": 10.0})
    assert trigger.serialize()[1]["poll_interval"] == 10.0
    # A trigger that never ends does not use the quota up for ever.
    event = SpaceEventTrigger(repo_id=SPACE, stages=["PAUSED"])
    assert event.serialize()[1]["poll_interval"] == 30.0
    hasty = SpaceEventTrigger(repo_id=SPACE, stages=["PAUSED"], poll_interval=None)
    assert hasty.serialize()[1]["poll_interval"] is None


@pytest.mark.parametrize(("options", "interval"), [({}, None), ({"poll_interval": 30}, 30.0)])
def test_a_deferred_operator_passes_its_interval_on(
    hub: HubEmulator, options: dict[str, Any], interval: float | None
) -> None:
    hub.add_space(SPACE, stage="BUILDING")
    task = RestartSpaceOperator(task_id="restart", repo_id=SPACE, deferrable=True, **options)
    assert Try().deferral(task).trigger.serialize()[1]["poll_interval"] == interval


class TestSensors:
    def sensor(self, kind: type[SpaceRunningSensor] = SpaceRunningSensor, **options: Any) -> Any:
        return kind(task_id="sense", repo_id=SPACE, **options)

    @pytest.mark.parametrize(("options", "interval"), [({}, None), ({"poke_interval": 45}, 45.0)])
    @pytest.mark.parametrize("kind", [SpaceRunningSensor, SpaceHealthySensor])
    def test_a_deferred_sensor_leaves_the_interval_to_the_quota_unless_it_has_one(
        self, hub: HubEmulator, kind: Any, options: dict[str, Any], interval: float | None
    ) -> None:
        hub.add_space(SPACE, stage="BUILDING")
        trigger = Try().deferral(self.sensor(kind, deferrable=True, **options)).trigger
        assert trigger.serialize()[1]["poll_interval"] == interval

    @pytest.mark.parametrize(
        ("options", "seconds"),
        [
            ({}, 2.0),
            ({"poke_interval": 45}, 45.0),
            ({"mode": "reschedule"}, 60.0),
            ({"exponential_backoff": True}, 60.0),
        ],
        ids=["in a worker", "with an interval", "coming back", "with a back-off"],
    )
    def test_a_sensor_in_a_worker_looks_as_often_as_the_quota_allows(
        self, hub: HubEmulator, options: dict[str, Any], seconds: float
    ) -> None:
        hub.add_space(SPACE, stage="BUILDING")
        sensor = self.sensor(**options)
        assert not sensor.poke({"ti": Try().ti})
        assert sensor.poke_interval == seconds


def test_the_group_leaves_the_interval_to_the_quota_unless_it_gets_one() -> None:
    from airflow import DAG

    for options, expected in (({}, None), ({"poll_interval": 15}, 15.0)):
        with DAG("grouped", schedule=None):
            group = SpaceHardwareTaskGroup("gpu", repo_id=SPACE, hardware="t4-small", **options)
            with group:
                RestartSpaceOperator(task_id="work", repo_id=SPACE)
        assert group.upgrade.poll_interval == expected


def test_a_timeout_still_ends_a_wait_without_an_interval(hub: HubEmulator) -> None:
    hub.add_space(SPACE, stage="BUILDING")
    pauses = Pauses(lambda looks: time.sleep(0.05))
    with pytest.raises(SpaceWaitTimeout):
        HfSpacesHook().wait_for(SPACE, Goal(), timeout=0.3, stop=pauses)
