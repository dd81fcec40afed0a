"""The DAG calls two private apps: a Gradio app for each text, and a plain one that is polled."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_every_call_reaches_its_app_once_and_no_app_sees_the_token(hub: HubEmulator) -> None:
    caption = hub.add_space("acme/caption", stage="BUILDING", private=True)
    search = hub.add_space("acme/search", sdk="docker", private=True)
    states = run(dag_file("call_space").dag)
    assert set(states.values()) == {"success"}
    assert len(states) == 6
    calls = [request.json["data"] for request in caption.app_requests if "/call/" in request.path]
    assert sorted(calls) == [["a bird over the sea"], ["a cat on a sofa"], ["a dog in the snow"]]
    jobs = [request.json for request in search.app_requests if request.method == "POST"]
    assert jobs == [{"value": "3"}]
    requests = [*caption.app_requests, *search.app_requests]
    assert all(hub.token not in str(request.to_dict()) for request in requests)
