"""The commands with unusual streams: closed ones, a full disk, a reader that ends early."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator

pytestmark = pytest.mark.usefixtures("airflow_db")


def shell(hub: HubEmulator, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command line of bash, in which ``$CLI`` is the program."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={
            **os.environ,
            "CLI": f"{sys.executable} -m airflow_provider_hfspaces",
            "HF_TOKEN": hub.token,
            "HF_ENDPOINT": hub.url,
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_command_needs_neither_open_streams_nor_a_reader(fleet: HubEmulator) -> None:
    result = shell(fleet, "$CLI pause acme/whisper --yes >&- 2>&-")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert fleet.space("acme/whisper").stage == "PAUSED"
    result = shell(fleet, "$CLI list --author acme | true")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_full_disk_is_one_sentence(fleet: HubEmulator) -> None:
    result = shell(fleet, "$CLI list --author acme > /dev/full")
    assert result.returncode == 1
    assert result.stderr.startswith("The command failed: OSError: [Errno 28] No space left on device\n")
    assert "Traceback" not in result.stderr
