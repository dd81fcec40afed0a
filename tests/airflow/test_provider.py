"""The provider as Airflow's own commands show it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.airflow.everything import operator_classes


@pytest.mark.parametrize("command", [["list"], ["get", "airflow-provider-hfspaces"]])
def test_airflow_lists_the_provider_without_warnings(command: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "airflow", "providers", *command],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "airflow-provider-hfspaces" in result.stdout
    complaints = ("airflow_provider_hfspaces", "hf_spaces", "HfSpaces")
    lines = (result.stdout + result.stderr).splitlines()
    assert [line for line in lines if any(word in line for word in complaints)] == []


@pytest.mark.parametrize("operator", operator_classes(), ids=lambda each: each.__name__)
def test_no_operator_overrides_a_private_attribute_of_airflow(operator: type) -> None:
    own = [each for each in operator.__mro__ if each.__module__.startswith("airflow_provider_hfspaces")]
    airflows = {name for each in operator.__mro__ if each not in own for name in vars(each)}
    private = {name for each in own for name in vars(each) if name.startswith("_")}
    assert {name for name in private & airflows if not name.startswith("__") and "__" not in name[1:]} <= {
        "_abc_impl"
    }
