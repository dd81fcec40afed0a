"""Arranged failures of a Space, ZeroGPU, deletion and slow duplicates."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.conftest import Ask

SPACE = "acme/whisper"


def test_a_crash_loop_ends_after_its_last_crash(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    space.crash_loop(after=10, times=2)
    for _ in range(2):
        hub.advance(11)
        assert (space.stage, space.hardware) == ("RUNTIME_ERROR", None)
        assert not hub.bill().running
        ask("POST", f"/api/spaces/{SPACE}/restart")
        hub.advance(151)
        assert space.stage == "RUNNING"
    hub.advance(3600)
    assert space.stage == "RUNNING"
    assert ask("POST", f"/_emulator/spaces/{SPACE}/crash-loop", {"after": 1}).status_code == 200
    hub.advance(2)
    assert space.stage == "RUNTIME_ERROR"
    with pytest.raises(ValueError, match="must be 0 or more"):
        space.crash_loop(after=-1)


def test_the_hub_gives_up_on_an_unhealthy_app_after_half_an_hour(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE)
    space.hang_next_start()
    ask("POST", f"/api/spaces/{SPACE}/restart")
    hub.advance(120 + 1799)
    assert space.stage == "RUNNING_APP_STARTING"
    hub.advance(2)
    assert space.stage == "RUNTIME_ERROR"
    assert space.error_message == "launch timed out, space was not healthy after 30 min"
    ask("POST", f"/api/spaces/{SPACE}/restart")
    hub.advance(151)
    assert space.stage == "RUNNING"


def test_an_exhausted_hardware_quota_pauses_the_space_when_it_starts(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE)
    space.over_quota("t4-small")
    ask("POST", f"/api/spaces/{SPACE}/hardware", {"flavor": "t4-small"})
    hub.advance(300)
    runtime = ask("GET", f"/api/spaces/{SPACE}/runtime").json()
    assert runtime["stage"] == "PAUSED"
    assert runtime["errorMessage"] == "You've reached your hardware quota limit across all your Spaces!"
    assert not hub.bill().running
    ask("POST", f"/_emulator/spaces/{SPACE}/over-quota", {})
    ask("POST", f"/api/spaces/{SPACE}/restart")
    hub.advance(300)
    assert (space.stage, space.hardware) == ("RUNNING", "t4-small")


def test_missing_capacity_ends_a_start_in_an_error(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE)
    space.no_capacity("t4-small")
    ask("POST", f"/api/spaces/{SPACE}/hardware", {"flavor": "t4-small"})
    hub.advance(300)
    assert (space.stage, space.error_message) == (
        "RUNTIME_ERROR",
        "Scheduling failure: not enough hardware capacity",
    )


@pytest.mark.parametrize("status", [402, 403])
def test_a_request_for_cpu_basic_can_be_refused(hub: HubEmulator, ask: Ask, status: int) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    hub.settings.cpu_basic = status
    refusal = ask("POST", f"/api/spaces/{SPACE}/hardware", {"flavor": "cpu-basic"})
    assert refusal.status_code == status
    assert "CPU-basic quota limit" in refusal.json()["error"]
    assert (space.stage, space.hardware) == ("RUNNING", "t4-small")
    assert ask("POST", f"/api/spaces/{SPACE}/hardware", {"flavor": "cpu-upgrade"}).status_code == 200


def test_each_replica_is_billed_and_free_hardware_has_one(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    ask("POST", f"/api/spaces/{SPACE}/replicas", {"replicas": 3})
    hub.advance(60)
    assert hub.bill().minutes == 3
    ask("POST", f"/api/spaces/{SPACE}/pause")
    ask("POST", f"/api/spaces/{SPACE}/restart")
    assert ask("GET", f"/api/spaces/{SPACE}/runtime").json()["replicas"]["requested"] == 3
    for flavor in ("cpu-basic", "t4-small"):
        ask("POST", f"/api/spaces/{SPACE}/hardware", {"flavor": flavor})
        hub.advance(300)
    assert space.replicas == 1


def test_zero_gpu_is_free_for_a_few_gradio_spaces(hub: HubEmulator, ask: Ask) -> None:
    hub.add_user("bob")
    token = hub.add_token("bob")
    for number in range(3):
        hub.add_space(f"bob/s{number}")
    statuses = [
        ask("POST", f"/api/spaces/bob/s{number}/hardware", {"flavor": "zero-a10g"}, token=token).status_code
        for number in (0, 1, 1, 2)
    ]
    assert statuses == [200, 200, 200, 402]
    hub.advance(3600)
    assert hub.bill().total_usd == 0
    hub.add_space("bob/docker", sdk="docker")
    refusal = ask("POST", "/api/spaces/bob/docker/hardware", {"flavor": "zero-a10g"}, token=token)
    assert (refusal.status_code, refusal.json()["error"]) == (
        400,
        "ZeroGPU is only available for Gradio Spaces",
    )


def test_a_deleted_space_remains_in_deleting_for_a_moment(hub: HubEmulator, ask: Ask) -> None:
    hub.settings.change({"timings": {"deleting": 20}})
    hub.add_space(SPACE, hardware="t4-small")
    body = {"type": "space", "organization": "acme", "name": "whisper"}
    assert ask("DELETE", "/api/repos/delete", body).text == "OK"
    assert ask("GET", f"/api/spaces/{SPACE}/runtime").json()["stage"] == "DELETING"
    assert not hub.bill().running
    hub.advance(21)
    assert ask("GET", f"/api/spaces/{SPACE}/runtime").status_code == 404


def test_a_duplicate_is_empty_until_its_files_are_copied(hub: HubEmulator, ask: Ask) -> None:
    hub.settings.files_copy_pending = 60
    hub.add_space(SPACE)
    answer = ask("POST", f"/api/spaces/{SPACE}/duplicate", {"repository": "acme/copy"}).json()
    assert answer["filesCopyPending"] is True
    assert hub.space("acme/copy").stage == "NO_APP_FILE"
    hub.advance(61)
    assert hub.space("acme/copy").stage == "BUILDING"


def test_stages_and_load_are_streamed(hub: HubEmulator) -> None:
    import requests

    space = hub.add_space(SPACE)
    with requests.get(f"{hub.url}/api/spaces/{SPACE}/events", stream=True, timeout=5) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        assert [next(lines), next(lines)] == ["event: stage", "data: RUNNING"]
        space.crash()
        assert "data: RUNTIME_ERROR" in (next(lines) for _ in range(8))
    hub.add_space("acme/other")
    with requests.get(f"{hub.url}/api/spaces/acme/other/metrics", stream=True, timeout=5) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        assert next(lines) == "event: metric"
        assert '"cpu_usage_pct"' in next(lines)


def test_the_documentation_has_the_state_machine_of_the_code() -> None:
    from pathlib import Path

    from airflow_provider_hfspaces.emulator.model.machine import as_markdown

    documented = (Path(__file__).resolve().parents[2] / "docs" / "emulator.md").read_text()
    assert as_markdown() in documented


def test_pytest_imports_no_server_before_a_test_uses_it() -> None:
    import subprocess
    import sys

    code = (
        "import pytest, sys; before = set(sys.modules); "
        "import airflow_provider_hfspaces.emulator.pytest_plugin; print(sorted(set(sys.modules) - before))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert eval(output) == [
        "airflow_provider_hfspaces",
        "airflow_provider_hfspaces.emulator",
        "airflow_provider_hfspaces.emulator.pytest_plugin",
        "airflow_provider_hfspaces.hub",
        "airflow_provider_hfspaces.hub.lazy",
    ]


@pytest.mark.hub_emulator(speed=0, storage="gone")
def test_the_marker_sets_parameters_of_the_fixture(hub_emulator: HubEmulator) -> None:
    assert hub_emulator.settings.storage == "gone"
    assert hub_emulator.world.clock.speed == 0
