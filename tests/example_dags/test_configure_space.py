"""The DAG brings the settings of a Space up to date, however often it runs."""

from __future__ import annotations

import json

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_the_outcome_does_not_depend_on_the_earlier_settings(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = json.dumps({"conn_type": "http", "password": "sk-1a2b3c4d5e6f7a8b"})
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", value)
    space = hub.add_space(
        "acme/whisper",
        hardware="cpu-upgrade",
        variables={"DEBUG": "1"},
        secrets={"OPENAI_KEY": "sk-0"},
    )
    for language in ("de", "en"):
        states = run(dag_file("configure_space").dag, {"language": language})
        assert set(states.values()) == {"success"}
        assert space.sleep_time == 1800
        assert space.variables == {"LANGUAGE": language}
        assert space.secrets == {"OPENAI_API_KEY": "sk-1a2b3c4d5e6f7a8b"}
        assert [volume["source"] for volume in space.volumes] == ["acme/recordings"]
