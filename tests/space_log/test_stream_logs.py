"""stream_logs: the log of a Space in the log of its task, in the worker and in the triggerer."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3, mask_secret
from airflow_provider_hfspaces.emulator import GradioApp, HubEmulator, SpaceHandle
from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed
from airflow_provider_hfspaces.operators.app import CallSpaceOperator, SpaceBatchOperator
from airflow_provider_hfspaces.operators.deploy import DeploySpaceOperator
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator
from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator
from airflow_provider_hfspaces.sensors.spaces import SpaceRunningSensor
from airflow_provider_hfspaces.task_groups.copies import SpaceCopyTaskGroup
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup
from tests.airflow_tools import Try, first_event, reload_trigger
from tests.conftest import TaskLog

SPACE = "acme/whisper"
BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
WORKER = pytest.mark.parametrize(
    "deferrable", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["worker", "triggerer"]
)
TRIGGERER = pytest.mark.parametrize(
    "deferrable", [pytest.param(False, marks=pytest.mark.slow), True], ids=["worker", "triggerer"]
)


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow 2.11 masks secrets of any length, so that one letter of another test masks every text."""
    if not AIRFLOW_3:
        from airflow.utils.log.secrets_masker import _secrets_masker

        monkeypatch.setattr(_secrets_masker(), "patterns", set())
        monkeypatch.setattr(_secrets_masker(), "replacer", None)


def restart(**options: Any) -> RestartSpaceOperator:
    defaults = {"task_id": "restart", "repo_id": SPACE, "poll_interval": 0.05, "timeout": 3000}
    return RestartSpaceOperator(**{**defaults, "stream_logs": "both", **options})


def run(operator: Any, resume: Callable[[Any], Any] = lambda operator: operator) -> Any:
    """Run an operator through every deferral, each resumed in another process."""
    tries = Try()
    step: Callable[[], Any] = partial(tries.run, operator)
    while (deferred := deferral(step)) is not None:
        event = first_event(reload_trigger(deferred.trigger))
        fresh = resume(operator)
        step = partial(getattr(fresh, deferred.method_name), tries.context(fresh), event)
    return results.pop()


results: list[Any] = []
"""What the last step of an operator has returned."""


def deferral(step: Callable[[], Any]) -> Any:
    """The exception with which a step defers; ``None`` if it returns a result."""
    try:
        results.append(step())
    except BaseException as raised:
        if type(raised).__name__ == "TaskDeferred":
            return raised
        raise
    return None


def log_lines(task_log: TaskLog) -> list[str]:
    """The lines of the task's log. Some versions of Airflow log each line in two ways."""
    text = task_log.text
    return re.findall(r"^[A-Z]+ +airflow\S*:\w+\.py:\d+ (.*)$", text, re.MULTILINE) or text.splitlines()


def space_log_lines(task_log: TaskLog, kind: str = "run") -> list[str]:
    """The lines of the Space's log in the task's log, up to where the place in the code is logged."""
    pattern = re.compile(rf".*{SPACE} {kind} \| (?!…)(.*?)\s*(?:\[airflow\S*\].*)?$")
    return [match[1] for line in log_lines(task_log) if (match := pattern.fullmatch(line))]


@BOTH
def test_the_log_of_a_build_and_of_a_start_is_shown_once_and_in_order(
    hub: HubEmulator, deferrable: bool, task_log: TaskLog
) -> None:
    space = hub.add_space(SPACE, hardware="t4-small")
    space.write_log("an old line")
    hub.advance(60)
    run(restart(deferrable=deferrable))
    assert space_log_lines(task_log, "build") == space.logs(build=True)
    assert space_log_lines(task_log, "run") == space.logs()


@TRIGGERER
def test_only_the_chosen_log_is_read(hub: HubEmulator, deferrable: bool, task_log: TaskLog) -> None:
    hub.add_space(SPACE)
    run(restart(deferrable=deferrable, stream_logs="run"))
    assert space_log_lines(task_log, "run")
    assert not space_log_lines(task_log, "build")
    assert not [request for request in hub.requests if request.path.endswith("/logs/build")]


def test_without_the_argument_no_log_is_read(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.add_space(SPACE)
    run(restart(stream_logs=None))
    assert not [request for request in hub.requests if "/logs/" in request.path]
    assert not space_log_lines(task_log)


@WORKER
def test_a_copy_shows_all_that_it_has_logged(hub: HubEmulator, deferrable: bool, task_log: TaskLog) -> None:
    hub.add_space("acme/source")
    copying = DuplicateSpaceOperator(
        task_id="copy",
        from_id="acme/source",
        to_id=SPACE,
        wait=True,
        poll_interval=0.05,
        timeout=3000,
        stream_logs="both",
        deferrable=deferrable,
    )
    run(copying)
    assert space_log_lines(task_log, "build") == hub.space(SPACE).logs(build=True)
    assert space_log_lines(task_log, "run") == hub.space(SPACE).logs()


@TRIGGERER
def test_the_log_of_a_failed_build_is_shown_once(
    hub: HubEmulator, deferrable: bool, task_log: TaskLog
) -> None:
    space = hub.add_space(SPACE)
    space.fail_next_build(log=["ERROR: No matching distribution lines_shown for torhc"])
    with pytest.raises(SpaceWaitFailed):
        run(restart(deferrable=deferrable))
    assert space_log_lines(task_log, "build") == space.logs(build=True)
    assert sum("No matching distribution lines_shown for torhc" in line for line in log_lines(task_log)) == 1
    assert "The last lines of" not in task_log.text


def logging_app(space: Callable[[], SpaceHandle], *lines: str) -> GradioApp:
    """An app that writes into its log during each call."""

    def echo(text: str) -> str:
        space().write_log(*lines)
        return text

    return GradioApp(endpoints={"echo": echo})


def call(**options: Any) -> CallSpaceOperator:
    defaults: dict[str, Any] = {"task_id": "call", "repo_id": SPACE}
    defaults |= {"api": "/echo", "inputs": {"text": "hello"}}
    defaults |= {"poll_interval": 0.05, "timeout": 600, "stream_logs": "run"}
    return CallSpaceOperator(**{**defaults, **options})


@BOTH
def test_a_call_shows_what_the_app_logs_from_waking_up_to_the_answer(
    hub: HubEmulator, deferrable: bool, task_log: TaskLog
) -> None:
    app = logging_app(lambda: hub.space(SPACE), "step 1", "step 2")
    space = hub.add_space(SPACE, stage="SLEEPING", app=app)
    assert run(call(deferrable=deferrable), lambda _: call(deferrable=deferrable)) == "hello"
    assert space_log_lines(task_log) == space.logs()
    assert space.logs()[-2:] == ["step 1", "step 2"]


def test_a_batch_shows_what_the_app_logs(hub: HubEmulator, tmp_path: Any, task_log: TaskLog) -> None:
    space = hub.add_space(SPACE, app=logging_app(lambda: hub.space(SPACE), "an item"))
    hub.advance(60)
    batch = SpaceBatchOperator(
        task_id="batch",
        repo_id=SPACE,
        api="/echo",
        items=[{"text": "a"}, {"text": "b"}],
        output=str(tmp_path),
        stream_logs="run",
    )
    assert run(batch)["done"] == 2
    assert space_log_lines(task_log) == ["an item", "an item"]
    assert space.logs()[-2:] == ["an item", "an item"]


@TRIGGERER
def test_secrets_are_masked_and_commands_to_the_terminal_are_removed(
    hub: HubEmulator, deferrable: bool, task_log: TaskLog
) -> None:
    mask_secret("correct-horse-battery")
    lines = [
        "\x1b[32mgreen\x1b[0m",
        "bell\x07 and\x00 null",
        "10%\r50%\r100%",
        "\x1b]8;;https://example.com\x07link\x1b]8;;\x07",
        "password correct-horse-battery",
        "colored correct\x1b[1m-horse-\x1b[0mbattery",
        "token hf_AbCdEfGhIjKlMnOpQrStUvWx",
        "x" * 995 + "correct-horse-battery",
        "forged\u2028line",
    ]
    space = hub.add_space(SPACE, app=logging_app(lambda: hub.space(SPACE), *lines))
    hub.advance(60)
    run(call(deferrable=deferrable), lambda _: call(deferrable=deferrable))
    assert space.logs()[-len(lines) :] == lines
    assert space_log_lines(task_log) == [
        "green",
        "bell  and  null",
        "100%",
        "link",
        "password ***",
        "colored ***",
        "token hf_***",
        "x" * 995 + "***",
        "forged line",
    ]
    assert "horse" not in task_log.text


@WORKER
def test_no_more_lines_are_shown_than_the_configuration_says(
    hub: HubEmulator, deferrable: bool, task_log: TaskLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__HF_SPACES__LOG_LINES", "20")
    lines = [f"line {number}" for number in range(50)]
    hub.add_space(SPACE, app=logging_app(lambda: hub.space(SPACE), *lines))
    hub.advance(60)
    run(call(deferrable=deferrable), lambda _: call(deferrable=deferrable))
    assert space_log_lines(task_log) == lines[:20]
    assert "the task shows 20 lines at most, as [hf_spaces] log_lines sets" in task_log.text
    assert f"… 30 lines are left out here. The whole log: {hub.url}/spaces/{SPACE}?logs=container" in (
        task_log.text
    )


@TRIGGERER
def test_a_flood_of_lines_is_thinned_out(
    hub: HubEmulator, deferrable: bool, task_log: TaskLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__HF_SPACES__LOG_LINES_PER_SECOND", "1")
    lines = [f"line {number}" for number in range(500)]
    hub.add_space(SPACE, app=logging_app(lambda: hub.space(SPACE), *lines))
    hub.advance(60)
    run(call(deferrable=deferrable), lambda _: call(deferrable=deferrable))
    lines_shown = space_log_lines(task_log)
    assert lines_shown[:10] == lines[:10]
    left_out = re.findall(r"… ([\d,]+) lines are left out here", "\n".join(log_lines(task_log)))
    assert len(lines_shown) + sum(int(number) for number in left_out) == 500


@pytest.mark.parametrize(
    ("fault", "deferrable", "warnings"),
    [
        ({"kind": "status", "status": 403}, False, {1}),
        ({"kind": "status", "status": 403}, True, {1}),
        ({"kind": "status", "status": 503}, True, {0, 1}),
        pytest.param({"kind": "html"}, False, {0, 1}, marks=pytest.mark.slow),
        pytest.param({"kind": "silence"}, False, {0}, marks=pytest.mark.slow),
        pytest.param({"kind": "cut", "frames": 0}, True, {0, 1}, marks=pytest.mark.slow),
    ],
    ids=["403-worker", "403-triggerer", "503", "html", "silence", "cut"],
)
def test_a_log_that_cannot_be_read_does_not_affect_the_wait(
    hub: HubEmulator, fault: dict[str, Any], deferrable: bool, warnings: set[int], task_log: TaskLog
) -> None:
    hub.add_space(SPACE)
    hub.faults.add(path="/logs/", **fault)
    assert run(restart(deferrable=deferrable, stream_logs="run"))["stage"] == "RUNNING"
    assert not space_log_lines(task_log)
    assert (
        sum("log of Space acme/whisper cannot be shown" in line for line in log_lines(task_log)) in warnings
    )


@BOTH
def test_cuts_in_the_middle_of_lines_lose_and_repeat_nothing(
    hub: HubEmulator, deferrable: bool, task_log: TaskLog
) -> None:
    lines = [f"line {number}" for number in range(20)]
    space = hub.add_space(SPACE, app=logging_app(lambda: hub.space(SPACE), *lines))
    hub.advance(60)
    for frames in (1, 5):
        hub.faults.add(kind="cut", path="/logs/run", frames=frames, times=1)
    run(call(deferrable=deferrable), lambda _: call(deferrable=deferrable))
    assert space_log_lines(task_log) == space.logs()[-20:] == lines


def test_values_that_are_not_valid_are_refused_when_the_dag_is_parsed(dag: Any) -> None:
    match = "stream_logs of task 'restart' must be 'build', 'run', 'both' or None; got 'all'"
    with pytest.raises(ValueError, match=match):
        restart(stream_logs="all")
    with dag, pytest.raises(ValueError, match="stream_logs of task group 'gpu' must be"):
        SpaceHardwareTaskGroup("gpu", repo_id=SPACE, hardware="t4-small", stream_logs="yes")
    with pytest.raises(ValueError, match="stream_logs of task 'batch' must be"):
        SpaceBatchOperator(
            task_id="batch", repo_id=SPACE, api="/echo", items=[], output="out", stream_logs="logs"
        )


def test_an_argument_without_effect_is_refused() -> None:
    with pytest.raises(ValueError, match="stream_logs of task 'restart' has no effect with wait=False"):
        restart(wait=False)
    restart(wait=False, stream_logs=None, default_args={"stream_logs": "run"})


def test_groups_pass_the_argument_to_the_task_that_waits(dag: Any) -> None:
    with dag, SpaceHardwareTaskGroup("gpu", repo_id=SPACE, hardware="t4-small", stream_logs="both") as group:
        RestartSpaceOperator(task_id="work", repo_id=SPACE)
    assert group.upgrade.stream_logs == "both"
    assert group.restore.stream_logs is None
    with dag, SpaceCopyTaskGroup("copy", repo_id=SPACE, hardware="t4-small", stream_logs="run") as copies:
        RestartSpaceOperator(task_id="work", repo_id=copies.repo_id)
    assert copies.create.stream_logs == "run"


@pytest.fixture
def dag() -> Any:
    if AIRFLOW_3:
        from airflow.sdk import DAG
    else:
        from airflow import DAG

    return DAG("streaming", schedule=None)


@TRIGGERER
def test_a_deployment_shows_the_build_of_its_commit_and_not_what_came_before(
    hub: HubEmulator, deferrable: bool, tmp_path: Path, task_log: TaskLog
) -> None:
    space = hub.add_space(SPACE)
    space.write_log("an old line")
    hub.advance(60)
    (tmp_path / "app.py").write_text("print(1)")
    deploy = DeploySpaceOperator(
        task_id="deploy",
        repo_id=SPACE,
        source=str(tmp_path),
        poll_interval=0.05,
        stream_logs="both",
        deferrable=deferrable,
    )
    assert run(deploy)["committed"]
    assert space_log_lines(task_log, "build") == space.logs(build=True)
    assert space_log_lines(task_log, "run") == space.logs()


def test_a_kill_ends_the_logs_with_the_wait(hub: HubEmulator, task_log: TaskLog) -> None:
    hub.settings.change({"timings": {"build": 10**6}})
    hub.add_space(SPACE)
    operator = restart()

    def kill_when_shown() -> None:
        while not space_log_lines(task_log, "build"):
            time.sleep(0.05)
        operator.on_kill()

    killer = threading.Thread(target=kill_when_shown)
    killer.start()
    with pytest.raises(SpaceWaitFailed, match="was stopped"):
        run(operator)
    killer.join()
    assert "space-log" not in {thread.name for thread in threading.enumerate()}


@WORKER
def test_a_sensor_shows_the_log_from_its_beginning_on(
    hub: HubEmulator, deferrable: bool, task_log: TaskLog
) -> None:
    space = hub.add_space(SPACE)
    space.write_log("an old line")
    hub.advance(60)
    run(restart(wait=False, stream_logs=None))
    sensor = SpaceRunningSensor(
        task_id="running", repo_id=SPACE, poke_interval=0.05, stream_logs="run", deferrable=deferrable
    )
    run(sensor)
    assert space_log_lines(task_log) == space.logs()


def test_a_sensor_that_leaves_its_worker_between_two_looks_refuses_the_argument() -> None:
    with pytest.raises(
        ValueError, match="stream_logs of task 'running' has no effect with mode='reschedule'"
    ):
        SpaceRunningSensor(task_id="running", repo_id=SPACE, stream_logs="run", mode="reschedule")


def test_an_upgrade_shows_what_the_space_logs_on_its_way(hub: HubEmulator, task_log: TaskLog) -> None:
    space = hub.add_space(SPACE)
    hub.advance(60)
    operator = RequestHardwareOperator(
        task_id="upgrade", repo_id=SPACE, hardware="t4-small", poll_interval=0.05, stream_logs="both"
    )
    run(operator)
    assert space_log_lines(task_log, "build") == space.logs(build=True)
    assert space_log_lines(task_log, "run") == space.logs()
