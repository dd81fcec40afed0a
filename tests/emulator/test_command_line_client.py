"""The official command line, ``hf spaces …``, with HF_ENDPOINT set and nothing else changed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.emulator.clients import environment

SPACE = "acme/whisper"
PROGRAM = environment("2") / "hf"

pytestmark = pytest.mark.skipif(
    not PROGRAM.exists(), reason="the official command line is not installed here: run 'make clients'"
)

Hf = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hf(hub: HubEmulator) -> Hf:
    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        hf_variables = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "HF_HUB_DISABLE_TELEMETRY": "1"}
        result = subprocess.run(
            [PROGRAM, "spaces", *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": os.environ["AIRFLOW_HOME"],
                "NO_COLOR": "1",
                **hf_variables,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        if check:
            assert result.returncode == 0, result.stderr
        return result

    return run


def json_of(result: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(result.stdout)


@pytest.mark.slow
def test_the_command_line_changes_hardware_pauses_and_restarts(hub: HubEmulator, hf: Hf) -> None:
    space = hub.add_space(SPACE)
    hub.world.clock.speed = 600
    hf("settings", SPACE, "--hardware", "t4-small", "--sleep-time", "600000")
    hf("wait", SPACE)
    assert (space.stage, space.hardware, space.sleep_time) == ("RUNNING", "t4-small", 600000)
    hf("pause", SPACE)
    assert space.stage == "PAUSED"
    hf("restart", SPACE, "--factory-reboot")
    hf("wait", SPACE)
    assert space.stage == "RUNNING"
    assert json_of(hf("info", SPACE, "--json"))["id"] == SPACE


@pytest.mark.slow
def test_the_command_line_manages_variables_secrets_and_volumes(hub: HubEmulator, hf: Hf) -> None:
    space = hub.add_space(SPACE)
    hf("secrets", "add", SPACE, "-s", "KEY=s3cr3t")
    hf("variables", "add", SPACE, "-e", "REGION=eu")
    hf("volumes", "set", SPACE, "-v", "hf://buckets/acme/data:/data")
    assert (space.secrets, space.variables) == ({"KEY": "s3cr3t"}, {"REGION": "eu"})
    assert space.volumes[0]["mountPath"] == "/data"
    assert "KEY" in hf("secrets", "ls", SPACE).stdout
    hf("secrets", "delete", SPACE, "KEY", "--yes")
    hf("variables", "delete", SPACE, "REGION", "--yes")
    assert (space.secrets, space.variables) == ({}, {})


@pytest.mark.slow
def test_the_command_line_lists_spaces_and_hardware(hub: HubEmulator, hf: Hf) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    hub.settings.logs_end = "at_once"
    assert [each["id"] for each in json_of(hf("ls", "--author", "acme", "--json"))] == [SPACE]
    assert "t4-small" in hf("hardware").stdout
    assert "Application Startup" in hf("logs", SPACE).stdout
    assert "JupyterLab" in hf("templates").stdout
    assert "2400" in hf("zero-gpu", "quota").stdout
    assert "sdk: gradio" in hf("card", SPACE).stdout


def test_the_command_line_reports_a_missing_space(hub: HubEmulator, hf: Hf) -> None:
    result = hf("pause", "acme/nowhere", check=False)
    assert result.returncode != 0
    assert "not found" in result.stderr.lower()
