"""Operators with ``sha`` succeed when exactly this commit runs, and start nothing that would run another."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3, AirflowFailException
from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.errors import SpaceWaitTimeout
from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup
from tests.airflow_tools import Try
from tests.emulator.commits import commit
from tests.operators.test_hardware import changes, upgrade

if AIRFLOW_3:
    from airflow.sdk import DAG, task
else:
    from airflow import DAG
    from airflow.decorators import task

SPACE = "acme/whisper"


def push(hub: HubEmulator, text: str = "1") -> str:
    return str(commit(hub, {"app.py": text.encode()}).json()["commitOid"])


@pytest.mark.parametrize("deferrable", [False, True])
def test_an_upgrade_waits_until_the_commit_runs_on_the_hardware(hub: HubEmulator, deferrable: bool) -> None:
    hub.add_space(SPACE)
    sha = push(hub)
    task = upgrade(sha=sha[:7], deferrable=deferrable)
    runtime = Try().run_deferred(task) if deferrable else Try().run(task)
    assert (runtime["stage"], runtime["hardware"], runtime["sha"]) == ("RUNNING", "t4-small", sha)


def test_an_upgrade_to_another_commit_is_not_requested(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    sha, later = push(hub), push(hub, "2")
    with pytest.raises(AirflowFailException, match=f"would run commit {later[:7]}, not {sha[:7]}"):
        Try().run(upgrade(sha=sha))
    assert [name for name, _ in changes(hub) if name == "hardware"] == []


def test_an_upgrade_on_the_right_hardware_waits_for_the_build_of_the_commit(hub: HubEmulator) -> None:
    hub.add_space(SPACE, hardware="t4-small")
    sha = push(hub)
    assert Try().run(upgrade(sha=sha))["sha"] == sha
    assert [name for name, _ in changes(hub) if name == "hardware"] == []


def test_a_commit_that_the_hub_does_not_report_fails_the_upgrade(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    sha = push(hub)
    hub.settings.change({"runtime_has_sha": False, "timings": {"build": 0, "start": 0}})
    with pytest.raises(SpaceWaitTimeout, match="at a commit that the Hub does not report"):
        Try().run(upgrade(sha=sha, timeout=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"sha": "main"}, "'main' is not a commit"), ({"sha": "a" * 40, "wait": False}, "set wait=True")],
)
def test_a_sha_without_meaning_is_refused_before_any_request(
    hub: HubEmulator, options: dict[str, Any], message: str
) -> None:
    hub.add_space(SPACE)
    with pytest.raises(AirflowFailException, match=message):
        Try().run(upgrade(**options))
    assert hub.requests == []


def test_a_space_that_would_run_another_commit_is_not_restarted(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    sha, later = push(hub), push(hub, "2")
    task = RestartSpaceOperator(task_id="restart", repo_id=SPACE, sha=sha)
    with pytest.raises(AirflowFailException, match=f"Deploy {sha[:7]} first, or set sha to {later[:7]}"):
        Try().run(task)
    assert [name for name, _ in changes(hub) if name.startswith("restart")] == []


def test_the_group_passes_the_commit_to_its_upgrade_and_begins_after_the_task_that_names_it() -> None:
    with DAG("exact_commit", schedule=None):

        @task
        def deploy() -> str:
            return "a" * 40

        @task
        def batch() -> None:
            pass

        with SpaceHardwareTaskGroup("gpu", SPACE, "t4-small", sha=deploy()) as gpu:
            batch()
    assert "deploy" in gpu.upgrade.upstream_task_ids
    assert gpu.snapshot.upstream_task_ids == {"deploy"}
    assert "sha" in gpu.upgrade.template_fields
    assert gpu.require_hardware.keywords["sha"] is gpu.upgrade.sha  # type: ignore[attr-defined]
