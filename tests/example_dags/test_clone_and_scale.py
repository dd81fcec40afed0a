"""A copy is made, configured and scaled, and its secret is shown nowhere."""

from __future__ import annotations

import json
import os
import sqlite3

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run
from tests.conftest import HOME

pytestmark = pytest.mark.usefixtures("airflow_db")

SECRET = "sk-9f8e7d6c5b4a3f2e1d0c"


@pytest.fixture
def openai(monkeypatch: pytest.MonkeyPatch) -> None:
    value = json.dumps({"conn_type": "http", "password": SECRET})
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", value)


def everything_in_the_database() -> str:
    """Returns all rows of Airflow's database, such as XComs, rendered fields and serialized DAGs, as text."""
    with sqlite3.connect(HOME / "airflow.db") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return "\n".join(str(row) for table in tables for row in database.execute(f'SELECT * FROM "{table}"'))


def all_log_files() -> str:
    return "\n".join(path.read_text(errors="replace") for path in HOME.rglob("*.log"))


def test_the_copy_is_configured_and_paused_and_its_secret_is_never_shown(
    hub: HubEmulator, openai: None, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.add_space("acme/whisper")
    states = run(dag_file("clone_and_scale").dag)
    assert set(states.values()) == {"success"}
    copy = hub.space("acme/whisper-customer-a")
    assert copy.private
    assert (copy.stage, copy.requested_hardware, copy.sleep_time) == ("PAUSED", "cpu-upgrade", 1800)
    assert copy.secrets == {"OPENAI_API_KEY": SECRET}
    assert copy.variables == {"CUSTOMER": "customer-a"}

    # At the debug level Airflow 3.0 prints what it is asked to mask.
    lines = "".join(capfd.readouterr()).splitlines()
    output = "\n".join(line for line in lines if "[debug" not in line)
    database_text = everything_in_the_database()
    assert "whisper-customer-a" in database_text
    assert "OPENAI_API_KEY" in database_text
    for place in (output, database_text, all_log_files()):
        assert SECRET not in place
        assert hub.token not in place
    assert os.environ["AIRFLOW_CONN_OPENAI_DEFAULT"]


def test_a_second_run_reuses_the_copy(hub: HubEmulator, openai: None) -> None:
    hub.add_space("acme/whisper")
    dag = dag_file("clone_and_scale").dag
    assert run(dag)["dag"] == "success"
    states = run(dag)
    assert (states["duplicate"], states["dag"]) == ("failed", "failed")
