"""Hook and operators work with every answer that the Hub may give where its answer is unknown."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.emulator.settings import CHOICES
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub import HubClient, calls
from airflow_provider_hfspaces.hub.errors import HubBadRequest, HubConflict, HubError
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.operators.lifecycle import PauseSpaceOperator, RestartSpaceOperator
from tests.airflow_tools import Try

SPACE = "acme/whisper"
FLAGS = (
    "lag_hides_request",
    "hardware_wakes_paused",
    "hardware_wakes_sleeping",
    "restart_serves",
    "failed_build_serves",
    "runtime_has_sha",
    "duplicate_conflict_url",
    "repo_not_found_on_401",
)
STAGE_MATTERS = ("wakes", "lag", "asleep", "answer", "twice", "timings")
EVERY_ANSWER: list[tuple[str, Any]] = [
    *((name, choice) for name, choices in CHOICES.items() for choice in choices),
    *((name, choice) for name in FLAGS for choice in (True, False)),
    ("files_copy_pending", 60),
    ("timings", {"lag": 20}),
    ("timings", {"list_lag": 60}),
]


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0, "seconds_per_request": 30}


@pytest.mark.parametrize(
    ("setting", "choice", "stage"),
    [
        (setting, choice, stage)
        for setting, choice in EVERY_ANSWER
        for stage in ("RUNNING", "PAUSED", "SLEEPING")
        if stage == "RUNNING" or any(word in setting for word in STAGE_MATTERS)
    ],
    ids=str,
)
def test_a_gpu_window_restores_the_space_whatever_the_hub_does(
    hub: HubEmulator, setting: str, choice: Any, stage: str
) -> None:
    hub.settings.change({setting: choice})
    space = hub.add_space(SPACE, stage=stage, hardware="cpu-upgrade", sleep_time=10**6)
    run = Try()
    poll = {"repo_id": SPACE, "poll_interval": 0.02}
    run.run(SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE))
    run.run(RequestHardwareOperator(task_id="up", hardware="t4-small", sleep_time=10**6 // 2, **poll))
    assert (space.stage, space.hardware) == ("RUNNING", "t4-small")
    run.run(RestoreHardwareOperator(task_id="down", from_task="snapshot", wait=True, **poll))
    assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 10**6)
    if stage in ("PAUSED", "SLEEPING"):
        # A Space that cost nothing before the window costs nothing after it.
        assert space.stage == "PAUSED"
        assert not hub.bill().running
    else:
        assert (space.stage, space.hardware) == ("RUNNING", "cpu-upgrade")


@pytest.mark.parametrize("choice", CHOICES["logs_end"])
def test_logs_are_read_until_they_end_or_are_silent(hub: HubEmulator, choice: str) -> None:
    hub.settings.change({"logs_end": choice})
    hub.add_space(SPACE)
    with HubClient(hub.token, hub.url, timeout=(5, 0.3)) as client:
        assert list(client.lines(calls.get_logs(SPACE)))
        assert list(client.lines(calls.get_logs(SPACE, build=True)))


@pytest.mark.parametrize(
    ("setting", "choice"), [each for each in EVERY_ANSWER if each[0] != "logs_end"], ids=str
)
def test_everything_else_works_or_fails_with_an_explanation(
    hub: HubEmulator, setting: str, choice: Any
) -> None:
    # The log of an app that runs has no end, so that a client waits for it to be silent for seconds.
    hub.settings.change({"logs_end": "at_once", setting: choice})
    space, hook = hub.add_space(SPACE, hardware="t4-small"), HfSpacesHook()
    hook.set_volumes(SPACE, [{"type": "bucket", "source": "acme/data", "mountPath": "/data"}])
    hook.delete_volumes(SPACE)
    hook.set_replicas(SPACE, 2)
    Try().run(RestartSpaceOperator(task_id="restart", repo_id=SPACE, poll_interval=0.02))
    assert hook.get_logs(SPACE, lines=50)
    assert hook.get_logs(SPACE, build=True)
    for call in (lambda: hook.request_storage(SPACE, "small"), lambda: hook.delete_storage(SPACE)):
        if (setting, choice) == ("storage", "works"):
            call()
        else:
            with pytest.raises(HubError, match="set_volumes"):
                call()
    copy = DuplicateSpaceOperator(
        task_id="copy", from_id=SPACE, to_id="acme/copy", wait=True, poll_interval=0.02, timeout=30
    )
    assert Try().run(copy)["created"]
    with pytest.raises(HubConflict):
        hook.duplicate(SPACE, to_id="acme/copy")
    assert hook.duplicate(SPACE, to_id="acme/copy", exist_ok=True).repo_id == "acme/copy"
    for _ in range(2):
        Try().run(PauseSpaceOperator(task_id="pause", repo_id=SPACE))
    assert space.stage == "PAUSED"
    hub.add_space("acme/free")
    if (setting, choice) == ("sleep_time_on_free", 400):
        with pytest.raises(HubBadRequest, match="free hardware"):
            hook.set_sleep_time("acme/free", 600)
    else:
        assert hook.set_sleep_time("acme/free", 600).sleep_time == 172800
