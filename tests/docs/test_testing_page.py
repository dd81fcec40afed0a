"""The tests that the testing page shows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


@pytest.fixture
def my_dag() -> Any:
    """The reader's own DAG."""
    return Quick(dag_file("first_space").dag)


@pytest.fixture
def caption_dag() -> Any:
    """The reader's own DAG, which calls an app."""
    return Quick(dag_file("captions").dag)


class Quick:
    """Runs the DAG with short polling intervals, so that these tests do not wait."""

    def __init__(self, dag: Any) -> None:
        self.dag = dag

    def test(self) -> Any:
        run(self.dag)


# [START whole_dag]
import json


@pytest.fixture
def hub(hub_emulator, monkeypatch):
    connection = {"conn_type": "hf_spaces", "host": hub_emulator.url, "password": hub_emulator.token}
    monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", json.dumps(connection))
    return hub_emulator


def test_the_gpu_is_released(hub, my_dag):
    space = hub.add_space("acme/whisper", hardware="cpu-basic")
    my_dag.test()
    assert "t4-small" in {moment.hardware for moment in space.history}
    assert space.requested_hardware == "cpu-basic"


# [END whole_dag]


# [START bad_luck]
def test_the_gpu_is_released_although_an_answer_is_lost(hub, my_dag):
    space = hub.add_space("acme/whisper")
    hub.faults.add(kind="reset", method="POST", path="/hardware$", after=True, times=1)
    my_dag.test()
    requests = [request for request in hub.requests if request.path.endswith("/hardware")]
    assert [request.json["flavor"] for request in requests if request.method == "POST"] == [
        "t4-small",
        "cpu-basic",
    ]
    assert space.requested_hardware == "cpu-basic"


# [END bad_luck]


# [START app]
from airflow_provider_hfspaces.emulator import GradioApp


def make_caption(picture: str) -> str:
    return f"a picture of a {picture.removesuffix('.png')}"


@pytest.fixture
def caption_space(hub):
    return hub.add_space("acme/caption", private=True, app=GradioApp(endpoints={"caption": make_caption}))


def test_each_picture_gets_a_caption(hub, caption_space, caption_dag):
    caption_dag.test()
    calls = [request for request in caption_space.app_requests if request.path.endswith("/call/caption")]
    assert [call.json["data"] for call in calls] == [["cat.png"], ["dog.png"]]
    # The app, which may belong to somebody else, never sees the token.
    assert not caption_space.app_saw(hub.token)


# [END app]


# [START app_bad_luck]
def test_a_full_queue_is_waited_for(hub, caption_space, caption_dag):
    hub.faults.add(kind="queue_full", app="acme/caption", method="POST", path="/call/", times=2)
    caption_dag.test()
    calls = [request for request in caption_space.app_requests if request.path.endswith("/call/caption")]
    assert len(calls) == 2


# [END app_bad_luck]
