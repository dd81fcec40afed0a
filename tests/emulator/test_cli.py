"""The emulator from the command line."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests


@contextmanager
def emulator(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_hfspaces.emulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would all that these tests start there.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def greeting(process: subprocess.Popen[str]) -> str:
    """What the emulator prints when it is ready, with its address and token."""
    assert process.stdout is not None
    assert process.stderr is not None
    output = ""
    while "HF_TOKEN=" not in output:
        line = process.stdout.readline()
        assert line, f"the emulator ended: {process.stderr.read()}"
        output += line
    return output


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as other_server:
        return str(other_server.getsockname()[1])


def test_it_serves_a_fleet_until_it_is_interrupted() -> None:
    with emulator("--port", free_port()) as process:
        output = greeting(process)
        url, token = re.search(r"HF_ENDPOINT=(\S+) HF_TOKEN=(\S+)", output).groups()  # type: ignore[union-attr]
        assert "AIRFLOW_CONN_HF_SPACES_DEFAULT=" in output
        headers = {"Authorization": f"Bearer {token}"}
        spaces = requests.get(f"{url}/api/spaces", headers=headers, timeout=5).json()
        assert "acme/whisper" in {space["id"] for space in spaces}
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1"])
def test_an_address_that_others_can_reach_needs_confirmation(host: str) -> None:
    with emulator("--host", host) as process:
        _, message = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "network" in message


def test_the_error_names_a_port_that_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_server:
        port = str(other_server.getsockname()[1])
        with emulator("--port", port) as process:
            _, message = process.communicate(timeout=20)
    assert process.returncode != 0
    assert port in message
    assert "Traceback" not in message


def test_a_token_can_be_chosen_so_that_a_connection_stays_valid(tmp_path: Path) -> None:
    options = ["--token", "hf_demo", "--state", str(tmp_path / "hub.json")]
    for _ in range(2):
        with emulator("--port", free_port(), *options) as process:
            output = greeting(process)
            url, token = re.search(r"HF_ENDPOINT=(\S+) HF_TOKEN=(\S+)", output).groups()  # type: ignore[union-attr]
            assert token == "hf_demo"
            headers = {"Authorization": f"Bearer {token}"}
            assert requests.get(f"{url}/api/whoami-v2", headers=headers, timeout=5).json()["name"] == "alice"
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)


def test_a_token_with_a_space_in_it_is_refused() -> None:
    with emulator("--port", "0", "--token", "two words") as process:
        _, output = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "without spaces" in output


def test_an_unknown_fleet_is_answered_with_the_valid_names() -> None:
    with emulator("--fleet", "armada") as process:
        _, message = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "demo" in message


def test_it_prints_the_state_machine() -> None:
    with emulator("--print-state-machine") as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "| RUNNING | yes | pause | PAUSED | at once |" in output


def test_a_state_file_and_faults_work_together(tmp_path: Path) -> None:
    file = tmp_path / "hub.json"
    bad = ["--bad-day", "--seed", "5", "--fault", "status,status=418,path=/whisper/", "--state", str(file)]
    for spaces in (13, 14):
        with emulator("--port", free_port(), *bad) as process:
            output = greeting(process)
            url = re.search(r"HF_ENDPOINT=(\S+)", output).group(1)  # type: ignore[union-attr]
            assert requests.get(f"{url}/_emulator/faults", timeout=5).json()["seed"] == 5
            assert requests.get(f"{url}/_emulator", timeout=5).json()["spaces"] == spaces
            requests.post(f"{url}/_emulator/spaces", json={"repo_id": "acme/one-more"}, timeout=5)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)
        assert process.returncode == 0
        assert file.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--fault", "earthquake"], "kind of a fault must be one of"), (["--quota", "-1"], "at least 1")],
)
def test_invalid_options_are_explained(arguments: list[str], message: str) -> None:
    with emulator("--port", "0", *arguments) as process:
        _, output = process.communicate(timeout=20)
    assert process.returncode == 2
    assert message in output
