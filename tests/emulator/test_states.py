"""The stages of a Space on the emulated Hub, step by step."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.emulator.model.machine import MACHINE, as_markdown
from airflow_provider_hfspaces.hub.stages import SpaceStage
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"
API = f"/api/spaces/{SPACE}"


def runtime(ask: Ask) -> tuple[str, str | None, str | None]:
    """Stage, hardware and requested hardware, as the runtime tells them."""
    body = ask("GET", f"{API}/runtime").json()
    return body["stage"], body["hardware"]["current"], body["hardware"]["requested"]


def test_an_upgrade_passes_through_building_and_starting(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE)
    answer = ask("POST", f"{API}/hardware", {"flavor": "t4-small"}).json()
    assert (answer["stage"], answer["hardware"]) == (
        "RUNNING_BUILDING",
        {"current": "cpu-basic", "requested": "t4-small"},
    )
    assert runtime(ask) == ("RUNNING", "cpu-basic", "t4-small"), "the next look is older than the answer"
    hub.advance(5)
    assert runtime(ask) == ("RUNNING_BUILDING", "cpu-basic", "t4-small")
    hub.advance(120)
    assert runtime(ask) == ("RUNNING_APP_STARTING", "cpu-basic", "t4-small")
    hub.advance(30)
    assert runtime(ask) == ("RUNNING", "t4-small", "t4-small")


def test_the_gpu_serves_and_is_billed_until_a_downgrade_is_complete(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    ask("POST", f"{API}/hardware", {"flavor": "cpu-basic"})
    hub.advance(149)
    assert hub.bill(SPACE).running
    hub.advance(2)
    assert not hub.bill(SPACE).running
    assert hub.bill(SPACE).minutes == 3


def test_requests_can_move_the_time(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE, stage="PAUSED")
    hub.settings.change({"seconds_per_request": 10, "timings": {"build": 30, "start": 20}})
    began = hub.now()
    ask("POST", f"{API}/restart")
    assert hub.space(SPACE).stage == "BUILDING"
    assert [runtime(ask)[0] for _ in range(5)] == [*["BUILDING"] * 2, *["APP_STARTING"] * 2, "RUNNING"]
    assert hub.now() - began == 60
    with pytest.raises(ValueError, match="seconds_per_request must be a number of at least 0"):
        hub.settings.change({"seconds_per_request": -1})


def test_a_pause_is_immediate_and_a_restart_begins_with_a_build(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    assert ask("POST", f"{API}/pause").json()["stage"] == "PAUSED"
    assert runtime(ask) == ("PAUSED", None, "t4-small")
    assert ask("POST", f"{API}/restart").json()["stage"] == "BUILDING"
    hub.advance(120)
    assert runtime(ask)[0] == "APP_STARTING"
    hub.advance(30)
    assert runtime(ask) == ("RUNNING", "t4-small", "t4-small")


def test_a_space_falls_asleep_and_a_visitor_wakes_it(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE, hardware="t4-small", sleep_time=600)
    hub.advance(500)
    assert requests.get(space.app_url, timeout=5).status_code == 200
    hub.advance(500)
    assert space.stage == "RUNNING"
    hub.advance(100)
    assert space.stage == "SLEEPING"
    assert requests.get(space.app_url, timeout=5).status_code == 503
    assert space.stage == "APP_STARTING"
    hub.advance(20)
    assert requests.get(space.app_url, timeout=5).status_code == 200
    assert space.hardware == "t4-small"


def test_no_visitor_wakes_a_paused_space(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE, stage="PAUSED")
    assert requests.get(space.app_url, timeout=5).status_code == 503
    hub.advance(1000)
    assert space.stage == "PAUSED"


def test_free_hardware_sleeps_after_two_days(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE)
    assert ask("POST", f"{API}/sleeptime", {"seconds": 60}).json()["gcTimeout"] == 172800
    hub.advance(172799)
    assert space.stage == "RUNNING"
    hub.advance(1)
    assert space.stage == "SLEEPING"


def test_paid_hardware_never_sleeps_by_itself(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    hub.advance(7 * 24 * 3600)
    assert space.stage == "RUNNING"
    assert hub.bill().total_usd == pytest.approx(67.2, abs=0.05)


@pytest.mark.parametrize("asleep", ["SLEEPING", "STOPPED"])
def test_a_setting_chooses_the_stage_of_a_sleeping_space(hub: HubEmulator, asleep: str) -> None:
    hub.settings.asleep = asleep
    space = hub.add_space(SPACE, hardware="t4-small", sleep_time=10)
    hub.advance(11)
    assert space.stage == asleep


def test_missing_capacity_ends_in_an_error(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE).no_capacity("t4-small")
    ask("POST", f"{API}/hardware", {"flavor": "t4-small"})
    hub.advance(120 + 60)
    body = ask("GET", f"{API}/runtime").json()
    assert body["stage"] == "RUNTIME_ERROR"
    assert body["errorMessage"] == "Scheduling failure: not enough hardware capacity"
    assert body["hardware"] == {"current": None, "requested": "t4-small"}
    assert not hub.bill().running


def test_a_failed_build_shows_its_log(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE)
    space.fail_next_build("Job failed with exit code: 137", ["error: failed to solve"])
    ask("POST", f"{API}/restart")
    hub.advance(121)
    assert (space.stage, space.error_message) == ("BUILD_ERROR", "Job failed with exit code: 137")
    assert "error: failed to solve" in ask("GET", f"{API}/logs/build").text
    ask("POST", f"{API}/restart")
    hub.advance(151)
    assert (space.stage, space.error_message) == ("RUNNING", None)


def test_a_crash_suspends_the_space_and_the_bill(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    hub.advance(90)
    space.crash("Exit code: 137")
    hub.advance(10000)
    assert (space.stage, space.hardware) == ("RUNTIME_ERROR", None)
    assert hub.bill().minutes == 2


@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [("POST", "restart", None), ("POST", "pause", None), ("POST", "hardware", {"flavor": "t4-small"})],
)
def test_a_static_space_refuses_actions_on_hardware(
    hub: HubEmulator, ask: Ask, method: str, suffix: str, body: Any
) -> None:
    hub.add_space(SPACE, sdk="static")
    assert ask(method, f"{API}/{suffix}", body).status_code == 400
    assert runtime(ask) == ("RUNNING", None, None)


def test_a_new_secret_restarts_a_running_app_but_wakes_no_sleeping_one(hub: HubEmulator, ask: Ask) -> None:
    awake, asleep = hub.add_space(SPACE), hub.add_space("acme/asleep", stage="SLEEPING")
    for space in (awake, asleep):
        ask("POST", f"/api/spaces/{space.repo_id}/secrets", {"key": "K", "value": "v"})
    assert (awake.stage, asleep.stage) == ("RUNNING_BUILDING", "SLEEPING")


def test_the_machine_leads_from_known_stages_to_known_stages() -> None:
    known_stages = {stage.value for stage in SpaceStage}
    assert {row.stage for row in MACHINE} | {row.then for row in MACHINE} <= known_stages
    pairs = [(row.stage, row.event) for row in MACHINE]
    assert len(pairs) == len(set(pairs))
    assert as_markdown().count("\n") == len(MACHINE) + 1
