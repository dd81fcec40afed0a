"""Airflow finds the commands, and pays for them only when one of them runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from airflow_provider_hfspaces import get_provider_info
from airflow_provider_hfspaces.cli.options import COMMANDS
from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION
from airflow_provider_hfspaces.emulator import HubEmulator

HAS_COMMANDS = AIRFLOW_VERSION >= (3, 2)


def test_the_provider_declares_its_commands() -> None:
    assert get_provider_info()["cli"] == ["airflow_provider_hfspaces.cli.definition.get_commands"]


@pytest.mark.skipif(not HAS_COMMANDS, reason="Airflow 3.2 and newer load commands of providers")
def test_airflow_runs_the_commands(fleet: HubEmulator, airflow_db: None) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "airflow", "hf-spaces", "list", "--author", "acme", "-o", "json"],
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **os.environ,
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "HF_TOKEN": fleet.token,
            "HF_ENDPOINT": fleet.url,
        },
    )
    assert result.returncode == 0, result.stderr
    assert [each["space"] for each in json.loads(result.stdout)] == [
        "acme/demo",
        "acme/night-owl",
        "acme/whisper",
    ]
    assert fleet.token not in result.stdout + result.stderr


@pytest.mark.skipif(not HAS_COMMANDS, reason="Airflow 3.2 and newer load commands of providers")
def test_airflows_parser_accepts_every_command_and_option() -> None:
    from airflow.cli.cli_parser import get_parser

    parser = get_parser()
    for command in COMMANDS:
        arguments = ["hf-spaces", command.name]
        for option in command.options:
            flag, settings = option.flags[-1], option.settings
            if flag.startswith("-") and settings.get("action") != "store_true":
                arguments += [flag, settings.get("choices", ["value"])[0]]
            elif flag.startswith("-"):
                arguments.append(flag)
        options = parser.parse_args([*arguments, "acme/whisper"])
        assert options.repo_ids == ["acme/whisper"]
        assert options.verbose


def test_the_definition_loads_no_operator_and_no_client() -> None:
    code = (
        "import sys\n"
        "try:\n    import airflow.cli.cli_config\nexcept ImportError:\n    pass\n"
        "before = set(sys.modules)\n"
        "from airflow_provider_hfspaces.cli.definition import get_commands\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    modules = {each for each in result.stdout.split() if each.startswith("airflow_provider_hfspaces")}
    assert modules - {"airflow_provider_hfspaces"} == {
        "airflow_provider_hfspaces.cli",
        "airflow_provider_hfspaces.cli.definition",
        "airflow_provider_hfspaces.cli.options",
    }
