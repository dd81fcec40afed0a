"""Many runs that want one Space, and one run that wants many, on real processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.airflow_processes import ON_AIRFLOW_3
from tests.processes.leased import LeasedAirflow, leased_airflow

pytestmark = [*ON_AIRFLOW_3, pytest.mark.thorough]

DAG_IDS = [f"crowd_{number}" for number in range(4)]
RUN_IDS = [f"run_{number}" for number in range(5)]
CROWD_SECONDS = 600


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeasedAirflow]:
    dags = Path(__file__).with_name("crowd_dags")
    with leased_airflow(tmp_path_factory.mktemp("crowd"), dags=dags) as airflow:
        yield airflow


def run_states(airflow: LeasedAirflow) -> Counter[str]:
    rows = airflow.query("SELECT state FROM dag_run WHERE dag_id LIKE 'crowd_%'")
    return Counter(str(row[0]) for row in rows)


def count_ended_runs(airflow: LeasedAirflow) -> int:
    return run_states(airflow)["success"] + run_states(airflow)["failed"]


def is_billed(airflow: LeasedAirflow, prefix: str) -> bool:
    """Returns True if a meter runs for a Space whose id begins like this."""
    items = airflow.hub.bill().items
    return any(item.stopped is None for item in items if item.repo_id.startswith(prefix))


def test_each_of_twenty_runs_has_the_space_to_itself_and_none_fails_although_answers_are_late_or_lost(
    airflow: LeasedAirflow,
) -> None:
    hub = airflow.hub
    hub.add_space("acme/crowded")
    # The faults do not affect the requests with which the work leaves lines in the log.
    affected_paths = "^(?!/api/whoami-v2)"
    hub.faults.add(kind="reset", share=0.05, after=True, path=affected_paths)
    hub.faults.add(kind="delay", share=0.05, seconds=3, path=affected_paths)
    for run_id in RUN_IDS:
        for dag_id in DAG_IDS:
            airflow.call("POST", f"{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": None})
    run_count = len(DAG_IDS) * len(RUN_IDS)
    airflow.until(
        lambda: sum(run_states(airflow)[each] for each in ("success", "failed")) == run_count, CROWD_SECONDS
    )
    requests = list(hub.requests)
    hub.faults.clear()

    assert run_states(airflow) == {"success": run_count}
    at_work: str | None = None
    workers: list[str] = []
    for request in requests:
        if request.path == "/api/whoami-v2" and "moment" in request.params:
            run = request.params["run"][0]
            if request.params["moment"] == ["begins"]:
                assert at_work is None, f"{run} begins to work while {at_work} works"
                at_work = run
            else:
                assert at_work == run
                workers.append(run)
                at_work = None
        elif request.method == "POST" and request.path.endswith("/hardware") and request.took_effect:
            assert at_work is None, f"{request.json} is requested while {at_work} works"
    assert sorted(workers) == sorted(f"{dag_id}.{run_id}" for dag_id in DAG_IDS for run_id in RUN_IDS)
    assert hub.space("acme/crowded").requested_hardware == "cpu-basic"
    airflow.until(lambda: not is_billed(airflow, "acme/crowded"), 120)
    faults = Counter(request.fault for request in requests)
    commits = sum("/commit/" in request.path for request in requests)
    print(f"\n{run_count} runs, {len(requests)} requests, {commits} commits, faults: {dict(faults)}")


def test_a_group_mapped_over_thirty_spaces_leaves_no_bill_when_one_is_deleted_paused_or_without_capacity(
    airflow: LeasedAirflow,
) -> None:
    hub, dag_id = airflow.hub, "many_spaces"
    healthy = [f"acme/many-{number:02}" for number in range(27)]
    for repo_id in (*healthy, "acme/many-deleted"):
        hub.add_space(repo_id)
    paused_space = hub.add_space("acme/many-paused", stage="PAUSED")
    full = hub.add_space("acme/many-full")
    full.no_capacity("t4-small")
    airflow.call("POST", f"{dag_id}/dagRuns", {"dag_run_id": "run", "logical_date": None})
    airflow.until(lambda: airflow.has_ended(dag_id), CROWD_SECONDS)

    assert airflow.run_state(dag_id) == "failed"
    states = Counter(airflow.state_of(dag_id, "each.gpu.use", map_index=index) for index in range(30))
    assert states == {"success": 29, "upstream_failed": 1}
    # The meter runs until the Hub has stopped the GPU of the last Space.
    airflow.until(lambda: not is_billed(airflow, "acme/many-"), 120)
    billed_ids = {item.repo_id for item in hub.bill().items if item.hardware == "t4-small"}
    assert billed_ids >= {*healthy, "acme/many-deleted", "acme/many-paused"}
    assert not hub.has_space("acme/many-deleted")
    for repo_id in (*healthy, full.repo_id, paused_space.repo_id):
        assert hub.space(repo_id).requested_hardware == "cpu-basic"
        assert airflow.holders(repo_id.removeprefix("acme/")) == []
    assert paused_space.stage == "PAUSED"
