"""The package as Airflow's own commands see it."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", [["list"], ["get", "airflow-provider-hfspaces"]])
def test_airflow_shows_the_provider_without_a_word_of_warning(command: list[str]) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "airflow", "providers", *command],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "airflow-provider-hfspaces" in shown.stdout
    complaints = ("airflow_provider_hfspaces", "hf_spaces", "HfSpaces")
    printed = (shown.stdout + shown.stderr).splitlines()
    assert [line for line in printed if any(word in line for word in complaints)] == []
