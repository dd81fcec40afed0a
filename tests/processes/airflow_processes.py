"""A whole Airflow of real processes in its own folder, each of which can be stopped or killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import connection

__all__ = ["AIRFLOW_3", "ON_AIRFLOW_3", "AirflowProcesses"]

AIRFLOW_3 = not version("apache-airflow").startswith("2.")

ON_AIRFLOW_3 = [
    pytest.mark.processes,
    pytest.mark.skipif(not AIRFLOW_3, reason="the API that these tests use needs Airflow 3"),
]
"""Marks of tests that do with Airflow's API what a user does in the UI."""
DAGS = Path(__file__).with_name("dags")


class AirflowProcesses:
    """Scheduler, DAG processor, triggerers and API server of one Airflow.

    By default on SQLite, with the executor that Airflow supports on SQLite.

    :param home: an empty folder.
    :param dags: the DAGs folder.
    :param environment: additional environment variables, which override the defaults.
    """

    def __init__(
        self,
        home: Path,
        hub: HubEmulator,
        *,
        dags: Path = DAGS,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        api = f"http://127.0.0.1:{self.port}"
        self.api = api
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            # Airflow 2.11 starts tasks with the command ``airflow``, which must be in the PATH.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor" if AIRFLOW_3 else "SequentialExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api}/execution/",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": api,
            "AIRFLOW__API_AUTH__JWT_SECRET": "signs the tokens of these tests, which last an hour at most",
            # Many tasks write at the same time: wait for the lock longer than SQLite's five seconds.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
            "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
            # With an extra, like connections from Airflow's form.
            "AIRFLOW_CONN_HF_SPACES_DEFAULT": connection(hub, timeout=30),
            **(environment or {}),
        }

    @property
    def database(self) -> str:
        """The address of the database, for SQLAlchemy."""
        return self.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]

    def start(self, *more: str) -> None:
        """Create the database and start all processes; returns when the DAGs can run."""
        self.airflow("db", "migrate")
        self.prepare()
        if AIRFLOW_3:
            self.spawn("api-server", "api-server", "--port", str(self.port))
            self.spawn("dag-processor", "dag-processor")
        self.spawn("scheduler", "scheduler")
        self.spawn("triggerer", "triggerer")
        for name in more:
            self.spawn(name, "triggerer")
        self.until(self.has_dags, 240)
        if AIRFLOW_3:
            self.until(self.answers, 120)

    def prepare(self) -> None:
        """A hook for subclasses, called when the database exists and no process runs yet."""

    def has_dags(self) -> bool:
        """Returns True if all DAGs can run."""
        active_dag_ids = {row[0] for row in self.query("SELECT dag_id FROM dag WHERE NOT is_paused")}
        return active_dag_ids >= {
            "waiting",
            "logging",
            "killed",
            *(("on_error", "on_other_error") if AIRFLOW_3 else ()),
        }

    def spawn(self, name: str, *command: str, environment: Mapping[str, str] | None = None) -> None:
        """Start a process and remember it by name.

        :param environment: environment variables for this process only.
        """
        with (self.home / f"{name}.out").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "airflow", *command],
                env={**self.environment, **(environment or {})},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End a process and its children, and wait until they are gone."""
        process = self.processes.pop(name)
        if how == signal.SIGKILL:
            kill_tree(process.pid)
        else:
            process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            process.wait(10)

    def stop(self) -> None:
        """Kill all processes."""
        for process in self.processes.values():
            kill_tree(process.pid)
        for process in self.processes.values():
            process.wait(10)
        self.processes.clear()

    def holder_of(self, dag_id: str, task_id: str) -> str:
        """The name of the process that runs a task, as itself or as a descendant."""
        where = f"dag_id = '{dag_id}' AND task_id = '{task_id}' AND state = 'running'"

        def pid() -> int | None:
            rows = self.query(f"SELECT pid FROM task_instance WHERE {where}")
            return rows[0][0] if rows else None

        self.until(pid, 240)
        first_pid = pid()
        for name, process in self.processes.items():
            with suppress(psutil.NoSuchProcess):
                if first_pid in {child.pid for child in psutil.Process(process.pid).children(recursive=True)}:
                    return name
        raise AssertionError(f"no process of this Airflow runs {dag_id}.{task_id}, whose pid is {first_pid}")

    def airflow(self, *arguments: str) -> str:
        """Run a command of Airflow and return its output."""
        result = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def run(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str = "run") -> None:
        """Start a DAG run."""
        options = ("--conf", json.dumps(conf)) if conf else ()
        self.airflow("dags", "trigger", "--run-id", run_id, *options, dag_id)

    def query(self, statement: str) -> list[Any]:
        """Query the database; returns one empty row while SQLite is busy."""
        if self.database.startswith("postgresql"):
            import psycopg2

            address = self.database.replace("postgresql+psycopg2", "postgresql")
            with closing(psycopg2.connect(address)) as database, database.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())
        try:
            with sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True, timeout=5) as database:
                return database.execute(statement).fetchall()
        except sqlite3.OperationalError:
            return [(None, None)]

    def states(self, dag_id: str) -> Counter[str]:
        """The number of task instances in each state."""
        rows = self.query(f"SELECT state FROM task_instance WHERE dag_id = '{dag_id}' AND map_index != -2")
        return Counter(str(row[0]) for row in rows)

    def mark(self, dag_id: str, task_id: str, state: str) -> None:
        """Set the state of a task, as a user does in the UI (Airflow 3)."""
        token = requests.get(f"{self.api}/auth/token", timeout=120).json()["access_token"]
        answer = requests.patch(
            f"{self.api}/api/v2/dags/{dag_id}/dagRuns/run/taskInstances/{task_id}",
            json={"new_state": state},
            headers={"Authorization": f"Bearer {token}"},
            timeout=120,
        )
        assert answer.status_code == 200, answer.text

    def log_of(self, dag_id: str, task: str = "") -> str:
        """The logs of all tasks of a DAG and of their triggers.

        :param task: the folder of one task instance below the folder of the DAG, to read only its log.
        """
        folder = self.home / "logs" / f"dag_id={dag_id}" / task
        return "\n".join(path.read_text(errors="replace") for path in sorted(folder.rglob("*.log*")))

    def until(self, condition: Callable[[], Any], seconds: float) -> None:
        """Wait until a condition is true; fail if a process has ended or the time is up."""
        end = time.monotonic() + seconds
        while not condition():
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} ended: {self.tail(name)}"
            assert time.monotonic() < end, "\n".join(self.tail(name) for name in self.processes)
            time.sleep(0.5)

    def tail(self, name: str) -> str:
        """The end of the output of a process."""
        return f"--- {name}\n" + (self.home / f"{name}.out").read_text(errors="replace")[-3000:]

    def answers(self) -> bool:
        """Returns True if the API server responds."""
        try:
            return requests.get(f"{self.api}/api/v2/monitor/health", timeout=5).ok
        except requests.RequestException:
            return False


def kill_tree(pid: int) -> None:
    """Kill a process and all its descendants with SIGKILL, as if their host died."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def free_port() -> int:
    """A free port of this host."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
