"""The nightly example in whole DAG runs: across DAGs, days, tries and changes that people make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from tests.airflow_tools import dag_file, run
from tests.conftest import TaskLog

pytestmark = pytest.mark.usefixtures("airflow_db")


@pytest.fixture
def page(tmp_path: Path) -> dict[str, str]:
    """The parameters of the morning's run: where it writes its page."""
    return {"page": str(tmp_path / "spaces.html")}


def stages(*spaces: Any) -> list[str]:
    return [space.stage for space in spaces]


def test_paid_spaces_are_paused_at_night_and_restarted_in_the_morning(
    hub: HubEmulator, task_log: TaskLog, page: dict[str, str]
) -> None:
    whisper = hub.add_space("acme/whisper", hardware="t4-small")
    diffusion = hub.add_space("acme/diffusion", hardware="a10g-small")
    by_hand = hub.add_space("acme/by-hand", hardware="l4x1")
    production = hub.add_space("acme/api-production", hardware="cpu-upgrade")
    before = hub.add_space("acme/paused-before", hardware="t4-small", stage="PAUSED")
    free = hub.add_space("acme/free")
    module = dag_file("nightly_fleet")

    assert run(module.evening) == {"pause": "success", "dag": "success"}
    assert set(stages(whisper, diffusion, by_hand, before)) == {"PAUSED"}
    assert stages(production, free) == ["RUNNING", "RUNNING"]
    assert not any(hub.bill(space.repo_id).running for space in (whisper, diffusion, by_hand, before))
    assert "3 of 3 Spaces paused." in task_log.text

    HfSpacesHook().restart("acme/by-hand")
    posts_before = posts(hub)
    assert run(module.morning, page) == {"restart": "success", "report": "success", "dag": "success"}
    page_text = Path(page["page"]).read_text()
    assert "acme/whisper" in page_text
    assert hub.token not in page_text
    assert sorted(posts(hub)[len(posts_before) :]) == ["acme/diffusion/restart", "acme/whisper/restart"]
    assert before.stage == "PAUSED"
    assert {whisper.hardware, whisper.requested_hardware} <= {None, "t4-small"}

    posts_before = posts(hub)
    assert run(module.morning, page)["dag"] == "success"
    assert posts(hub) == posts_before


def test_the_next_morning_restarts_spaces_that_a_missed_morning_did_not(
    hub: HubEmulator, page: dict[str, str]
) -> None:
    first = hub.add_space("acme/first", hardware="t4-small")
    module = dag_file("nightly_fleet")
    assert run(module.evening)["dag"] == "success"
    second = hub.add_space("acme/second", hardware="t4-small")
    assert run(module.evening)["dag"] == "success"
    assert stages(first, second) == ["PAUSED", "PAUSED"]
    assert run(module.morning, page)["dag"] == "success"
    assert "PAUSED" not in stages(first, second)


def test_a_space_that_fails_to_pause_does_not_keep_others_running(
    hub: HubEmulator, page: dict[str, str]
) -> None:
    fails = hub.add_space("acme/fails", hardware="t4-small")
    works = hub.add_space("acme/works", hardware="t4-small")
    # A 403 is permanent: a retry would not succeed.
    hub.faults.add(kind="status", status=403, path="fails/pause", message="You may not.")
    module = dag_file("nightly_fleet")
    assert run(module.evening) == {"pause": "failed", "dag": "failed"}
    assert stages(fails, works) == ["RUNNING", "PAUSED"]
    assert run(module.morning, page)["dag"] == "success"
    assert posts(hub)[-1] == "acme/works/restart"


def test_the_dags_run_at_20_and_at_7() -> None:
    module = dag_file("nightly_fleet")
    timetables = [dag.timetable for dag in (module.evening, module.morning)]
    cron = [getattr(timetable, "expression", None) or timetable.summary for timetable in timetables]
    assert cron == ["0 20 * * *", "0 7 * * *"]


def posts(hub: HubEmulator) -> list[str]:
    return [request.path.removeprefix("/api/spaces/") for request in hub.requests if request.method == "POST"]
