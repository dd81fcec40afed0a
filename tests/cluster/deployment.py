"""Complete Airflow deployments: with PostgreSQL, Redis and Celery, or on one host with SQLite."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION
from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import connection
from tests.cluster.servers import postgres, redis
from tests.processes.airflow_processes import AIRFLOW_3, AirflowProcesses

__all__ = ["TRIGGERER_QUEUES", "WORKERS", "Deployment", "deployment"]

ROOT = Path(__file__).resolve().parents[2]
DAGS = (ROOT / "example_dags", Path(__file__).with_name("dags"))
EVENTS = ROOT / "tests" / "processes" / "dags" / "on_error.py"

NOWHERE = "127.0.0.1:9/nowhere"
"""A database address that cannot be reached, for workers without access to the database."""

TRIGGERER_QUEUES = AIRFLOW_VERSION >= (3, 2)

WORKERS = ("worker-1", "worker-2")
_TRIGGERERS = ("triggerer", "triggerer-2")


class Deployment(AirflowProcesses):
    """A running Airflow with all its components, each of which can be killed by name.

    :param kind: ``celery`` or ``local``.
    """

    def __init__(self, kind: str, home: Path, hub: HubEmulator, environment: dict[str, str]) -> None:
        self.kind = kind
        dags = home / "dags"
        for folder in DAGS:
            shutil.copytree(folder, dags, dirs_exist_ok=True)
        if kind == "celery":
            shutil.copy(EVENTS, dags)
        for file in dags.glob("*.py"):
            # Examples that write below /opt/airflow write to the folder of this test.
            file.write_text(file.read_text().replace("/opt/airflow", str(home)))
        super().__init__(home, hub, dags=dags, environment={**_PACE, **environment})

    @property
    def crowd(self) -> int:
        """The number of concurrent waits."""
        return int(self.environment["HFSPACES_CROWD"])

    def has_dags(self) -> bool:
        expected = {
            "clone_and_scale",
            "gpu_batch_window",
            "hardware_lease",
            "nightly_pause",
            "morning_restart",
        }
        expected |= {"morning_restart", "connections", "crowd", "everything", "groups", "queued"}
        if self.kind == "celery" and AIRFLOW_3:
            expected |= {"on_error", "on_other_error"}
        return expected <= {row[0] for row in self.query("SELECT dag_id FROM serialized_dag")}

    def start(self, *more: str) -> None:
        self.airflow("db", "migrate")
        if AIRFLOW_3:
            self.spawn_part("api-server")
        elif self.kind == "celery":
            self.spawn_part("webserver")
        self.spawn_part("dag-processor")
        self.spawn_part("scheduler")
        for name in (*_TRIGGERERS, *(WORKERS if self.kind == "celery" else ()), *more):
            self.spawn_part(name)
        self.until(self.has_dags, 180)
        if AIRFLOW_3 or self.kind == "celery":
            self.until(self.answers, 60)
        if self.kind == "celery":
            self.until(lambda: all(b"ready." in self.output_of(name) for name in WORKERS), 120)

    def answers(self) -> bool:
        """Returns True if the API server responds, or the web server of Airflow 2.11."""
        try:
            path = "/api/v2/monitor/health" if AIRFLOW_3 else "/health"
            return requests.get(f"{self.api}{path}", timeout=5).ok
        except requests.RequestException:
            return False

    def spawn_part(self, name: str) -> None:
        """Start or restart a component by its name."""
        command: tuple[str, ...] = (name,)
        environment = {}
        if name == "api-server":
            command = ("api-server", "--port", str(self.port))
        elif name == "webserver":
            command = ("webserver", "--port", str(self.port), "--workers", "1")
        elif name in WORKERS:
            command = ("celery", "worker", "--celery-hostname", name, "--concurrency", "3")
            command = (*command, "--queues", "default,gpu", "--skip-serve-logs")
            if AIRFLOW_3:
                environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"postgresql+psycopg2://a:b@{NOWHERE}"
        elif name in _TRIGGERERS:
            command = ("triggerer", "--skip-serve-logs")
            if self.has_queues:
                command = (*command, "--queues", "default" if name == "triggerer" else "gpu")
        elif name == "scheduler":
            command = ("scheduler", "--skip-serve-logs")
        self.spawn(name, *command, environment=environment)

    @property
    def has_queues(self) -> bool:
        """Returns True if each triggerer serves a queue of its own."""
        return self.environment.get("AIRFLOW__TRIGGERER__QUEUES_ENABLED") == "True"

    def kill_and_restart(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Kill a component and restart it."""
        self.end(name, how)
        self.spawn_part(name)

    def kill_task(self, dag_id: str, task_id: str) -> str:
        """Kill the worker that runs a task and restart it; kill only the process of the task if the scheduler
        itself runs the task. Returns the name of the worker, or ``task``."""
        holder = self.holder_of(dag_id, task_id)
        if holder in WORKERS:
            self.kill_and_restart(holder)
            return holder
        where = f"dag_id = '{dag_id}' AND task_id = '{task_id}'"
        pid = self.query(f"SELECT pid FROM task_instance WHERE {where}")[0][0]
        os.kill(pid, signal.SIGKILL)
        return "task"

    def by_task(self, dag_id: str) -> dict[str, str]:
        """The state of each task of the run ``run`` of a DAG, and the state of the run itself as ``dag``."""
        this_run = f"dag_id = '{dag_id}' AND run_id = 'run'"
        rows = self.query(f"SELECT task_id, map_index, state FROM task_instance WHERE {this_run}")
        states = {
            task_id if index is None or index < 0 else f"{task_id}[{index}]": state
            for task_id, index, state in rows
            if task_id is not None
        }
        run = self.query(f"SELECT state FROM dag_run WHERE {this_run}")
        return {**states, "dag": run[0][0] if run else "none"}

    def wait_for_runs(self, dag_id: str, seconds: float) -> dict[str, str]:
        """Wait until all runs of a DAG have ended, scheduled runs included. Returns :meth:`by_task`."""
        running_runs = (
            f"SELECT count(*) FROM dag_run WHERE dag_id = '{dag_id}' AND state IN ('queued', 'running')"
        )
        self.until(
            lambda: (
                self.by_task(dag_id)["dag"] in ("success", "failed") and self.query(running_runs)[0][0] == 0
            ),
            seconds,
        )
        return self.by_task(dag_id)

    def unpause(self, *dag_ids: str) -> None:
        """Unpause DAGs."""
        for dag_id in dag_ids:
            self.airflow("dags", "unpause", dag_id)

    def warnings(self) -> list[str]:
        """Python's warnings about this package or the DAGs in the output of all components and tasks."""
        places = ("/airflow_provider_hfspaces/", f"{self.home}/dags/")
        paths = [*self.home.glob("*.out"), *(self.home / "logs").rglob("*.log")]
        lines = (line for path in paths for line in path.read_text(errors="replace").splitlines())
        return [line for line in lines if "Warning" in line and any(place in line for place in places)]

    def output_of(self, name: str) -> bytes:
        """The complete output of a component."""
        return (self.home / f"{name}.out").read_bytes()


_PACE = {
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    # Airflow's own defaults are several minutes.
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "180",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "40",
    "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "5",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    # By default, Airflow 2.11 parses DAGs in the scheduler.
    "AIRFLOW__SCHEDULER__STANDALONE_DAG_PROCESSOR": "True",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
}


@contextmanager
def deployment(kind: str, home: Path, hub: HubEmulator) -> Iterator[Deployment]:
    """Start a whole Airflow, and stop it afterwards.

    :param kind: ``celery`` has PostgreSQL, Redis, two Celery workers without access to the database, and two
        triggerers; ``local`` has SQLite with the executor that this Airflow supports on SQLite.
    :param home: an empty folder.
    """
    tokens = {place: hub.add_token(hub.user, name=place) for place in ("environment", "database", "file")}
    file = home / "connections.json"
    file.write_text(json.dumps({"hf_spaces_file": json.loads(connection(hub, tokens["file"]))}))
    environment = {
        "HFSPACES_CROWD": "200" if kind == "celery" or AIRFLOW_3 else "20",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "AIRFLOW_CONN_HF_SPACES_ENVIRONMENT": connection(hub, tokens["environment"]),
        "AIRFLOW_CONN_OPENAI_DEFAULT": json.dumps({"conn_type": "http", "password": "sk-9f8e7d6c5b4a3f2e"}),
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(file)}),
    }
    with ExitStack() as servers:
        if kind == "celery":
            broker = servers.enter_context(redis(home))
            environment |= {
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": servers.enter_context(postgres()),
                "AIRFLOW__CELERY__BROKER_URL": f"{broker}/0",
                "AIRFLOW__CELERY__RESULT_BACKEND": f"{broker}/1",
            }
        elif TRIGGERER_QUEUES:
            environment["AIRFLOW__TRIGGERER__QUEUES_ENABLED"] = "True"
        running = Deployment(kind, home, hub, environment)
        try:
            running.start()
            running.airflow(
                "connections", "add", "hf_spaces_database", "--conn-json", connection(hub, tokens["database"])
            )
            yield running
        finally:
            running.stop()
