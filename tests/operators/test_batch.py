"""SpaceBatchOperator: a batch of calls to the app of an emulated Space."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.assets import space_asset
from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.emulator import DockerApp, Fault, GradioApp, HubEmulator, SpaceHandle
from airflow_provider_hfspaces.emulator.apps.gradio.components import Gallery
from airflow_provider_hfspaces.emulator.apps.gradio.context import CallContext, GradioError
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed
from airflow_provider_hfspaces.operators.app import SpaceBatchOperator
from airflow_provider_hfspaces.space_app.batch.errors import (
    BatchStopped,
    BatchTimeout,
    ItemFailed,
    TooManyFailures,
)
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup
from tests.airflow_tools import OutletEvents, Try, connection
from tests.conftest import TaskLog

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

SPACE = "acme/upper"


def upper(text: str, times: float = 1) -> str:
    """The text in capital letters."""
    return text.upper() * int(times)


async def hang(text: str, call: CallContext) -> str:
    """Never ends by itself."""
    await call.sleep(10_000_000)
    return text


def odd_ones_fail(text: str) -> str:
    """Fails for texts with an odd number at their end."""
    if int(text.rpartition(" ")[2]) % 2:
        raise GradioError(f"cannot do {text}")
    return text.upper()


ENDPOINTS: dict[str, Callable[..., Any]] = {"upper": upper, "hang": hang, "odd_ones_fail": odd_ones_fail}


@pytest.fixture(scope="module")
def emulator() -> Iterator[HubEmulator]:
    """An emulator whose time moves a little with each request to the Hub, and in which calls take none."""
    with HubEmulator(speed=0, seconds_per_request=1) as hub:
        yield hub


@pytest.fixture
def hub(emulator: HubEmulator, monkeypatch: pytest.MonkeyPatch) -> HubEmulator:
    """The emulator, reset for each test: starting one takes longer than a test."""
    emulator.reset()
    emulator.settings.seconds_per_request = 1
    monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(emulator))
    return emulator


@pytest.fixture
def space(hub: HubEmulator) -> SpaceHandle:
    """A private Space on a GPU with an app."""
    return hub.add_space(
        SPACE, private=True, hardware="t4-small", sleep_time=3600, app=GradioApp(endpoints=ENDPOINTS)
    )


def texts(number: int) -> list[dict[str, Any]]:
    return [{"text": f"item {index}"} for index in range(number)]


def batch(folder: Path, **options: Any) -> SpaceBatchOperator:
    arguments = {"repo_id": SPACE, "api": "/upper", "items": texts(12), "output": str(folder), **options}
    return SpaceBatchOperator(task_id="batch", poll_interval=0.01, **arguments)


def results(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]


def outputs(output: Path) -> list[Any]:
    return [line.get("output") for line in results(output)]


def expected(number: int) -> list[str]:
    return [f"ITEM {index}" for index in range(number)]


def calls(space: SpaceHandle) -> list[str]:
    return [each.path for each in space.app_requests if "/call/" in each.path]


def test_each_item_is_in_the_results(space: SpaceHandle, tmp_path: Path, task_log: TaskLog) -> None:
    report = Try().run(batch(tmp_path))
    assert outputs(tmp_path) == expected(12)
    assert report["hardware"] == "t4-small"
    assert (report["items"], report["done"], report["failed"], report["called"]) == (12, 12, 0, 12)
    assert report["cost_usd"] == pytest.approx(0.4 / 60, abs=1e-5)
    assert report["billed_seconds"] == 60
    assert report["cost_per_thousand_items"] == pytest.approx(0.4 / 60 / 12 * 1000, abs=1e-3)
    assert f"Space {SPACE}: 1 min of t4-small, about $0.0067." in task_log.text
    assert report["results"] == str(tmp_path / "results.jsonl")
    assert "12 of 12 items done" in task_log.text
    assert "per thousand items" in task_log.text


def test_the_price_list_is_read_once(hub: HubEmulator, space: SpaceHandle, tmp_path: Path) -> None:
    assert Try().run(batch(tmp_path))["cost_usd"] > 0
    assert [each.path for each in hub.requests].count("/api/spaces/hardware") == 1


def test_the_app_never_sees_the_token(hub: HubEmulator, space: SpaceHandle, tmp_path: Path) -> None:
    Try().run(batch(tmp_path))
    assert len(space.app_requests) > 12
    assert [each for each in space.app_requests if hub.token in str(each)] == []


def test_an_app_with_a_login_of_its_own_gets_it_from_a_connection(
    hub: HubEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = GradioApp(endpoints=ENDPOINTS, login={"ann": "s3cr3t-of-ann"})
    hub.add_space(SPACE, private=True, app=app)
    login = {"conn_type": "http", "login": "ann", "password": "s3cr3t-of-ann"}
    monkeypatch.setenv("AIRFLOW_CONN_CAPTION_APP", json.dumps(login))
    Try().run(batch(tmp_path, app_conn_id="caption_app"))
    assert outputs(tmp_path) == expected(12)
    with pytest.raises(AirflowFailException, match="login"):
        Try().run(batch(tmp_path / "other"))


def test_items_may_be_a_file_of_json_lines(space: SpaceHandle, tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in texts(12)))
    Try().run(batch(tmp_path / "a", items=str(file)))
    Try().run(batch(tmp_path / "b", items=f"file://{file}"))
    assert outputs(tmp_path / "a") == outputs(tmp_path / "b") == expected(12)


def test_a_list_that_a_template_rendered_as_text_is_a_list(space: SpaceHandle, tmp_path: Path) -> None:
    Try().run(batch(tmp_path, items=str(texts(3))))
    assert outputs(tmp_path) == expected(3)


@pytest.mark.parametrize(
    ("items", "options", "results_"),
    [
        (["a", "b"], {}, ["A", "B"]),
        (["a", "b"], {"inputs": {"times": 2}}, ["AA", "BB"]),
        ([["a", 3], ["b"]], {}, ["AAA", "B"]),
        ([{"text": "a", "times": 3}, {"text": "b"}], {"inputs": {"times": 2}}, ["AAA", "BB"]),
        ([{"word": "a", "id": 7}], {"fields": {"text": "word"}}, ["A"]),
        ([{"word": "a"}], {"fields": {"text": "word"}, "inputs": {"times": 2}}, ["AA"]),
    ],
)
def test_items_become_inputs(
    space: SpaceHandle, tmp_path: Path, items: Any, options: Any, results_: list[str]
) -> None:
    Try().run(batch(tmp_path, items=items, **options))
    assert outputs(tmp_path) == results_


def test_a_mapping_that_a_template_rendered_as_text_is_a_mapping(space: SpaceHandle, tmp_path: Path) -> None:
    task = batch(tmp_path, items=[{"word": "a"}], inputs="{{ params.inputs }}", fields="{{ params.fields }}")
    task.inputs, task.fields = "{'times': 2}", '{"text": "word"}'
    Try().run(task)
    assert outputs(tmp_path) == ["AA"]


def test_a_key_joins_results_with_their_items(space: SpaceHandle, tmp_path: Path) -> None:
    items = [{"text": "a", "id": "x1"}, {"text": "b", "id": "x2"}]
    Try().run(batch(tmp_path, items=items, key="id", fields={"text": "text"}))
    assert [(line["key"], line["output"]) for line in results(tmp_path)] == [("x1", "A"), ("x2", "B")]


def test_a_retry_sends_only_the_rest(space: SpaceHandle, tmp_path: Path) -> None:
    tries = Try()
    first = batch(tmp_path, api="/odd_ones_fail", on_item_error="fail", max_in_flight=1)
    with pytest.raises(ItemFailed, match=r"item 1 \(items\[1\]\) failed: .*cannot do item 1"):
        tries.run(first)
    space.serve(GradioApp(endpoints={"odd_ones_fail": upper}))
    report = tries.run(batch(tmp_path, api="/odd_ones_fail"))
    assert outputs(tmp_path) == expected(12)
    assert (report["called"], report["done"]) == (11, 12)


def test_errors_of_items_are_recorded_in_the_words_of_the_app(space: SpaceHandle, tmp_path: Path) -> None:
    report = Try().run(batch(tmp_path, api="/odd_ones_fail"))
    assert (report["done"], report["failed"]) == (6, 6)
    assert "cannot do item 3" in results(tmp_path)[3]["error"]["message"]
    assert results(tmp_path)[3]["error"]["type"] == "AppFailed"
    assert {each["place"] for each in report["failures"]} == {f"items[{index}]" for index in range(1, 12, 2)}


def test_too_many_failed_items_fail_the_task(space: SpaceHandle, tmp_path: Path) -> None:
    with pytest.raises(TooManyFailures, match="max_failures is 2"):
        Try().run(batch(tmp_path, api="/odd_ones_fail", max_failures="2"))


# The Space


def test_a_sleeping_space_is_woken(hub: HubEmulator, tmp_path: Path) -> None:
    space = hub.add_space(SPACE, hardware="t4-small", stage="SLEEPING", app=GradioApp(endpoints=ENDPOINTS))
    report = Try().run(batch(tmp_path))
    assert outputs(tmp_path) == expected(12)
    assert (space.stage, report["hardware"]) == ("RUNNING", "t4-small")


def test_a_sleeping_space_is_left_asleep_if_that_is_wanted(hub: HubEmulator, tmp_path: Path) -> None:
    space = hub.add_space(SPACE, stage="SLEEPING", app=GradioApp(endpoints=ENDPOINTS))
    with pytest.raises(SpaceWaitFailed, match=r"sleeps, and wake=False forbids waking it"):
        Try().run(batch(tmp_path, wake=False))
    assert space.stage == "SLEEPING"


def test_a_paused_space_ends_the_task_with_its_reason(hub: HubEmulator, tmp_path: Path) -> None:
    space = hub.add_space(SPACE, stage="PAUSED", app=GradioApp(endpoints=ENDPOINTS))
    with pytest.raises(SpaceWaitFailed, match=r"it is paused \(PAUSED\)\. Restart the Space"):
        Try().run(batch(tmp_path))
    assert space.app_requests == []


def test_a_space_on_other_hardware_is_sent_nothing(space: SpaceHandle, tmp_path: Path) -> None:
    with pytest.raises(
        AirflowFailException, match=r"is not on a10g-small, which this task needs: it is RUNNING"
    ):
        Try().run(batch(tmp_path, hardware="a10g-small"))
    assert space.app_requests == []


def test_a_batch_in_a_hardware_group_refuses_to_run_without_the_hardware(
    hub: HubEmulator, tmp_path: Path
) -> None:
    hub.add_space(SPACE, hardware="cpu-basic", app=GradioApp(endpoints=ENDPOINTS))
    group_dag = DAG("grouped", schedule=None, start_date=datetime(2026, 1, 1))
    with group_dag, SpaceHardwareTaskGroup("gpu", SPACE, "t4-small"):
        task = batch(tmp_path)
    with pytest.raises(AirflowFailException, match=r"is not on t4-small, which this task needs"):
        task.pre_execute({"task": task})


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cut", "path": "/queue/data", "frames": 1, "times": 3},
        {"kind": "kill", "path": "/queue/data", "frames": 1, "times": 2},
        {"kind": "reset", "path": "/call/", "after": True, "times": 2},
        {"kind": "status", "path": "/call/", "status": 502, "times": 3},
        {"kind": "html", "path": "/call/", "status": 200, "times": 1},
        {"kind": "queue_full", "path": "/call/", "times": 2},
    ],
    ids=lambda fault: str(fault["kind"]),
)
def test_no_fault_of_the_app_loses_an_item_or_gives_it_a_wrong_value(
    hub: HubEmulator, space: SpaceHandle, tmp_path: Path, fault: dict[str, Any]
) -> None:
    hub.faults.add(Fault(app=SPACE, **fault))
    report = Try().run(batch(tmp_path))
    assert outputs(tmp_path) == expected(12)
    assert (report["done"], report["failed"]) == (12, 0)


def test_the_batch_begins_when_the_app_answers(
    hub: HubEmulator, space: SpaceHandle, tmp_path: Path, task_log: TaskLog
) -> None:
    hub.faults.add(kind="status", app=SPACE, status=503, path="/info", times=1)
    hub.faults.add(kind="status", app=SPACE, status=503, path="/config", times=3)
    Try().run(batch(tmp_path, health="/config"))
    assert outputs(tmp_path) == expected(12)
    assert "runs. Its app does not answer GET /config as expected yet" in task_log.text
    assert next(each.path for each in space.app_requests) == "/config"


def test_a_health_check_of_the_batch_that_cannot_be_valid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^Task 'batch': .*health"):
        batch(tmp_path, health={"page": "/config"})


@pytest.mark.slow
@pytest.mark.parametrize("keep_awake", [True, False])
def test_visits_keep_the_space_awake_during_a_long_call(tmp_path: Path, keep_awake: bool) -> None:
    async def long(text: str, call: CallContext) -> str:
        await call.sleep(20)
        return text.upper()

    # One emulated second is a second here: the intervals of the visits are real.
    with HubEmulator(speed=1) as hub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(hub))
        app = GradioApp(endpoints={"long": long})
        space = hub.add_space(SPACE, hardware="t4-small", sleep_time=9, app=app)
        task = batch(tmp_path, api="/long", items=["a"], keep_awake=keep_awake, max_tries=1)
        report = Try().run(task)
        stages = [moment.stage for moment in space.history if moment.stage == "SLEEPING"]
    if keep_awake:
        assert (report["done"], stages) == (1, [])
    else:
        assert stages


def moving_to(hardware: str) -> Callable[..., Any]:
    """An endpoint that has its own Space move to other hardware in the middle of a call."""
    moves: list[str] = []

    async def upper(text: str, call: CallContext) -> str:
        if text == "item 5" and not moves:
            moves.append(hardware)
            await asyncio.to_thread(HfSpacesHook().request_hardware, SPACE, hardware)
            await call.sleep(600)
        return text.upper()

    return upper


def test_a_change_of_the_hardware_interrupts_the_batch_and_is_in_the_report(
    hub: HubEmulator, tmp_path: Path
) -> None:
    hub.add_space(SPACE, hardware="t4-small", app=GradioApp(endpoints={"upper": moving_to("a10g-small")}))
    report = Try().run(batch(tmp_path, max_in_flight=1))
    assert outputs(tmp_path) == expected(12)
    assert [each["machine"]["hardware"] for each in report["machines"]] == ["t4-small", "a10g-small"]
    assert report["repeated"] == 1


def test_a_change_of_the_hardware_ends_a_batch_that_needs_the_old_one(
    hub: HubEmulator, tmp_path: Path
) -> None:
    hub.add_space(SPACE, hardware="t4-small", app=GradioApp(endpoints={"upper": moving_to("cpu-basic")}))
    with pytest.raises(AirflowFailException, match=r"is not on t4-small, which this task needs"):
        Try().run(batch(tmp_path, max_in_flight=1, hardware="t4-small"))


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api": "/uper"}, r"'/uper' is not an endpoint of Space acme/upper\. Did you mean '/upper'\?"),
        ({"items": [{"text": "a"}, {}]}, r"^items\[1\]: inputs do not fit /upper .*missing: 'text'"),
        ({"items": [{"text": "a", "more": 1}]}, r"^items\[0\]: .*unexpected: 'more'"),
        ({"items": [{"text": 3}]}, r"^items\[0\]: .*'text' must be"),
        ({"items": "missing.jsonl"}, r"^items 'missing\.jsonl' does not exist"),
        (
            {"items": "unknown://bucket/items.jsonl"},
            r"^items='unknown://.* is in a storage that Airflow does not",
        ),
        ({"items": "[1, 2"}, r"^items of task 'batch' begins with '\[' and is not a list"),
        ({"output": "/dev/null/output"}, r"^output '/dev/null/output' cannot be written"),
        ({"files": ["picture"]}, r"^files names 'picture', which /upper of Space acme/upper does not have"),
        ({"key": "id"}, r"^items\[0\] has no field 'id', which key names"),
        ({"fields": {"text": "caption"}}, r"^items\[0\] has no field 'caption', which fields maps"),
    ],
)
def test_bad_input_is_refused_before_a_call_is_sent(
    space: SpaceHandle, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        Try().run(batch(tmp_path / "out", **options))
    assert calls(space) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "FETCH"}, r"^method must be one of DELETE, .*; got 'FETCH'"),
        (
            {"method": "GET", "items": [{"a": 1}, {"a": [1]}]},
            r"^items\[1\]: query\['a'\] must be text, a number or a boolean; got \[1\]",
        ),
        ({"path": "/v1/my echo"}, r"^path must be quoted, without spaces and '#'; got '/v1/my echo'"),
    ],
)
def test_a_plain_request_that_cannot_be_sent_is_refused_and_not_recorded_for_each_item(
    hub: HubEmulator, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    space = hub.add_space(SPACE, sdk="docker", app=DockerApp())
    with pytest.raises(AirflowFailException, match=message):
        Try().run(batch(tmp_path, **{"api": None, "path": "/v1/echo", **options}))
    assert space.app_requests == []
    assert not (tmp_path / "results.jsonl").exists()


def test_a_number_of_tries_in_text_counts_lost_calls(
    hub: HubEmulator, space: SpaceHandle, tmp_path: Path
) -> None:
    hub.faults.add(kind="reset", app=SPACE, method="POST", path="/call/", after=True, times=1)
    report = Try().run(batch(tmp_path, items=texts(1), max_tries="2"))
    assert (report["done"], report["repeated"]) == (1, 1)


def test_a_huge_number_of_calls_in_flight_costs_nothing(space: SpaceHandle, tmp_path: Path) -> None:
    Try().run(batch(tmp_path, max_in_flight=10**9))
    assert outputs(tmp_path) == expected(12)


def test_a_line_that_is_not_json_is_refused_before_any_request(
    hub: HubEmulator, space: SpaceHandle, tmp_path: Path
) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text('{"text": "a"}\n{"text": \n')
    with pytest.raises(AirflowFailException, match=r"^items\.jsonl, line 2 is not JSON"):
        Try().run(batch(tmp_path / "out", items=str(file)))
    assert hub.requests == []


def test_changed_items_are_refused(space: SpaceHandle, tmp_path: Path) -> None:
    Try().run(batch(tmp_path))
    with pytest.raises(AirflowFailException, match="the items have changed since"):
        Try().run(batch(tmp_path, items=texts(12)[::-1]))


def test_an_api_of_an_app_that_is_not_gradio_is_refused(hub: HubEmulator, tmp_path: Path) -> None:
    hub.add_space("acme/docker", sdk="docker", app=DockerApp())
    with pytest.raises(AirflowFailException, match="acme/docker"):
        Try().run(batch(tmp_path, repo_id="acme/docker"))


def test_a_static_space_and_a_private_space_of_others_are_refused(hub: HubEmulator, tmp_path: Path) -> None:
    hub.add_space("acme/page", sdk="static")
    hub.add_space("other/secret", private=True)
    with pytest.raises(AirflowFailException, match=r"^Space acme/page is static"):
        Try().run(batch(tmp_path, repo_id="acme/page"))
    with pytest.raises(AirflowFailException, match="other/secret"):
        Try().run(batch(tmp_path, repo_id="other/secret"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api": None}, r"^api and path of task 'batch': set one of them"),
        ({"path": "/v1/echo"}, r"^api and path of task 'batch': set one of them"),
        (
            {"on_item_error": "ignore"},
            r"^on_item_error of task 'batch' must be 'record' or 'fail'; got 'ignore'",
        ),
        ({"max_in_flight": 0}, r"^max_in_flight of task 'batch' must be a whole number of at least 1"),
        ({"max_in_flight": "many"}, r"^max_in_flight of task 'batch' must be a whole number of at least 1"),
        ({"max_failures": -1}, r"^max_failures of task 'batch' must be a whole number of at least 0"),
        ({"max_tries": 0}, r"^max_tries of task 'batch' must be a whole number"),
        ({"api": 3}, r"^api of task 'batch' must be the name of an endpoint"),
        ({"api": None, "path": "v1/echo"}, r"^path of task 'batch' must begin with one '/'"),
        ({"api": None, "path": "/v1/echo", "poll": "often"}, r"^poll must be True, a number of seconds or"),
        ({"poll": True}, r"^poll of task 'batch' has no effect with api: it belongs to path"),
        (
            {"api": None, "path": "/v1/echo", "files": ["image"]},
            r"^files of task 'batch' has no effect with path: it belongs to api",
        ),
        ({"items": ""}, r"^items of task 'batch' is empty"),
        ({"items": {"text": "a"}}, r"^items of task 'batch' must be a list or a path; got a mapping"),
        ({"output": " "}, r"^output of task 'batch' is empty"),
        ({"inputs": ["a"]}, r"^inputs of task 'batch' must be a mapping"),
        ({"wake": "no"}, r"^wake of task 'batch' must be True or False"),
        ({"call_timeout": 0}, r"^call_timeout of task 'batch' must be a number of seconds"),
    ],
)
def test_arguments_that_cannot_be_valid_are_refused_when_the_dag_is_parsed(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        batch(tmp_path, **options)


def test_templates_are_not_refused_when_the_dag_is_parsed() -> None:
    template = "{{ params.value }}"
    operator = SpaceBatchOperator(
        task_id="batch",
        repo_id=template,
        api=template,
        items=template,
        output=template,
        inputs=template,
        fields=template,
        max_in_flight=template,
        max_failures=template,
        hardware=template,
    )
    assert (operator.repo_id, operator.items, operator.hardware) == (template, template, template)


# Kills


class Hanging:
    """An app that answers the first five items and hangs at the sixth, and what happens then.

    :param act: called once the batch knows that the app works on the sixth item.
    """

    def __init__(self, hub: HubEmulator, act: Callable[[], Any]) -> None:
        # Otherwise the time would jump to the end of the call that hangs.
        hub.settings.seconds_per_request = 0
        self.space = hub.add_space(SPACE, app=GradioApp(endpoints={"upper": self._upper}))
        self._act, self._is_at_sixth_item = act, threading.Event()
        self._thread = threading.Thread(target=self._wait)

    def __enter__(self) -> SpaceHandle:
        self._thread.start()
        return self.space

    def __exit__(self, *error: object) -> None:
        self._thread.join()

    async def _upper(self, text: str, call: CallContext) -> str:
        if int(text.rpartition(" ")[2]) >= 5:
            self._is_at_sixth_item.set()
            await call.sleep(10_000_000)
        return text.upper()

    def _wait(self) -> None:
        self._is_at_sixth_item.wait(60)
        # From here on the task knows the call's id, without which it could not cancel it.
        while len([each for each in self.space.app_requests if each.path.endswith("/queue/data")]) < 6:
            time.sleep(0.01)
        self._act()


def continues(space: SpaceHandle, folder: Path) -> None:
    """The sixth call is cancelled in the app, and the next run sends only the rest, at once."""
    assert space.app_requests[-1].path.endswith("/cancel")
    space.serve(GradioApp(endpoints={"upper": upper}))
    report = Try().run(batch(folder))
    assert outputs(folder) == expected(12)
    assert report["called"] == 7


def test_a_killed_task_cancels_its_calls_and_keeps_its_answers(hub: HubEmulator, tmp_path: Path) -> None:
    task = batch(tmp_path, max_in_flight=1)
    raises_stop = pytest.raises(BatchStopped, match=r"the batch was stopped: the task was killed")
    with Hanging(hub, task.on_kill) as space, raises_stop:
        Try().run(task)
    continues(space, tmp_path)


def test_an_exception_that_airflow_raises_in_the_task_ends_the_batch_in_order(
    hub: HubEmulator, tmp_path: Path
) -> None:
    class TaskTimeout(BaseException):
        """As Airflow raises it from a signal handler when ``execution_timeout`` is over."""

    def raise_timeout(*signal: object) -> None:
        raise TaskTimeout

    before = signal.signal(signal.SIGUSR1, raise_timeout)
    try:
        with Hanging(hub, lambda: os.kill(os.getpid(), signal.SIGUSR1)) as space, pytest.raises(TaskTimeout):
            Try().run(batch(tmp_path, max_in_flight=1))
    finally:
        signal.signal(signal.SIGUSR1, before)
    continues(space, tmp_path)


def test_a_batch_ends_at_its_execution_timeout(hub: HubEmulator, tmp_path: Path) -> None:
    raises_timeout = pytest.raises(BatchTimeout, match=r"did not end within 3 seconds; .*items done")
    with Hanging(hub, lambda: None) as space, raises_timeout:
        Try().run(batch(tmp_path, max_in_flight=1, execution_timeout=timedelta(seconds=3)))
    space.serve(GradioApp(endpoints={"upper": upper}))
    Try().run(batch(tmp_path))
    assert outputs(tmp_path) == expected(12)


# Plain HTTP and files


def test_a_plain_app_is_sent_each_item_as_json(hub: HubEmulator, tmp_path: Path) -> None:
    hub.add_space(SPACE, private=True, sdk="docker", app=DockerApp())
    Try().run(batch(tmp_path, api=None, path="/v1/echo", items=[{"a": 1}, [2], "three"]))
    assert outputs(tmp_path) == [{"a": 1}, [2], "three"]


def test_an_answer_that_is_not_the_json_it_claims_to_be_fails_its_item_alone(
    hub: HubEmulator, tmp_path: Path
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        kind = {b'"lines"': b"application/x-ndjson"}.get(body, b"application/json")
        answer = {b'"broken"': b'{"a": ', b'"lines"': b'{"a": 1}\n{"a": 2}', b'"nan"': b'{"a": NaN}'}[body]
        headers = [(b"content-type", kind)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    hub.add_space(SPACE, sdk="docker", app=app)
    report = Try().run(batch(tmp_path, api=None, path="/any", items=["broken", "lines", "nan"]))
    assert (report["done"], report["failed"]) == (2, 1)
    broken_item, lines, nan = results(tmp_path)
    assert broken_item["error"]["type"] == "AppProtocolError"
    assert (tmp_path / lines["output"]["path"]).read_bytes() == b'{"a": 1}\n{"a": 2}'
    assert nan["output"] == {"a": None}


def test_an_app_that_answers_202_is_polled(hub: HubEmulator, tmp_path: Path) -> None:
    hub.add_space(SPACE, private=True, sdk="docker", app=DockerApp())
    items = [{"value": number, "seconds": 1} for number in range(3)]
    Try().run(batch(tmp_path, api=None, path="/v1/jobs", poll=True, items=items))
    assert [output["result"] for output in outputs(tmp_path)] == [0, 1, 2]


def test_files_are_uploaded_from_the_folder_of_the_items_and_downloaded_to_the_output(
    hub: HubEmulator, tmp_path: Path
) -> None:
    def loud(file: Path) -> Path:
        target = file.with_name("loud.txt")
        target.write_text(file.read_text().upper())
        return target

    hub.add_space(SPACE, private=True, app=GradioApp(endpoints={"upper": loud}))
    items, output = tmp_path / "items.jsonl", tmp_path / "out"
    items.write_text('{"file": "a.txt"}\n{"file": "b.txt"}\n')
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "b.txt").write_text("second")
    Try().run(batch(output, items=str(items), files="file"))
    paths = [line["path"] for line in outputs(output)]
    assert paths == ["files/000000/0-loud.txt", "files/000001/0-loud.txt"]
    assert [(output / path).read_text() for path in paths] == ["FIRST", "SECOND"]


def test_every_file_of_an_answer_is_stored(hub: HubEmulator, tmp_path: Path) -> None:
    def pictures(text: str) -> Gallery:
        folder = tmp_path / text
        folder.mkdir(exist_ok=True)
        paths = [folder / f"{text} {number}.png" for number in range(2)]
        for path in paths:
            path.write_bytes(path.name.encode())
        return Gallery([(path, path.name) for path in paths])

    hub.add_space(SPACE, app=GradioApp(endpoints={"upper": pictures}))
    Try().run(batch(tmp_path / "out", items=["a", "b"]))
    assert [path.read_text() for path in sorted((tmp_path / "out" / "files").rglob("*.png"))] == [
        "a 0.png",
        "a 1.png",
        "b 0.png",
        "b 1.png",
    ]


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "file:///etc/hostname"])
def test_items_cannot_name_other_files_of_the_worker(hub: HubEmulator, tmp_path: Path, name: str) -> None:
    def size(file: Path) -> int:
        return len(file.read_bytes())

    space = hub.add_space(SPACE, app=GradioApp(endpoints={"upper": size}))
    folder = tmp_path / "items"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "items.jsonl").write_text(json.dumps({"file": name}))
    with pytest.raises(AirflowFailException, match=r"line 1: file .* is outside the folder of the items"):
        Try().run(batch(tmp_path / "out", items=str(folder / "items.jsonl"), files=["file"]))
    assert [each for each in space.app_requests if "upload" in each.path] == []


# Assets


def test_the_event_of_the_spaces_asset_says_what_was_done(space: SpaceHandle, tmp_path: Path) -> None:
    events = OutletEvents()
    Try().run(batch(tmp_path, outlets=[space_asset(SPACE)]), outlet_events=events)
    (extra,) = [event.extra for event in events.events.values()]
    assert (extra["items"], extra["done"], extra["failed"]) == (12, 12, 0)
    assert extra["results"] == str(tmp_path / "results.jsonl")


def test_a_batch_inside_a_group_leaves_the_record_of_its_cost_to_the_group(
    space: SpaceHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import date

    from airflow_provider_hfspaces.state.run_costs import run_costs
    from tests.airflow_tools import dag_file
    from tests.airflow_variables import AirflowVariables

    AirflowVariables(monkeypatch)

    def count_recorded_runs() -> int:
        return sum(each.runs for each in run_costs(since=date(2026, 1, 1)))

    in_group = batch(tmp_path / "in a group")
    in_group.task_group = dag_file("leases").lease.task_group.children["gpu"]
    tries = Try()
    tries.run(in_group)
    assert tries.xcom("batch", "cost")["billed_seconds"] == 60
    assert count_recorded_runs() == 0
    Try().run(batch(tmp_path / "alone"))
    assert count_recorded_runs() == 1


@pytest.mark.parametrize(("requested_for", "runs"), [(SPACE.upper(), 0), ("acme/other", 1)])
def test_a_batch_between_an_upgrade_and_a_restore_leaves_the_record_of_its_cost_to_the_restore(
    space: SpaceHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requested_for: str, runs: int
) -> None:
    from datetime import date

    from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator, RestoreHardwareOperator
    from airflow_provider_hfspaces.state.run_costs import run_costs
    from tests.airflow_tools import dag_file
    from tests.airflow_variables import AirflowVariables

    AirflowVariables(monkeypatch)
    with type(dag_file("leases").lease)("window"):
        upgrade = RequestHardwareOperator(task_id="upgrade", repo_id=SPACE, hardware="t4-small")
        work = batch(tmp_path)
        restore = RestoreHardwareOperator(task_id="restore", repo_id=SPACE, from_task="upgrade")
        upgrade >> work >> restore
    tries = Try(upgrade, work, restore)
    tries.ti.xcoms["upgrade", "sightings"] = {"repo_id": requested_for, "requested": [], "sightings": []}
    tries.run(work)
    assert tries.xcom("batch", "cost")["billed_seconds"] == 60
    assert sum(each.runs for each in run_costs(since=date(2026, 1, 1))) == runs
