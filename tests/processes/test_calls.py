"""A triggerer is killed with 200 calls in flight: none is lost in silence, and none is sent twice unasked."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_hfspaces.emulator import DockerApp, GradioApp, HubEmulator, SpaceHandle
from tests.processes.airflow_processes import AirflowProcesses

pytestmark = [pytest.mark.processes, pytest.mark.thorough]

FAIL, AGAIN, JOBS = 150, 40, 10


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 1}


class CallingAirflow(AirflowProcesses):
    """An Airflow of real processes whose DAGs call two apps."""

    def __init__(self, home: Path, hub: HubEmulator) -> None:
        super().__init__(
            home,
            hub,
            dags=Path(__file__).with_name("call_dags"),
            environment={"AIRFLOW__CORE__PARALLELISM": "8"},
        )

    def has_dags(self) -> bool:
        active_dag_ids = {row[0] for row in self.query("SELECT dag_id FROM dag WHERE NOT is_paused")}
        return active_dag_ids >= {"calls_fail", "calls_again", "jobs"}


@pytest.fixture
def airflow(hub: HubEmulator, tmp_path: Path) -> Iterator[CallingAirflow]:
    processes = CallingAirflow(tmp_path, hub)
    try:
        processes.start()
        yield processes
    finally:
        processes.stop()


def count_calls(space: SpaceHandle) -> Counter[str]:
    """How often the app has received each text."""
    return Counter(
        request.json["data"][0] for request in space.app_requests if request.path.endswith("/call/hold")
    )


def test_a_triggerer_that_is_killed_loses_no_call_in_silence(
    hub: HubEmulator, airflow: CallingAirflow
) -> None:
    may_answer = threading.Event()

    async def hold(text: str) -> str:
        while not may_answer.is_set():  # noqa: ASYNC110 - the test runs in another thread
            await asyncio.sleep(0.1)
        return text.upper()

    app = GradioApp(endpoints={"hold": hold}, concurrency=1000)
    caption = hub.add_space("acme/caption", private=True, app=app)
    jobs = hub.add_space("acme/jobs", sdk="docker", private=True, app=DockerApp())
    for dag_id in ("calls_fail", "calls_again", "jobs"):
        airflow.run(dag_id)
    deferred = {"calls_fail": FAIL, "calls_again": AGAIN, "jobs": JOBS}
    for dag_id, count in deferred.items():
        airflow.until(lambda dag_id=dag_id, count=count: airflow.states(dag_id)["deferred"] == count, 900)

    def readers() -> int:
        return sum(request.path.endswith("/queue/data") for request in caption.app_requests)

    airflow.until(lambda: readers() == FAIL + AGAIN, 240)
    assert set(count_calls(caption).values()) == {1}
    assert len(count_calls(caption)) == FAIL + AGAIN

    airflow.end("triggerer", signal.SIGKILL)
    airflow.spawn("second", "triggerer")
    airflow.until(lambda: airflow.states("calls_fail") == {"failed": FAIL}, 900)
    airflow.until(lambda: sum(count_calls(caption).values()) == FAIL + 2 * AGAIN, 900)
    airflow.until(lambda: airflow.states("calls_again")["deferred"] == AGAIN, 900)
    assert {text: count for text, count in count_calls(caption).items() if text.startswith("fail")} == {
        f"fail {number}": 1 for number in range(FAIL)
    }

    may_answer.set()
    hub.advance(110_000)  # the jobs end, and the Spaces do not sleep yet
    airflow.until(lambda: airflow.states("calls_again") == {"success": AGAIN}, 900)
    airflow.until(lambda: airflow.states("jobs") == {"success": JOBS}, 900)
    values = airflow.query("SELECT value FROM xcom WHERE dag_id = 'calls_again' AND key = 'return_value'")
    assert sorted(str(value).strip("'\"b") for (value,) in values) == sorted(
        f"AGAIN {number}" for number in range(AGAIN)
    )
    posts = [request.json["value"] for request in jobs.app_requests if request.method == "POST"]
    assert sorted(posts) == list(range(JOBS))
    log = airflow.log_of("calls_fail")
    assert "lost the call of /hold" in log
    everything = log + airflow.log_of("calls_again") + airflow.log_of("jobs")
    assert hub.token not in everything
    requests = [*caption.app_requests, *jobs.app_requests]
    assert all(hub.token not in str(request.to_dict()) for request in requests)
