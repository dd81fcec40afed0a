"""The plugin as Airflow loads it, in every process and on every version."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION
from airflow_provider_hfspaces.plugins.plugin import HfSpacesPlugin

HEAVY = (
    "fastapi",
    "requests",
    "httpx",
    "sqlalchemy.orm",
    "airflow.api_fastapi",
    "airflow_provider_hfspaces.hooks",
)


def test_the_plugin_is_valid_for_this_airflow() -> None:
    from airflow.plugins_manager import AirflowPlugin

    assert issubclass(HfSpacesPlugin, AirflowPlugin)
    HfSpacesPlugin.validate()
    HfSpacesPlugin().on_load()


@pytest.mark.skipif(AIRFLOW_VERSION >= (3, 1), reason="this Airflow takes pages of plugins")
def test_the_plugin_adds_nothing_before_airflow_3_1() -> None:
    plugin = HfSpacesPlugin()
    assert plugin.fastapi_apps == []
    assert plugin.external_views == []


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 1), reason="pages of plugins came with Airflow 3.1")
def test_the_menu_leads_to_the_page_under_the_path_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/team/")
    (view,) = HfSpacesPlugin().external_views
    assert view["href"] == "/team/hf_spaces/"
    assert (view["destination"], view["url_route"]) == ("nav", "hf_spaces")


def test_the_configuration_can_turn_the_page_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__HF_SPACES__FLEET_PAGE", "False")
    plugin = HfSpacesPlugin()
    assert plugin.fastapi_apps == []
    assert plugin.external_views == []


def test_loading_the_plugin_imports_nothing_that_only_the_page_needs() -> None:
    program = (
        "import sys; import airflow.plugins_manager; before = set(sys.modules); "
        "from airflow_provider_hfspaces.plugins.plugin import HfSpacesPlugin as plugin; plugin(); "
        "print('\\n'.join(set(sys.modules) - before))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    ).stdout.split()
    own = {each for each in output if each.startswith("airflow")} - {"airflow_provider_hfspaces"}
    assert own == {"airflow_provider_hfspaces.plugins", "airflow_provider_hfspaces.plugins.plugin"}
    assert [each for each in output if each.startswith(HEAVY)] == []
