"""The compatibility table: this run checks the column of the installed version of Airflow."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import metadata
from importlib.util import find_spec
from typing import Any

import pytest

from airflow_provider_hfspaces.assets import space_asset
from airflow_provider_hfspaces.compat.imports import (
    AIRFLOW_3,
    AIRFLOW_VERSION,
    BaseEventTrigger,
    has_trigger_on_kill,
)
from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run
from tests.conftest import HOME, ROOT
from tests.docs.pages import DOCS, table

pytestmark = pytest.mark.usefixtures("airflow_db")

YES, NO = "yes", "no"
COLUMNS = ((2, 11), (3, 0), (3, 1), (3, 2), (3, 3))
HEADING = "What works where"


def pythons(hub: HubEmulator) -> str:
    """The versions of Python that both this Airflow and this package support."""
    from packaging.specifiers import SpecifierSet

    airflow = SpecifierSet(metadata("apache-airflow")["Requires-Python"])
    package = SpecifierSet(metadata("airflow-provider-hfspaces")["Requires-Python"])
    both = [minor for minor in range(30) if f"3.{minor}.0" in airflow and f"3.{minor}.0" in package]
    assert sys.version_info.minor in both
    assert both == list(range(both[0], both[-1] + 1))
    return f"3.{both[0]} to 3.{both[-1]}"


def deferred_waits(hub: HubEmulator) -> str:
    """Deferred waits mapped over Spaces, in a run of a whole DAG."""
    for name in ("a", "b"):
        hub.add_space(f"acme/{name}", stage="PAUSED")
    states = run(dag_file("compatibility").dag)
    running = {hub.space(f"acme/{name}").stage for name in ("a", "b")} == {"RUNNING"}
    return YES if running and states["dag"] == "success" else NO


def retry_store(hub: HubEmulator) -> str:
    """The store in which a task of a real run keeps values for its next try."""
    hub.settings.change({"timings": {"build": 30}})
    for name in ("a", "b"):
        hub.add_space(f"acme/{name}")
    run(dag_file("compatibility").dag)
    with sqlite3.connect(HOME / "airflow.db") as database:
        (kind,) = database.execute(
            "SELECT value FROM xcom WHERE dag_id = 'compatibility' AND task_id = 'keeper' "
            "ORDER BY timestamp DESC LIMIT 1"
        ).fetchone()
    return "a Variable" if "VariableStore" in str(kind) else "Airflow's task state"


FORM = """
try:
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
except ImportError:
    raise SystemExit
(meta,) = [each for each in HookMetaService.hook_meta_data() if each.connection_type == "hf_spaces"]
print(*(meta.extra_fields or ()))
"""
"""Prints the fields of the form in a process of its own: Airflow 3.1 reads the forms once in a process, and
other tests may have had it read without them."""


def form(hub: HubEmulator) -> str:
    """The custom fields in Airflow's connection form."""
    if not AIRFLOW_3:
        from airflow.providers_manager import ProvidersManager

        return YES if "extra__hf_spaces__namespace" in ProvidersManager().connection_form_widgets else NO
    output = subprocess.run([sys.executable, "-c", FORM], check=True, capture_output=True, text=True).stdout
    fields = set(output.splitlines()[-1].split()) if output.strip() else set()
    complete = {"namespace", "timeout", "allow_http"} <= fields
    if AIRFLOW_VERSION == (3, 0):
        return "with FAB" if complete is (find_spec("flask_appbuilder") is not None) else NO
    return YES if complete else NO


def links(hub: HubEmulator) -> str:
    """The links of a task, as Airflow stores them with the DAG."""
    task = dag_file("compatibility").dag.get_task("restart")
    names = {link.name for link in task.operator_extra_links}
    if not AIRFLOW_3:
        from airflow.providers_manager import ProvidersManager

        class_names = ProvidersManager().extra_links_class_names
        names &= {name.rpartition(".")[2].replace("SpaceLink", "Open Space") for name in class_names} | names
        return YES if "airflow_provider_hfspaces.links.SpaceLink" in class_names and len(names) == 2 else NO
    return YES if names == {"Open Space", "Space logs"} else NO


def outlets(hub: HubEmulator) -> str:
    """The class that represents a Space in outlets and schedules."""
    asset = space_asset("acme/whisper")
    assert asset.uri == "hf-space://acme/whisper"
    return f"as {'an' if type(asset).__name__ == 'Asset' else 'a'} {type(asset).__name__.lower()}"


def events(hub: HubEmulator) -> str:
    """DAGs that start when something happens to a Space."""
    schedule = dag_file("on_space_error").SCHEDULE
    if schedule is None:
        return NO
    (asset,) = schedule
    return YES if [watcher.name for watcher in asset.watchers] == ["failed"] else NO


def shared_stream(hub: HubEmulator) -> str:
    """One list request for all watched Spaces of an owner, shared among triggers by Airflow."""
    return YES if hasattr(BaseEventTrigger, "open_shared_stream") else NO


def remembered_events(hub: HubEmulator) -> str:
    """Changes while no triggerer runs are not missed."""
    from airflow_provider_hfspaces.triggers.events import SpaceEventTrigger

    trigger = SpaceEventTrigger(repo_id="acme/whisper", stages=["PAUSED"])
    return YES if hasattr(trigger, "asset_state_store") else NO


def deadlines(hub: HubEmulator) -> str:
    """Deadlines of a DAG run with a notifier as the callback."""
    try:
        from airflow.sdk.definitions.deadline import AsyncCallback
    except ImportError:
        return NO
    from airflow_provider_hfspaces.notifications.spaces import PauseSpaceNotifier

    AsyncCallback(PauseSpaceNotifier, kwargs={"repo_id": "acme/whisper"})
    return YES


def page(hub: HubEmulator) -> str:
    """The fleet page of the plugin."""
    from airflow_provider_hfspaces.plugins.plugin import HfSpacesPlugin

    plugin = HfSpacesPlugin()
    return YES if plugin.fastapi_apps and plugin.external_views else NO


def kill_of_a_wait(hub: HubEmulator) -> str:
    """How a trigger learns that a user ended its task, so that it restores the Space."""
    return "Airflow says so" if has_trigger_on_kill() else "by the task's state"


PROBES: dict[str, Callable[[HubEmulator], str]] = {
    "Python": pythons,
    "Waiting without a worker, mapped, and under `dag.test()`": deferred_waits,
    "What a retry must know is kept in": retry_store,
    "Form of the connection with all fields": form,
    "Links to the Space on a task's page": links,
    "Page of all Spaces in Airflow's menu": page,
    "`hf-space://` among outlets and in schedules": outlets,
    "DAGs that start by themselves (`SpaceEventTrigger`)": events,
    "… with one request for all Spaces of an owner": shared_stream,
    "… and with what happened while no triggerer ran": remembered_events,
    "A kill of a deferred upgrade is noticed": kill_of_a_wait,
    "Notifiers on deadlines of a run": deadlines,
}


def column() -> int:
    """The index of the column of this Airflow."""
    assert AIRFLOW_VERSION in COLUMNS, f"the table has no column for Airflow {AIRFLOW_VERSION}"
    return 1 + COLUMNS.index(AIRFLOW_VERSION)  # type: ignore[arg-type]


def cells() -> dict[str, list[str]]:
    return {row[0]: row for row in table(DOCS / "compatibility.md", HEADING)}


def test_every_row_of_the_table_is_checked() -> None:
    assert list(cells()) == list(PROBES)


@pytest.mark.parametrize("feature", PROBES)
def test_each_cell_of_the_table_is_true_on_this_airflow(feature: str, hub: HubEmulator) -> None:
    assert PROBES[feature](hub) == cells()[feature][column()]


def test_the_readme_shows_the_table_of_the_compatibility_page() -> None:
    def rows(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.startswith("| ") and line.count("|") == 7]

    readme_rows: Any = rows((ROOT / "README.md").read_text("utf-8"))
    assert readme_rows == rows((DOCS / "compatibility.md").read_text("utf-8"))
    assert len(readme_rows) == 1 + len(PROBES)
