"""The package causes no warnings: not in the logs of tasks, and not when Airflow parses a DAG."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION
from tests.conftest import DAGS, ROOT

PACKAGE = ROOT / "airflow_provider_hfspaces"

_IMPORTS = """
import importlib, pkgutil, warnings
# Airflow inserts its own filters when it is imported, so these filters have to come later.
import airflow.configuration, airflow.models, airflow.providers_manager
import airflow_provider_hfspaces
names = [
    module.name
    for module in pkgutil.walk_packages(airflow_provider_hfspaces.__path__, "airflow_provider_hfspaces.")
    if not module.name.endswith("__main__")
]
warnings.simplefilter("ignore")
warnings.filterwarnings("error", module="airflow_provider_hfspaces")
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as missing:
        # Only the provider of OpenLineage, where it is installed, leads to this module.
        if name.endswith(".lineage") and "openlineage" in missing.name:
            continue
        # Airflow before 3.1 has no page and never imports these modules.
        is_of_page = ".plugins." in name or name.endswith("compat.api_server")
        if {has_page} or not is_of_page or not missing.name.startswith(("airflow.", "fastapi")):
            raise
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
{forms}
print(*names)
"""

_FORMS = "HfSpacesHook.get_connection_form_widgets(), HfSpacesHook.get_ui_field_behaviour()"


def test_all_modules_are_imported_without_a_warning() -> None:
    script = _IMPORTS.format(
        forms=_FORMS if AIRFLOW_VERSION < (3, 0) else "", has_page=AIRFLOW_VERSION >= (3, 1)
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr[-3000:]
    paths = [path.relative_to(ROOT).with_suffix("") for path in PACKAGE.rglob("*.py")]
    modules = {".".join(path.parts).removesuffix(".__init__") for path in paths if path.stem != "__main__"}
    assert set(result.stdout.splitlines()[-1].split()) == modules - {PACKAGE.name}


def test_airflow_parses_the_dags_without_warnings(airflow_db: None) -> None:
    home = "airflow.dag_processing.dagbag" if AIRFLOW_VERSION >= (3, 2) else "airflow.models.dagbag"
    bag = import_module(home).DagBag(dag_folder=str(DAGS))
    assert bag.import_errors == {}
    assert {"gpu_batch_window", "clone_and_scale", "nightly_pause"} <= set(bag.dags)
    assert bag.captured_warnings == {}
