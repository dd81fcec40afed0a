"""Shared fixtures, and a new folder with Airflow's home and database for each run of the tests."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator import HubEmulator
    from tests.lease_tools import AirflowWithoutServer

ROOT = Path(__file__).resolve().parent.parent
(ROOT / ".airflow").mkdir(exist_ok=True)
HOME = Path(tempfile.mkdtemp(prefix="tests-", dir=ROOT / ".airflow"))

# Airflow runs DAGs only from its DAGs folder, so the examples and the DAGs of the tests go into one folder.
DAGS = HOME / "dags"
shutil.copytree(ROOT / "example_dags", DAGS)
shutil.copytree(ROOT / "tests" / "airflow" / "dags", DAGS, dirs_exist_ok=True)

# On SQLite, Airflow 2.11 supports only this executor, which Airflow 3 no longer has.
if version("apache-airflow").startswith("2."):
    os.environ["AIRFLOW__CORE__EXECUTOR"] = "SequentialExecutor"

# Airflow reads these settings when it is imported, so they are set before any fixture runs.
os.environ.update(
    {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "HF_HOME": str(HOME / "huggingface"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
)
for _name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_") or name == "HF_TOKEN"]:
    del os.environ[_name]


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _fresh_rate_budgets() -> Iterator[None]:
    """Each test starts without the quotas that the Hub of an earlier test reported."""
    from airflow_provider_hfspaces.hub.http.quota import RateBudget

    RateBudget.forget_all()
    yield
    RateBudget.forget_all()


@pytest.fixture(autouse=True)
def _no_variables() -> None:
    """Each test starts without the Variables, such as records of costs, that earlier tests left behind."""
    path = HOME / "airflow.db"
    if path.exists():
        with closing(sqlite3.connect(path, timeout=30)) as database, database:
            has_table = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'variable'").fetchone()
            # Only to read is much faster.
            if has_table and database.execute("SELECT 1 FROM variable LIMIT 1").fetchone():
                database.execute("DELETE FROM variable")


@pytest.fixture(autouse=True)
def _no_handlers_for_closed_streams() -> Iterator[None]:
    """Each test ends without the handler that Airflow 2.11's ``dag.test()`` adds for standard output.

    The handler keeps the output of that test. In later tests it would print, in place of each message, a
    traceback with the source of the test, and with the secrets in there.
    """
    yield
    logger = logging.getLogger("airflow.task")
    for handler in [each for each in logger.handlers if type(each) is logging.StreamHandler]:
        logger.removeHandler(handler)


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """A migrated database."""
    from airflow.utils.db import initdb
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "connect")
    def save_without_waiting_for_the_disk(connection: Any, record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    initdb()
    if not version("apache-airflow").startswith("2."):
        # Airflow 3.0 to 3.2 build their API anew for each task of dag.test(); 3.3 keeps it.
        from airflow.sdk.execution_time import supervisor

        keep = lru_cache(maxsize=1)
        supervisor.in_process_api_server = keep(supervisor.in_process_api_server)


@pytest.fixture
def hub_time() -> dict[str, Any]:
    """How the emulated time moves: only with requests, so that the speed of the machine does not matter."""
    return {"speed": 0, "seconds_per_request": 20}


@pytest.fixture
def hub(hub_time: dict[str, Any]) -> Iterator[HubEmulator]:
    """An emulated Hub, which the default connection points to."""
    from airflow_provider_hfspaces.emulator import HubEmulator
    from tests.airflow_tools import connection

    with HubEmulator(**hub_time) as hub:
        os.environ["AIRFLOW_CONN_HF_SPACES_DEFAULT"] = connection(hub)
        yield hub
    del os.environ["AIRFLOW_CONN_HF_SPACES_DEFAULT"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[HubEmulator]:
    """An emulator whose time moves only when a test moves it."""
    from airflow_provider_hfspaces.emulator import HubEmulator

    with HubEmulator(speed=0) as hub:
        yield hub


@pytest.fixture
def still_hub(emulator: HubEmulator, monkeypatch: pytest.MonkeyPatch) -> HubEmulator:
    """The emulator of the module, reset for each test: starting one takes longer than a test."""
    from tests.airflow_tools import connection

    emulator.reset()
    monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(emulator))
    return emulator


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> AirflowWithoutServer:
    """Airflow's Variables, runs and DAGs without its server."""
    from tests.lease_tools import AirflowWithoutServer

    return AirflowWithoutServer(monkeypatch)


class TaskLog:
    """Everything that was logged, in whichever way this version of Airflow logs."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
        self._caplog, self._capsys = caplog, capsys
        self._output = ""
        caplog.set_level("INFO")

    @property
    def text(self) -> str:
        out, err = self._capsys.readouterr()
        self._output += out + err
        return self._output + self._caplog.text


@pytest.fixture
def task_log(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> TaskLog:
    """What tasks logged during the test."""
    return TaskLog(caplog, capsys)


@pytest.fixture
def sent_metrics(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, str]]:
    """The metrics of what runs cost that were sent during the test: the name, the value and the hardware."""
    sent: list[tuple[str, float, str]] = []

    class Stats:
        def __getattr__(self, kind: str) -> Any:
            def send(name: str, value: Any, tags: dict[str, str]) -> None:
                if "hardware" in tags:
                    sent.append((name, value, tags["hardware"]))

            return send

    monkeypatch.setattr("airflow_provider_hfspaces.compat.metrics.airflow_stats", Stats)
    return sent
