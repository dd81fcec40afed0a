"""Complete Airflow deployments whose components are killed: every Space and every bill ends as it should."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow.everything import operator_classes
from tests.cluster.deployment import WORKERS, Deployment
from tests.processes.airflow_processes import AIRFLOW_3

pytestmark = pytest.mark.cluster


def restarts(hub: HubEmulator, owner: str) -> Counter[str]:
    """The number of restarts of each Space of an owner."""
    requests = [request for request in hub.requests if request.path.endswith("/restart")]
    return Counter(
        request.path.split("/")[4]
        for request in requests
        if request.took_effect and request.path.startswith(f"/api/spaces/{owner}/")
    )


def test_every_dag_is_parsed_within_airflows_own_time_limit(airflow: Deployment) -> None:
    assert "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT" not in airflow.environment
    assert airflow.query("SELECT filename, stacktrace FROM import_error") == []
    serialized = str(airflow.query("SELECT * FROM serialized_dag WHERE dag_id = 'everything'"))
    # Airflow 2.11 serializes the classes of links, Airflow 3 their names.
    for link in ("Open Space", "Space logs") if AIRFLOW_3 else ("links.SpaceLink", "links.SpaceLogsLink"):
        assert serialized.count(link) == 29
    assert "airflow_provider_hfspaces" in serialized


def test_the_dags_that_run_here_have_every_operator_and_sensor(airflow: Deployment) -> None:
    dags = "'everything', 'groups'"
    serialized = str(airflow.query(f"SELECT data FROM serialized_dag WHERE dag_id IN ({dags})"))
    assert [kind.__name__ for kind in operator_classes() if kind.__name__ not in serialized] == []


def test_every_operator_works_without_access_to_the_database(
    hub: HubEmulator, airflow: Deployment, kind: str
) -> None:
    space = hub.add_space("acme/all")
    airflow.run("everything")
    states = airflow.wait_for_runs("everything", 900)
    assert set(states.values()) == {"success"}, airflow.log_of("everything")
    assert len(states) == 30
    assert (space.stage, space.requested_hardware, space.secrets) == ("PAUSED", "cpu-basic", {})
    assert hub.space("acme/all-copy").private
    assert hub.bill("acme/all").by_hardware().keys() == {"t4-small"}
    assert not hub.bill("acme/all").running
    if kind == "celery" and AIRFLOW_3:
        # Airflow's command tries to record in the database that a worker was started.
        for worker in WORKERS:
            assert b"port 9 failed: Connection refused" in airflow.output_of(worker)
    assert "sk-5f4dcc3b5aa765d6" not in airflow.log_of("everything")
    assert hub.token not in airflow.log_of("everything")
    keys = airflow.query("SELECT key FROM xcom WHERE dag_id = 'everything' AND key LIKE 'hf_space%link'")
    assert Counter(key for (key,) in keys) == {
        "hf_space_link": 29,
        "hf_space_logs_link": 29,
        "hf_space_hardware_link": 1,
    }
    assert airflow.warnings() == []


def test_groups_batches_and_operators_for_fleets_work_without_access_to_the_database(
    hub: HubEmulator, airflow: Deployment
) -> None:
    space = hub.add_space("works/one")
    upgraded_space = hub.add_space("works/upgraded", hardware="cpu-upgrade")
    space.no_capacity("l4x1")
    airflow.run("groups")
    states = airflow.wait_for_runs("groups", 900)
    assert set(states.values()) == {"success"}, airflow.log_of("groups")

    flavors = {moment.hardware for moment in space.history}
    assert "t4-small" in flavors
    assert "l4x1" not in flavors
    assert space.requested_hardware == "cpu-basic"
    beginning = "works/one-batch"
    copies = [item for item in hub.bill().items if item.repo_id.startswith(beginning)]
    assert copies
    assert all(item.stopped is not None for item in copies)
    assert [each for each in hub.world.spaces if each.startswith(beginning)] == []
    for folder in ("leased", "copied"):
        assert len((airflow.home / folder / "results.jsonl").read_text().splitlines()) == 2
    for task in ("lease.restore", "copy.delete"):
        assert "min of t4-small, about $" in airflow.log_of("groups", f"run_id=run/task_id={task}")
    assert upgraded_space.sleep_time == 1800
    airflow.until(lambda: (upgraded_space.stage, upgraded_space.hardware) == ("RUNNING", "cpu-upgrade"), 60)
    assert "works/upgraded" in (airflow.home / "works.html").read_text()
    assert hub.token not in airflow.log_of("groups")
    assert airflow.warnings() == []


def test_connections_come_from_the_environment_the_database_and_a_secrets_backend(
    hub: HubEmulator, airflow: Deployment
) -> None:
    places = ("environment", "database", "file")
    for place in places:
        hub.add_space(f"acme/{place}", stage="PAUSED")
    before = len(hub.requests)
    airflow.run("connections")
    states = airflow.wait_for_runs("connections", 300)
    assert set(states.values()) == {"success"}, airflow.log_of("connections")
    for place in places:
        restarts = [request for request in hub.requests[before:] if f"acme/{place}/restart" in request.path]
        assert [request.token_name for request in restarts] == [place]
    token_names = {
        request.token_name for request in hub.requests[before:] if request.path.endswith("/runtime")
    }
    assert token_names >= set(places)


def test_each_wait_runs_in_a_triggerer_of_its_queue(hub: HubEmulator, airflow: Deployment) -> None:
    if not airflow.has_queues:
        pytest.skip("triggerers have queues since Airflow 3.2, and here only in one of the two deployments")
    hub.settings.change({"timings": {"build": 20}})
    for queue in ("default", "gpu"):
        hub.add_space(f"acme/queue-{queue}", stage="PAUSED")
    airflow.run("queued")
    triggerers: dict[str, int] = {}

    def both_wait() -> bool:
        triggerers.update(
            airflow.query("SELECT queue, triggerer_id FROM trigger WHERE triggerer_id IS NOT NULL")
        )
        return {"default", "gpu"} <= triggerers.keys()

    airflow.until(both_wait, 120)
    hub.settings.change({"timings": {"build": 4}})
    assert triggerers["default"] != triggerers["gpu"]
    states = airflow.wait_for_runs("queued", 120)
    assert set(states.values()) == {"success"}, airflow.log_of("queued")


def test_a_dag_starts_when_its_space_fails(hub: HubEmulator, airflow: Deployment, kind: str) -> None:
    if kind != "celery" or not AIRFLOW_3:
        pytest.skip("asset watchers need Airflow 3 and triggerers without queues")
    airflow.until(lambda: any("fragile/runtime" in request.path for request in hub.requests), 120)
    hub.space("acme/fragile").crash("Exit code: 1")
    airflow.until(lambda: airflow.states("on_error") == {"success": 1}, 120)
    assert not airflow.states("on_other_error")


def test_many_waits_and_the_examples_survive_the_death_of_each_component(
    hub: HubEmulator, airflow: Deployment, kind: str
) -> None:
    size = airflow.crowd
    for number in range(size):
        hub.add_space(f"crowd/s{number}", stage="PAUSED", hardware="cpu-upgrade")
    whisper = hub.add_space("acme/whisper")
    diffusion = hub.add_space("acme/diffusion")
    airflow.unpause("gpu_batch_window", "clone_and_scale", "hardware_lease")

    # The builds of the crowd outlast the rest of the test; the Spaces of the examples build in seconds.
    hub.settings.change({"timings": {"build": 100_000}})
    airflow.run("crowd")
    airflow.until(lambda: airflow.states("crowd")["deferred"] > size / 10, 300)
    if kind == "celery":
        airflow.kill_and_restart("worker-1")
    else:
        airflow.kill_and_restart("scheduler")
    airflow.until(lambda: airflow.states("crowd") == {"deferred": size}, 900)
    hub.settings.change({"timings": {"build": 20}})
    assigned_triggers = "SELECT count(*) FROM trigger WHERE triggerer_id IS NOT NULL"
    airflow.until(lambda: (airflow.query(assigned_triggers)[0][0] or 0) >= size, 60)
    assert hub.token not in str(airflow.query("SELECT * FROM trigger"))

    # A worker dies in the middle of an upgrade: only the DAG itself can restore the Space. The answer to its
    # request does not arrive, so that the worker is still there to be killed.
    hub.faults.add(kind="silence", method="POST", path="acme/whisper/hardware", after=True, times=1)
    airflow.run("gpu_batch_window")
    airflow.until(lambda: whisper.requested_hardware == "t4-small", 180)
    airflow.kill_task("gpu_batch_window", "upgrade")
    airflow.kill_and_restart("triggerer")
    airflow.kill_and_restart("scheduler")
    states = airflow.wait_for_runs("gpu_batch_window", 300)
    assert states == {
        "snapshot": "success",
        "items": "success",
        "upgrade": "failed",
        "batch": "upstream_failed",
        "restore": "success",
        "report": "upstream_failed",
        "dag": "failed",
    }
    assert whisper.requested_hardware == "cpu-basic"
    hub.advance(60)
    assert not hub.bill("acme/whisper").running

    hub.settings.change({"timings": {"build": 4}})
    airflow.run("clone_and_scale")
    states = airflow.wait_for_runs("clone_and_scale", 300)
    assert set(states.values()) == {"success"}, airflow.log_of("clone_and_scale")
    assert hub.space("acme/whisper-customer-a").stage == "PAUSED"
    airflow.run("hardware_lease")
    states = airflow.wait_for_runs("hardware_lease", 600)
    assert set(states.values()) == {"success"}, airflow.log_of("hardware_lease")
    for space in (whisper, diffusion):
        assert "t4-small" in {moment.hardware for moment in space.history}
        assert space.requested_hardware == "cpu-basic"
    night = [hub.add_space(f"night/s{number}", hardware="t4-small") for number in range(3)]
    # Unpausing the DAG starts last night's run first, which does nothing if its time has passed.
    airflow.unpause("nightly_pause")
    end_states = {"success", "skipped"}
    airflow.until(lambda: sum(airflow.states("nightly_pause")[state] for state in end_states) == 1, 300)
    airflow.run("nightly_pause", {"owner": "night"})
    assert set(airflow.wait_for_runs("nightly_pause", 300).values()) == {"success"}
    assert {space.stage for space in night} == {"PAUSED"}
    assert not any(hub.bill(space.repo_id).running for space in night)
    airflow.unpause("morning_restart")
    airflow.run("morning_restart", {"owner": "night"})
    assert set(airflow.wait_for_runs("morning_restart", 300).values()) == {"success"}
    airflow.until(lambda: {(space.stage, space.hardware) for space in night} == {("RUNNING", "t4-small")}, 60)
    assert "night/s1" in (airflow.home / "reports" / "spaces.html").read_text()

    # No Space of the crowd was restarted twice, and no wait has ended early.
    assert airflow.states("crowd") == {"deferred": size}
    hub.advance(100_060)
    airflow.until(lambda: airflow.states("crowd") == {"success": size}, 900)
    assert airflow.wait_for_runs("crowd", 60)["dag"] == "success"
    assert restarts(hub, "crowd") == {f"s{number}": 1 for number in range(size)}
    for number in range(size):
        space = hub.space(f"crowd/s{number}")
        assert (space.stage, space.hardware) == ("RUNNING", "cpu-upgrade")
    bill_items = [item for item in hub.bill().items if item.repo_id.startswith("crowd/")]
    assert Counter(item.repo_id for item in bill_items) == {f"crowd/s{number}": 1 for number in range(size)}
    assert airflow.query("SELECT count(*) FROM task_instance WHERE state IN ('running', 'queued')")[0][0] == 0
    assert hub.token not in airflow.log_of("crowd")
    assert airflow.warnings() == []
    lists = [request for request in hub.requests if request.path == "/api/spaces"]
    assert not [request for request in hub.requests if request.status == 429]
    assert 0 < len(lists) < 1500
