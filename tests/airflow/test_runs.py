"""Whole DAG runs: retries, mapping, links, and no Variables after a run."""

from __future__ import annotations

import sqlite3

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run
from tests.conftest import HOME, TaskLog

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_a_restore_after_a_retried_upgrade_uses_the_record_of_the_first_try(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper", hardware="cpu-upgrade", sleep_time=1200)
    space.fail_next_build("Job failed with exit code: 137")
    states = run(dag_file("retried_upgrade").dag)
    assert states == {"upgrade": "success", "restore": "success", "dag": "success"}
    assert "t4-small" in {moment.hardware for moment in space.history}
    assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 1200)
    with sqlite3.connect(HOME / "airflow.db") as database:
        names = database.execute("SELECT key FROM variable WHERE key LIKE 'hf_spaces%'").fetchall()
    assert [name for (name,) in names if not name.startswith("hf_spaces_run_costs")] == []


def test_the_space_is_restored_after_skipped_work(hub: HubEmulator) -> None:
    space = hub.add_space("acme/whisper")
    states = run(dag_file("skipped_work").dag)
    assert (states["work"], states["restore"], states["dag"]) == ("skipped", "success", "success")
    assert "t4-small" in {moment.hardware for moment in space.history}
    assert space.requested_hardware == "cpu-basic"


def test_each_mapped_window_restores_its_own_space(hub: HubEmulator) -> None:
    a = hub.add_space("acme/a", hardware="cpu-upgrade", sleep_time=1200)
    b = hub.add_space("acme/b", stage="PAUSED")
    states = run(dag_file("mapped_windows").dag)
    assert set(states.values()) == {"success"}
    assert (a.requested_hardware, a.sleep_time) == ("cpu-upgrade", 1200)
    assert (b.requested_hardware, b.stage) == ("cpu-basic", "PAUSED")
    assert "t4-small" in {moment.hardware for moment in b.history}
    with sqlite3.connect(HOME / "airflow.db") as database:
        names = database.execute(
            "SELECT DISTINCT task_id, map_index, rendered_map_index FROM task_instance "
            "WHERE dag_id = 'mapped_windows' AND task_id IN ('window.upgrade', 'look')"
        ).fetchall()
    assert set(names) == {
        (task, index, name)
        for task in ("window.upgrade", "look")
        for index, name in enumerate(("acme/a", "acme/b"))
    }


def test_each_mapped_task_links_to_its_own_space(hub: HubEmulator) -> None:
    hub.add_space("acme/a")
    hub.add_space("acme/b")
    run(dag_file("mapped_windows").dag)
    with sqlite3.connect(HOME / "airflow.db") as database:
        links = database.execute(
            "SELECT key, map_index, value FROM xcom "
            "WHERE task_id = 'window.upgrade' AND key LIKE 'hf_space_%' AND run_id = "
            "(SELECT run_id FROM dag_run WHERE dag_id = 'mapped_windows' ORDER BY id DESC LIMIT 1)"
        ).fetchall()
    for space, map_index in (("acme/a", 0), ("acme/b", 1)):
        own = {key: str(value) for key, index, value in links if index == map_index}
        assert own.keys() == {"hf_space_link", "hf_space_logs_link", "hf_space_hardware_link"}
        assert f"{hub.url}/spaces/{space}" in own["hf_space_link"]
        assert f"{hub.url}/spaces/{space}?logs=container" in own["hf_space_logs_link"]
        assert f"{hub.url}/spaces/{space}/settings#t4-small" in own["hf_space_hardware_link"]


def test_a_task_that_fails_before_it_knows_its_space_logs_nothing_about_links(
    hub: HubEmulator, task_log: TaskLog
) -> None:
    assert run(dag_file("failed_start").dag)["pause"] == "failed"
    assert "Connection 'nowhere' does not exist" in task_log.text
    assert "XCom not found" not in task_log.text


@pytest.mark.parametrize("window", ["skipped_work", "mapped_windows"])
def test_a_window_without_a_lease_looks_for_no_xcom_that_does_not_exist(
    hub: HubEmulator, task_log: TaskLog, window: str
) -> None:
    for space in ("acme/whisper", "acme/a", "acme/b"):
        hub.add_space(space)
    assert run(dag_file(window).dag)["dag"] == "success"
    assert "XCom not found" not in task_log.text
