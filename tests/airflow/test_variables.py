"""The Airflow Variables that a whole DAG run looks up in a secrets backend."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION
from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file with the names of the Variables that Airflow looked up, one on each line."""
    log = tmp_path / "variables"
    log.touch()
    monkeypatch.setenv("LOOKED_UP_VARIABLES", str(log))
    for section, option in (("SECRETS", "BACKEND"), ("WORKERS", "SECRETS_BACKEND")):
        monkeypatch.setenv(f"AIRFLOW__{section}__{option}", "tests.airflow.counting_backend.CountingBackend")
    return log


def test_a_successful_window_looks_up_only_variables_that_it_writes(hub: HubEmulator, lookups: Path) -> None:
    space = hub.add_space("acme/whisper")
    states = run(dag_file("retried_upgrade").dag)
    assert states["dag"] == "success"
    assert "t4-small" in {moment.hardware for moment in space.history}
    names = lookups.read_text().splitlines()
    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9_-]{1,109}", name)] == []
    # The operators look up what they write: the cost of the run, before and after they add to it and, before
    # Airflow 3.3, what a retry must know. Some versions look in the worker and in the API server, and check
    # before a write that no secrets backend has a Variable of this name. A missing one is looked up twice, to
    # tell it from an error of Airflow.
    costs = [name for name in names if name.startswith("hf_spaces_run_costs-")]
    assert len(set(costs)) == 1
    assert len(costs) <= 8
    assert len(names) - len(costs) <= (0 if AIRFLOW_VERSION >= (3, 3) else 2)
