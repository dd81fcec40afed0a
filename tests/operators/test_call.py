"""CallSpaceOperator calls an app once: in a worker and deferred, asleep, full, lost and killed."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import DockerApp, GradioApp, HubEmulator, SpaceHandle
from airflow_provider_hfspaces.hub.errors import SpaceWaitError
from airflow_provider_hfspaces.operators.app import CallSpaceOperator
from airflow_provider_hfspaces.space_app import AppCallCancelled, AppCallLost, AppFailed, AppTimeout
from tests.airflow_tools import Try, connection, first_event, reload_trigger
from tests.conftest import TaskLog

SPACE = "acme/caption"
BOTH = pytest.mark.parametrize("deferrable", [False, True])


def call(**options: Any) -> CallSpaceOperator:
    defaults = {"task_id": "call", "repo_id": SPACE, "poll_interval": 0.02, "timeout": 30}
    if "path" not in options:
        defaults |= {"api": "/echo", "inputs": {"text": "hello"}}
    return CallSpaceOperator(**{**defaults, **options})


def result(operator: CallSpaceOperator, *, map_index: int = -1) -> Any:
    """Run an operator through every deferral, each resumed in another process."""
    run = Try()
    run.ti.map_index = map_index

    def first() -> Any:
        return run.run(operator)

    step = first
    while True:
        try:
            return step()
        except BaseException as raised:
            if type(raised).__name__ != "TaskDeferred":
                raise
            event = first_event(reload_trigger(raised.trigger))  # type: ignore[attr-defined]
        fresh = CallSpaceOperator(**arguments_of(operator))
        step = partial(fresh.execute_complete, run.context(fresh), event)


def arguments_of(operator: CallSpaceOperator) -> dict[str, Any]:
    names = (
        "task_id repo_id api inputs files path method json data poll answer on_lost wake app_conn_id health "
        "timeout poll_interval deferrable"
    )
    arguments = {name: getattr(operator, name) for name in names.split()}
    return {**arguments, "output": operator.output_path}


def calls_of(space: SpaceHandle) -> int:
    """The number of calls that the app has received."""
    return sum("/call/" in request.path for request in space.app_requests)


@BOTH
def test_an_answer_is_returned(hub: HubEmulator, deferrable: bool, task_log: TaskLog) -> None:
    space = hub.add_space(SPACE, private=True)
    assert result(call(deferrable=deferrable)) == "hello"
    assert "Space acme/caption answered after" in task_log.text
    assert space.app_requests
    assert all(hub.token not in str(request.to_dict()) for request in space.app_requests)


@pytest.mark.parametrize(("version", "deferrable"), [(4, True), (5, False), (6, True)])
def test_every_gradio_is_called(hub: HubEmulator, version: int, deferrable: bool) -> None:
    hub.add_space(SPACE, app=GradioApp(version=version))
    assert result(call(api="/two", inputs=["x"], deferrable=deferrable))
    assert result(call(api="count", inputs={}, deferrable=deferrable))


def test_a_call_on_zero_gpu_waits_in_the_worker_where_its_answer_is_read_at_once(
    hub: HubEmulator, task_log: TaskLog
) -> None:
    hub.add_space(SPACE, app=GradioApp(zero_gpu=True))
    assert Try().run(call(deferrable=True)) == "hello"
    assert "runs on ZeroGPU, which ends unread calls" in task_log.text


@BOTH
def test_a_sleeping_space_is_woken(hub: HubEmulator, deferrable: bool) -> None:
    space = hub.add_space(SPACE, stage="SLEEPING")
    assert result(call(deferrable=deferrable)) == "hello"
    assert space.stage == "RUNNING"


@BOTH
def test_a_sleeping_space_stays_asleep_with_wake_false(hub: HubEmulator, deferrable: bool) -> None:
    space = hub.add_space(SPACE, stage="SLEEPING")
    with pytest.raises(SpaceWaitError, match="sleeps, and wake=False"):
        result(call(deferrable=deferrable, wake=False))
    assert space.stage == "SLEEPING"


@BOTH
def test_a_starting_space_is_awaited(hub: HubEmulator, deferrable: bool) -> None:
    hub.add_space(SPACE, stage="BUILDING")
    assert result(call(deferrable=deferrable)) == "hello"


@BOTH
def test_a_paused_or_broken_space_ends_the_task_with_its_reason(
    hub: HubEmulator, task_log: TaskLog, deferrable: bool
) -> None:
    hub.add_space(SPACE, stage="PAUSED")
    hub.add_space("acme/broken", stage="RUNTIME_ERROR", error_message="Exit code: 137")
    with pytest.raises(SpaceWaitError, match="is paused"):
        result(call(deferrable=deferrable))
    with pytest.raises(SpaceWaitError, match="Exit code: 137"):
        result(call(repo_id="acme/broken", deferrable=deferrable))
    assert "The last lines of the app log of Space acme/broken" in task_log.text


@BOTH
def test_an_app_that_does_not_serve_yet_is_awaited(hub: HubEmulator, deferrable: bool) -> None:
    space = hub.add_space(SPACE)
    hub.faults.add(kind="status", app=SPACE, status=502, times=2)
    assert result(call(deferrable=deferrable)) == "hello"
    assert calls_of(space) == 1


@BOTH
def test_the_health_of_the_app_is_awaited_before_the_call(hub: HubEmulator, deferrable: bool) -> None:
    hub.add_space(SPACE)
    hub.faults.add(kind="status", app=SPACE, path="/config$", status=503, times=2)
    assert result(call(deferrable=deferrable, health="/config")) == "hello"


@BOTH
def test_a_full_queue_is_waited_out(hub: HubEmulator, deferrable: bool) -> None:
    space = hub.add_space(SPACE)
    hub.faults.add(kind="queue_full", app=SPACE, times=1)
    assert result(call(deferrable=deferrable)) == "hello"
    assert space.stage == "RUNNING"


@BOTH
def test_the_apps_own_error_ends_the_task_in_its_own_words(hub: HubEmulator, deferrable: bool) -> None:
    hub.add_space(SPACE)
    with pytest.raises(AppFailed, match="bad input"):
        result(call(api="/gr_error", inputs={"text": "x"}, deferrable=deferrable))


@BOTH
def test_a_lost_call_fails_the_task(hub: HubEmulator, deferrable: bool) -> None:
    space = hub.add_space(SPACE)
    hub.faults.add(kind="kill", app=SPACE, path="/queue/data", times=1)
    with pytest.raises(AppCallLost):
        result(call(deferrable=deferrable))
    assert calls_of(space) == 1


@BOTH
def test_a_lost_call_is_sent_again_on_request(hub: HubEmulator, task_log: TaskLog, deferrable: bool) -> None:
    space = hub.add_space(SPACE)
    hub.faults.add(kind="kill", app=SPACE, path="/queue/data", times=1)
    assert result(call(deferrable=deferrable, on_lost="again")) == "hello"
    assert calls_of(space) == 2
    assert "It is sent again, because on_lost is 'again'." in task_log.text


@BOTH
def test_a_call_that_is_lost_because_the_space_broke_ends_with_the_reason(
    hub: HubEmulator, deferrable: bool
) -> None:
    async def die(text: str) -> str:
        # The stream of the answer opens first; the emulator has no events to wait for.
        while not any(request.path.endswith("/queue/data") for request in space.app_requests):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        space.crash("Exit code: 9")
        await asyncio.Event().wait()
        return text

    space = hub.add_space(SPACE, app=GradioApp(endpoints={"die": die}))
    with pytest.raises(SpaceWaitError, match="Exit code: 9"):
        result(call(api="/die", inputs=["x"], deferrable=deferrable))


@BOTH
def test_the_timeout_ends_the_task(hub: HubEmulator, deferrable: bool) -> None:
    hub.settings.seconds_per_request = 0  # the time does not jump to the end of the work
    hub.add_space(SPACE)
    with pytest.raises(AppTimeout):
        result(call(api="/slow", inputs=["x", 10**6], timeout=1.5, deferrable=deferrable))


@BOTH
def test_files_go_through_storage(hub: HubEmulator, tmp_path: Path, deferrable: bool) -> None:
    hub.add_space(SPACE, private=True)
    source = tmp_path / "in.txt"
    source.write_text("hello")
    operator = call(
        api="/upper_file",
        inputs={"file": str(source)},
        files=["file"],
        output=str(tmp_path / "out"),
        deferrable=deferrable,
    )
    answer = result(operator)
    assert Path(answer).read_text() == "HELLO"
    assert Path(answer).is_relative_to(tmp_path / "out")


@BOTH
def test_mapped_calls_with_one_output_keep_all_their_answers(
    hub: HubEmulator, tmp_path: Path, deferrable: bool
) -> None:
    hub.add_space(SPACE)
    sizes = [300_000, 300_001]
    answers = [
        result(call(api="/big", inputs=[size], output=f"{tmp_path}/", deferrable=deferrable), map_index=index)
        for index, size in enumerate(sizes)
    ]
    assert [answer["output"] for answer in answers] == [f"{tmp_path}/{index}/result.json" for index in (0, 1)]
    assert [len(json.loads(Path(answer["output"]).read_text())) for answer in answers] == sizes


@BOTH
def test_a_large_answer_needs_an_output_folder(hub: HubEmulator, tmp_path: Path, deferrable: bool) -> None:
    hub.add_space(SPACE)
    options = {"api": "/big", "inputs": [300_000], "deferrable": deferrable}
    with pytest.raises(AirflowFailException, match="Set output to a folder"):
        result(call(**options))
    answer = result(call(**options, output=str(tmp_path)))
    assert answer["bytes"] > 300_000
    assert len(json.loads(Path(answer["output"]).read_text())) == 300_000


@BOTH
def test_a_plain_app_is_called(hub: HubEmulator, deferrable: bool) -> None:
    space = hub.add_space(SPACE, sdk="docker", private=True)
    assert result(call(path="/v1/echo", json={"n": [1, 2]}, deferrable=deferrable)) == {"n": [1, 2]}
    assert result(call(path="/machine", method="get", deferrable=deferrable))["space"] == SPACE
    assert all(hub.token not in str(request.to_dict()) for request in space.app_requests)


@BOTH
def test_an_app_that_answers_202_is_polled(hub: HubEmulator, deferrable: bool) -> None:
    hub.add_space(SPACE, sdk="docker", private=True, app=DockerApp(seconds=60))
    hub.faults.add(kind="status", app=SPACE, path="/v1/jobs/", status=502, times=1)
    operator = call(path="/v1/jobs", json={"value": 7}, poll={"interval": 0.02}, deferrable=deferrable)
    assert result(operator)["result"] == 7


@BOTH
def test_an_app_with_a_login_of_its_own_is_called(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    hub.add_space(SPACE, private=True, app=GradioApp(login={"me": "s3cret-pass"}))
    login = json.dumps({"conn_type": "http", "login": "me", "password": "s3cret-pass"})
    monkeypatch.setenv("AIRFLOW_CONN_THE_APP", login)
    assert result(call(app_conn_id="the_app", deferrable=deferrable)) == "hello"
    with pytest.raises(AirflowFailException, match="login"):
        result(call(deferrable=deferrable))
    with pytest.raises(AirflowFailException, match="Connection 'nowhere' does not exist"):
        result(call(app_conn_id="nowhere", deferrable=deferrable))


@BOTH
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api": "/ecko"}, "Did you mean '/echo'"),
        ({"inputs": {"txt": "x"}}, "txt"),
        ({"inputs": {}}, "text"),
        ({"inputs": ["a", "b"]}, "2|two"),
        ({"repo_id": "acme/page"}, "static"),
        ({"repo_id": "acme/docker"}, "Gradio"),
        ({"repo_id": "acme/nothing"}, "Space acme/nothing was not found"),
        ({"output": "/proc/nothing/here"}, "output .* cannot be written"),
        ({"files": ["image"]}, "files .* 'image', which is not one of the inputs"),
    ],
)
def test_bad_input_is_refused_before_a_call_is_sent(
    hub: HubEmulator, options: dict[str, Any], message: str, deferrable: bool
) -> None:
    spaces = [
        hub.add_space(SPACE),
        hub.add_space("acme/page", sdk="static"),
        hub.add_space("acme/docker", sdk="docker"),
    ]
    with pytest.raises(AirflowFailException, match=message) as excinfo:
        result(call(**options, deferrable=deferrable))
    assert "\n" not in str(excinfo.value)
    assert all(request.method == "GET" for space in spaces for request in space.app_requests)


@BOTH
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"headers": {"X-Page": 3}}, r"^headers\['X-Page'\] must be one line"),
        ({"headers": {"X-Page": "a\r\nX-Other: b"}}, r"^headers\['X-Page'\] must be one line"),
        ({"headers": {"X Page": "a"}}, r"^headers has the name 'X Page', which HTTP does not allow"),
        ({"data": 3}, r"^content must be text or bytes; got 3"),
        ({"query": {"page": [1, 2]}}, r"^query\['page'\] must be text, a number or a boolean; got \[1, 2\]"),
    ],
)
def test_a_plain_request_that_cannot_be_sent_is_refused_and_not_lost(
    hub: HubEmulator, options: dict[str, Any], message: str, deferrable: bool
) -> None:
    space = hub.add_space(SPACE, sdk="docker")
    with pytest.raises(AirflowFailException, match=message):
        result(call(path="/v1/echo", on_lost="again", deferrable=deferrable, **options))
    assert all(request.method == "GET" for request in space.app_requests)


@BOTH
def test_a_private_space_of_somebody_else_is_refused(
    hub: HubEmulator, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    space = hub.add_space(SPACE, private=True)
    monkeypatch.setenv("AIRFLOW_CONN_STRANGER", connection(hub, hub.add_token("stranger")))
    with pytest.raises(AirflowFailException, match="Space acme/caption was not found"):
        Try().run(call(hf_spaces_conn_id="stranger", deferrable=deferrable))
    assert space.app_requests == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api": None, "inputs": None}, "api and path .* set one of them"),
        ({"api": "/a", "path": "/b", "inputs": None}, "api and path .* set one of them"),
        ({"path": "b"}, "path .* must begin with one '/'"),
        ({"api": 0}, "api .* must be the name of an endpoint"),
        ({"path": "/b", "inputs": {"a": 1}}, "inputs .* has no effect with path"),
        ({"json": {}}, "json .* has no effect with api"),
        ({"path": "/b", "json": {}, "data": "x"}, "json and data .* exclude each other"),
        ({"inputs": "text"}, "inputs .* must be a mapping"),
        ({"on_lost": "retry"}, "on_lost .* must be 'fail' or 'again'"),
        ({"path": "/b", "answer": "xml"}, "answer .* must be"),
        ({"path": "/b", "answer": "bytes"}, "needs output"),
        ({"path": "/b", "poll": "often"}, "poll"),
        ({"wake": "yes"}, "wake .* must be True or False"),
        ({"health": "x"}, "health must be"),
        ({"timeout": "long"}, "timeout of task 'call'"),
    ],
)
def test_arguments_that_cannot_be_valid_are_refused_when_the_dag_is_parsed(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call(**options)


def test_a_stored_call_has_neither_token_nor_inputs(hub: HubEmulator) -> None:
    hub.add_space(SPACE)
    deferred = Try().deferral(call(inputs={"text": "my private text"}, deferrable=True))
    serialized = json.dumps(deferred.trigger.serialize())
    assert hub.token not in serialized
    assert "private text" not in serialized


def test_a_killed_task_cancels_its_call_in_the_app(hub: HubEmulator) -> None:
    hub.settings.seconds_per_request = 0  # the call does not end by itself
    space = hub.add_space(SPACE)
    operator = call(api="/nap", inputs=["x", 10**6])
    has_ended = threading.Event()

    def kill() -> None:
        while not has_ended.is_set() and not any(
            request.path.endswith("/queue/data") for request in space.app_requests
        ):
            time.sleep(0.01)
        operator.on_kill()

    # Airflow 2.11 executes operators in the main thread only.
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(AppCallCancelled):
            Try().run(operator)
    finally:
        has_ended.set()
        killer.join()
    assert sum(request.path.endswith("/cancel") for request in space.app_requests) == 1


def test_a_task_that_is_killed_before_its_call_sends_none(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    hub.faults.add(kind="status", app=SPACE, status=502)
    operator = call()
    operator.killed.set()
    with pytest.raises(AirflowFailException, match="was killed"):
        Try().run(operator)
    assert calls_of(space) == 0
