"""An Airflow of real processes whose DAGs lease Spaces, with the actions that tests need."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import requests

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.hub.lease.actions import SpaceLease, Taken
from airflow_provider_hfspaces.hub.lease.record import Standing
from airflow_provider_hfspaces.hub.lease.store import LeaseStore
from tests.airflow_tools import connection
from tests.processes.airflow_processes import AirflowProcesses

DAGS = Path(__file__).with_name("lease_dags")
SPEED = 60.0
"""Emulated seconds in each real second: an emulated minute takes one second."""


OFF_THE_GPU = "the Space is off the GPU"
"""What most measurements wait for."""

NEXT_RUN_WORKS = "the next run works on the GPU"

_LIST_DAGS = """
import json, sys
from importlib import import_module
from importlib.metadata import version

sys.path.insert(0, sys.argv[1])
is_new = tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 2)
module = import_module("airflow.dag_processing.dagbag" if is_new else "airflow.models.dagbag")
bag = module.DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
print(json.dumps(sorted(bag.dags)))
"""


class LeasedAirflow(AirflowProcesses):
    """An Airflow of real processes with one Space for each DAG.

    :param dag_ids: the ids of the DAGs; by default, those that Airflow finds in the folder.
    """

    def __init__(
        self,
        home: Path,
        hub: HubEmulator,
        *,
        dags: Path = DAGS,
        dag_ids: Collection[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.hub = hub
        self.signals = home / "signals"
        self.signals.mkdir()
        super().__init__(
            home,
            hub,
            dags=dags,
            environment={
                "LEASE_SIGNALS": str(self.signals),
                "AIRFLOW_CONN_HF_SPACES_DEFAULT": connection(hub),
                "AIRFLOW__CORE__PARALLELISM": "6",
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
                "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
                "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
                "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
                **(environment or {}),
            },
        )
        self._token = ""
        self.dag_ids = set(self.dags_in_folder() if dag_ids is None else dag_ids)

    def dags_in_folder(self) -> list[str]:
        """The ids of the DAGs that Airflow finds in the folder."""
        result = subprocess.run(
            [sys.executable, "-c", _LIST_DAGS, self.environment["AIRFLOW__CORE__DAGS_FOLDER"]],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stderr
        return list(json.loads(result.stdout.splitlines()[-1]))

    def has_dags(self) -> bool:
        active_dag_ids = {row[0] for row in self.query("SELECT dag_id FROM dag WHERE NOT is_paused")}
        return active_dag_ids == self.dag_ids

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        expected: int = 200,
        *,
        collection: str = "dags/",
    ) -> None:
        """Send a request to the API server, as the UI does.

        :param collection: the beginning of the path.
        """
        answer = requests.request(
            method,
            f"{self.api}/api/v2/{collection}{path}",
            json=body,
            headers=self._credentials(),
            timeout=120,
        )
        assert answer.status_code == expected, answer.text

    def get(self, path: str, **params: str) -> Any:
        """Get JSON from the API server, as a page in the UI does."""
        answer = requests.get(f"{self.api}/{path}", params=params, headers=self._credentials(), timeout=120)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _credentials(self) -> dict[str, str]:
        if not self._token:
            answer = requests.get(f"{self.api}/auth/token", timeout=120)
            self._token = answer.json()["access_token"]
        return {"Authorization": f"Bearer {self._token}"}

    def lease(self, dag_id: str, run_id: str = "run") -> None:
        """Start a run, on a new Space unless the Space of the DAG exists."""
        if not self.hub.has_space(f"acme/{dag_id}"):
            self.hub.add_space(f"acme/{dag_id}")
        self.call("POST", f"{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None})

    def working(self, dag_id: str, run_id: str = "run") -> int:
        """Wait until the work has begun on the GPU. Returns the process id of the work."""
        self.until(lambda: self.works(dag_id, run_id), 240)
        assert self.hub.space(f"acme/{dag_id}").hardware == "t4-small"
        signal = self.signals / f"{dag_id}.{run_id}.works"
        pid = int(signal.read_text())
        signal.unlink()
        return pid

    def works(self, dag_id: str, run_id: str = "run") -> bool:
        """Returns True if the work has begun since the last call of :meth:`working`."""
        signal = self.signals / f"{dag_id}.{run_id}.works"
        return signal.exists() and bool(signal.read_text())

    def tell_work(self, dag_id: str, what: str, run_id: str = "run") -> None:
        """Tell the work to ``end`` or to ``fail``."""
        (self.signals / f"{dag_id}.{run_id}.{what}").touch()

    def run_state(self, dag_id: str, run_id: str = "run") -> str:
        """The state of a run."""
        rows = self.query(f"SELECT state FROM dag_run WHERE dag_id = '{dag_id}' AND run_id = '{run_id}'")
        return str(rows[0][0])

    def has_ended(self, dag_id: str, run_id: str = "run") -> bool:
        """Returns True if a run has ended."""
        return self.run_state(dag_id, run_id) in ("success", "failed")

    def task_state(self, dag_id: str, task: str, run_id: str = "run") -> str:
        """The state of a task of the group."""
        rows = self.query(
            f"SELECT state FROM task_instance WHERE dag_id = '{dag_id}' AND run_id = '{run_id}' "
            f"AND task_id = 'gpu.{task}'"
        )
        return str(rows[0][0])

    def state_of(self, dag_id: str, task_id: str, run_id: str = "run", map_index: int = -1) -> str:
        """The state of any task."""
        rows = self.query(
            f"SELECT state FROM task_instance WHERE dag_id = '{dag_id}' AND run_id = '{run_id}' "
            f"AND task_id = '{task_id}' AND map_index = {map_index}"
        )
        return str(rows[0][0]) if rows else "None"

    def is_restored(self, dag_id: str) -> bool:
        """Returns True if the Space is configured for free hardware and nothing is billed."""
        space = self.hub.space(f"acme/{dag_id}")
        return space.requested_hardware == "cpu-basic" and not self.hub.bill(space.repo_id).running

    def moment_of(self, dag_id: str, task: str, column: str, run_id: str) -> datetime:
        """When a task of the group began (``start_date``) or ended (``end_date``), in UTC."""
        ((text,),) = self.query(
            f"SELECT {column} FROM task_instance WHERE dag_id = '{dag_id}' AND run_id = '{run_id}' "
            f"AND task_id = 'gpu.{task}'"
        )
        return datetime.fromisoformat(str(text)).replace(tzinfo=timezone.utc)

    def expires_at(self, dag_id: str) -> datetime:
        """When the present lease of the DAG's Space expires, in UTC."""
        return datetime.fromisoformat(self.holders(dag_id)[-1]["until"])

    def has_expired(self, dag_id: str) -> bool:
        """Returns True if the present lease of the DAG's Space has expired."""
        return self.expires_at(dag_id) < datetime.now(timezone.utc)

    def holders(self, dag_id: str) -> list[dict[str, Any]]:
        """The holders of the lease of the DAG's Space."""
        text = self.hub.files(f"acme/{dag_id}", "airflow-lease")["lease.json"]
        return list(json.loads(text)["holders"])

    def ends(self, dag_id: str, state: str | None, run_id: str = "run") -> None:
        """Wait until the run has ended in this state, its Space is restored and its lease is released."""
        self.until(lambda: self.has_ended(dag_id, run_id), 240)
        self.until(lambda: self.is_restored(dag_id), 180)
        self.until(lambda: not self.holders(dag_id), 120)
        if state is not None:
            assert self.run_state(dag_id, run_id) == state


class OtherAirflow:
    """The holder of a lease that this Airflow does not know, such as another Airflow or a script.

    :param duration: seconds until its lease expires.
    """

    def __init__(self, hub: HubEmulator, repo_id: str, duration: float = 24 * 3600) -> None:
        self._client = HubClient(hub.token, hub.url)
        self._space = hub.space(repo_id)
        self.repo_id = repo_id
        self.lease = SpaceLease(LeaseStore(repo_id), secrets.token_hex(16), duration=duration)

    def takes(self, hardware: str) -> bool:
        """Take the lease if it is free, and request hardware under it. Returns True if it was free."""
        outcome = execute(self.lease.take(lambda holder: Standing.UNKNOWN), self._client.send)
        if not isinstance(outcome, Taken):
            return False
        execute(self.lease.announce(hardware, 360_000), self._client.send)
        self._client.send(calls.request_hardware(self.repo_id, hardware, sleep_time=360_000))
        return True

    def gives_back(self) -> None:
        """Restore the Space and end the lease."""
        self._client.send(calls.request_hardware(self.repo_id, "cpu-basic"))
        execute(self.lease.give_back(), self._client.send)


@dataclass(frozen=True)
class Takeover:
    """How long something took, for the table at the end of the tests.

    :ivar event: what happened at first.
    :ivar until: what ended the measurement.
    """

    event: str
    until: str
    seconds: float


TAKEOVERS: list[Takeover] = []
"""What the tests of this process have measured and the table does not have yet."""


@contextmanager
def measure_takeover(event: str, until: str) -> Iterator[None]:
    """Measure how long a block takes, for the table that is printed at the end of the tests.

    :param event: what has just happened.
    :param until: what the block waits for.
    """
    began = time.monotonic()
    yield
    TAKEOVERS.append(Takeover(event, until, time.monotonic() - began))


@contextmanager
def leased_airflow(home: Path, hub: HubEmulator | None = None, **options: Any) -> Iterator[LeasedAirflow]:
    """Run a Hub and an Airflow.

    :param hub: a Hub that runs already; by default a new one.
    :param options: arguments of :class:`LeasedAirflow`.
    """
    with nullcontext(hub) if hub else HubEmulator(speed=SPEED) as hub:
        airflow = LeasedAirflow(home, hub, **options)
        try:
            airflow.start()
            yield airflow
        finally:
            airflow.stop()
