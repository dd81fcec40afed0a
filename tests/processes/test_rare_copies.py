"""What rarely happens to a copy: frozen workers, lost answers, rejected tokens, silence, and look-alikes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from shutil import copy as copy_file
from shutil import copytree, ignore_patterns

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.state.copies import COPY_OF, CopyMark
from tests.copy_tools import add_marked_copy, foreign_spaces
from tests.processes.airflow_processes import ON_AIRFLOW_3
from tests.processes.copied import DAGS, CopiedAirflow
from tests.processes.gate import Gate
from tests.processes.leased import SPEED

pytestmark = [*ON_AIRFLOW_3, pytest.mark.thorough]

RARE_DAGS = Path(__file__).with_name("rare_copy_dags")
ENVIRONMENT = {
    "AIRFLOW__CORE__PARALLELISM": "12",
    # A task hears of a refusal by Airflow's API after seconds instead of minutes.
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "2",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "1",
}


class GatedAirflow(CopiedAirflow):
    """An Airflow whose tasks reach its own API through a gate.

    :ivar api_gate: that gate.
    """

    def __init__(self, home: Path, hub: HubEmulator, gate: Gate) -> None:
        dags = Path(copytree(RARE_DAGS, home / "dags", ignore=ignore_patterns("__pycache__")))
        copy_file(DAGS / "copied_work.py", dags)
        super().__init__(home, hub, gate, dags=dags, environment=ENVIRONMENT)
        self.api_gate = Gate(self.api)
        self.environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] = f"{self.api_gate.url}/execution/"

    def mark_of(self, dag_id: str) -> CopyMark:
        """The mark of the one copy of a DAG."""
        (copy_id,) = self.copies(dag_id)
        with HubClient(self.hub.token, self.hub.url) as client:
            variables = client.send(calls.get_variables(copy_id))
        mark = CopyMark.from_variables(copy_id, variables)
        assert mark is not None
        return mark

    def until_expired(self, dag_id: str) -> None:
        """Wait until the mark of the copy of a DAG has expired."""
        expires_at = self.mark_of(dag_id).until
        self.until(lambda: datetime.now(timezone.utc) > expires_at, 240)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedAirflow]:
    """An Airflow in which the runs that take minutes have begun, and work."""
    with HubEmulator(speed=SPEED) as hub, Gate(hub.url) as gate:
        airflow = GatedAirflow(tmp_path_factory.mktemp("rare_copies"), hub, gate)
        with airflow.api_gate:
            try:
                airflow.start()
                first_dag_ids = ("too_much", "file_removed", "airflow_silent")
                for dag_id in first_dag_ids:
                    airflow.copy(dag_id)
                for dag_id in first_dag_ids:
                    airflow.working(dag_id)
                yield airflow
            finally:
                airflow.stop()


def test_the_copy_of_a_creation_that_is_cleared_alone_is_deleted(airflow: GatedAirflow) -> None:
    """Airflow clears the teardown of a setup with it."""
    dag_id = "create_cleared"
    airflow.tell_work(dag_id, "end")
    airflow.copy(dag_id)
    airflow.ends(dag_id, "success")
    clear = {"dry_run": False, "dag_run_id": "run", "task_ids": ["gpu.create"], "only_failed": False}
    airflow.call("POST", f"{dag_id}/clearTaskInstances", clear)
    airflow.until(lambda: airflow.count_copies(dag_id) == 2, 300)
    airflow.ends(dag_id, "success")


def test_a_failed_creation_that_is_cleared_without_the_deletion_makes_no_copy(airflow: GatedAirflow) -> None:
    dag_id = "only_failed_cleared"
    airflow.hub.faults.add(kind="status", status=400, method="POST", path="/duplicate$", times=1)
    airflow.copy(dag_id)
    airflow.ends(dag_id, "failed")
    assert airflow.task_state(dag_id, "delete") == "success"
    clear = {"dry_run": False, "dag_run_id": "run", "task_ids": ["gpu.create"], "only_failed": True}
    airflow.call("POST", f"{dag_id}/clearTaskInstances", clear)
    airflow.ends(dag_id, "failed")
    problem = "task 'gpu.delete' has already ended, so that no task would delete"
    assert problem in airflow.log_of(dag_id, "run_id=run/task_id=gpu.create")
    assert airflow.count_copies(dag_id) == 0


@pytest.mark.parametrize("lost_message", ["answer", "request"])
def test_one_copy_is_made_and_deleted_when_the_answer_or_the_request_is_lost(
    airflow: GatedAirflow, lost_message: str
) -> None:
    dag_id = f"{lost_message}_lost"
    fault = airflow.hub.faults.add(
        kind="reset", method="POST", path="/duplicate$", times=1, after=lost_message == "answer"
    )
    airflow.copy(dag_id)
    airflow.working(dag_id)
    airflow.tell_work(dag_id, "end")
    airflow.ends(dag_id, "success")
    struck = [each for each in airflow.hub.requests if each.fault == fault.kind]
    assert [each.path for each in struck[-1:]] == ["/api/spaces/acme/whisper/duplicate"]
    beginning = f"acme/{lost_message}-lost-copy-"
    requested = [
        each.json["repository"]
        for each in airflow.hub.requests
        if each.path.endswith("/duplicate") and each.json["repository"].startswith(beginning)
    ]
    assert len(requested) == (1 if lost_message == "answer" else 2)
    assert len(set(requested)) == 1


def test_a_creation_that_thaws_after_its_run_has_ended_deletes_the_copy_of_its_late_request(
    airflow: GatedAirflow,
) -> None:
    dag_id = "create_thaws"
    held_request = airflow.gate.hold("POST", "/duplicate$")
    airflow.copy(dag_id)
    task = airflow.process_of(dag_id, "create", held_request)
    worker = task.parent()
    assert worker is not None
    worker.suspend()
    task.suspend()
    airflow.call("PATCH", f"{dag_id}/dagRuns/run", {"state": "failed"})
    airflow.until(lambda: airflow.task_state(dag_id, "delete") == "success", 300)
    airflow.until(lambda: airflow.has_ended(dag_id), 300)
    held_request.release()
    assert len(airflow.copies(dag_id)) == 1, "the late request has made a copy"
    worker.resume()
    task.resume()
    airflow.until(lambda: airflow.is_deleted(dag_id), 120)
    assert "task 'gpu.delete' has already ended" in airflow.log_of(dag_id, "run_id=run/task_id=gpu.create")


def test_the_copy_is_deleted_and_the_run_fails_when_the_copy_has_cost_too_much(airflow: GatedAirflow) -> None:
    dag_id = "too_much"
    airflow.until(lambda: airflow.task_state(dag_id, "limit") in ("deferred", "failed"), 300)
    airflow.until(lambda: airflow.task_state(dag_id, "limit") == "failed", 300)
    assert airflow.is_deleted(dag_id)
    assert airflow.task_state(dag_id, "batch") == "running", "Airflow does not let a task end another one"
    airflow.tell_work(dag_id, "end")
    airflow.ends(dag_id, "failed")
    assert airflow.task_state(dag_id, "delete") == "success"
    assert airflow.task_state(dag_id, "outcome") == "upstream_failed"
    log = airflow.log_of(dag_id, "run_id=run/task_id=gpu.limit")
    assert "which reaches max_run_cost=0.008. The copy is deleted" in log
    assert "so far, of max_run_cost=0.008" in log, "the watch began below the limit"


def test_the_watch_of_the_cost_ends_with_a_run_that_costs_less(airflow: GatedAirflow) -> None:
    airflow.copy("enough")
    airflow.working("enough")
    airflow.until(lambda: airflow.task_state("enough", "limit") == "deferred", 300)
    airflow.tell_work("enough", "end")
    airflow.ends("enough", "success")
    assert airflow.task_state("enough", "limit") == "success"


def reject_token(airflow: GatedAirflow, times: int | None) -> None:
    """Let the Hub reject the token of every deletion, or of some."""
    # The deletion that ends a run which has cost too much must not be rejected.
    airflow.until(lambda: airflow.task_state("too_much", "limit") == "failed", 300)
    airflow.hub.faults.add(kind="status", status=401, method="DELETE", path="/repos/delete", times=times)


def test_the_next_try_deletes_the_copy_when_the_hub_rejects_the_token_once(airflow: GatedAirflow) -> None:
    dag_id = "token_rejected_once"
    airflow.copy(dag_id)
    airflow.working(dag_id)
    reject_token(airflow, times=1)
    airflow.tell_work(dag_id, "end")
    airflow.ends(dag_id, "success")
    tries = f"SELECT try_number FROM task_instance WHERE dag_id = '{dag_id}' AND task_id = 'gpu.delete'"
    assert airflow.query(tries) == [(2,)]


def test_the_copy_is_paused_and_the_run_fails_when_the_hub_rejects_the_token_on_all_tries(
    airflow: GatedAirflow,
) -> None:
    dag_id = "token_rejected"
    airflow.copy(dag_id)
    airflow.working(dag_id)
    reject_token(airflow, times=None)
    try:
        airflow.tell_work(dag_id, "end")
        airflow.until(lambda: airflow.has_ended(dag_id), 300)
    finally:
        airflow.hub.faults.clear()
    (copy_id,) = airflow.copies(dag_id)
    assert airflow.run_state(dag_id) == "failed"
    assert airflow.hub.space(copy_id).stage == "PAUSED"
    assert not airflow.hub.bill(copy_id).running


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        (r"/execution/dag-runs/airflow_silent/", 404, "Airflow does not say whether task gpu.reserve"),
        (r"/execution/task-instances/states", 503, "Airflow does not say whether task gpu.reserve"),
        (r"/execution/variables/hf_spaces_lease_", 503, "Airflow does not say which run uses it"),
        (r"/execution/variables/hf_spaces_lease_", 404, "Airflow does not say which run uses it"),
    ],
)
def test_the_sweeper_leaves_a_copy_alone_when_airflow_does_not_say_whether_its_run_is_over(
    airflow: GatedAirflow, path: str, status: int, reason: str
) -> None:
    dag_id = "airflow_silent"
    airflow.until_expired(dag_id)
    with airflow.api_gate.refusing("GET", path, status):
        entry = airflow.sweep(run_id=f"silence_{status}_{path.split('/')[2]}")[dag_id]
    assert entry["outcome"] == "left alone"
    assert entry["reason"].startswith(reason)
    assert len(airflow.copies(dag_id)) == 1


def test_the_sweeper_deletes_the_copy_of_a_removed_file_when_its_mark_has_expired_and_no_task_works(
    airflow: GatedAirflow,
) -> None:
    dag_id = "file_removed"
    (Path(airflow.environment["AIRFLOW__CORE__DAGS_FOLDER"]) / "removed.py").unlink()
    airflow.until(lambda: airflow.query(f"SELECT is_stale FROM dag WHERE dag_id = '{dag_id}'")[0][0], 240)
    airflow.until_expired(dag_id)
    entry = airflow.sweep(run_id="file_removed_at_work")[dag_id]
    assert entry["outcome"] == "left alone"
    assert entry["reason"] == f"used by task gpu.reserve of run run of DAG {dag_id}"
    airflow.tell_work(dag_id, "end")
    airflow.until(lambda: airflow.task_state(dag_id, "batch") == "success", 240)
    entry = airflow.sweep(run_id="file_removed")[dag_id]
    assert (entry["outcome"], entry["error"]) == ("deleted", None), entry["reason"]
    assert airflow.is_deleted(dag_id)
    assert airflow.run_state(dag_id) == "running", "Airflow neither continues nor ends the run"


def test_the_sweeper_deletes_the_copy_of_another_airflow_only_when_its_mark_has_expired(
    airflow: GatedAirflow,
) -> None:
    valid_mark, expired_mark = (
        add_marked_copy(airflow.hub, hours_left=1),
        add_marked_copy(airflow.hub, hours_left=-1),
    )
    airflow.sweep(run_id="other_airflow")
    assert airflow.hub.has_space(valid_mark.copy_id)
    assert not airflow.hub.has_space(expired_mark.copy_id)
    assert not airflow.hub.bill(expired_mark.copy_id).running


@pytest.mark.parametrize("change", ["renamed", "published"])
def test_nothing_deletes_a_copy_that_somebody_keeps(airflow: GatedAirflow, change: str) -> None:
    dag_id = f"copy_{change}"
    airflow.copy(dag_id)
    airflow.working(dag_id)
    (copy_id,) = airflow.copies(dag_id)
    kept_id = copy_id if change == "published" else "acme/kept"
    with HubClient(airflow.hub.token, airflow.hub.url) as client:
        if change == "published":
            client.send(calls.set_visibility(copy_id, "public"))
        else:
            client.send(calls.move_space(copy_id, kept_id))
    airflow.tell_work(dag_id, "end")
    airflow.until(lambda: airflow.has_ended(dag_id), 300)
    assert airflow.run_state(dag_id) == "failed"
    problem = "it is not private any more" if change == "published" else f"was renamed to {kept_id}"
    assert problem in airflow.log_of(dag_id, "run_id=run/task_id=gpu.delete")
    airflow.sweep(run_id=f"after_{change}")
    assert airflow.hub.has_space(kept_id)


def test_the_sweeper_deletes_no_space_that_only_looks_like_a_copy(airflow: GatedAirflow) -> None:
    alike = foreign_spaces(airflow.hub, random.Random(16))
    mark = add_marked_copy(airflow.hub, hours_left=-1)
    by_hand = "acme/by-hand-copy-0123456789ab"
    with HubClient(airflow.hub.token, airflow.hub.url) as client:
        client.send(calls.duplicate(mark.copy_id, by_hand))
    assert COPY_OF in airflow.hub.space(by_hand).variables
    airflow.sweep(run_id="look_alikes")
    assert not airflow.hub.has_space(mark.copy_id)
    assert [each for each in (*alike, by_hand) if not airflow.hub.has_space(each)] == []
