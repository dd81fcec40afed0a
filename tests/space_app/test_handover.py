"""One client sends a call, and another one, in another process, reads its answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import DockerApp, GradioApp, HubEmulator, SpaceHandle
from airflow_provider_hfspaces.space_app import (
    AppCallLost,
    AppFailed,
    AppQueueFull,
    AppResponse,
    AppResult,
    SpaceApp,
    StartedCall,
    UnknownEndpoint,
)

SPACE = "acme/caption"


def app_of(hub: HubEmulator, space: SpaceHandle) -> SpaceApp:
    return SpaceApp(SPACE, space.app_url, hub.token)


def in_another_process(call: Any) -> StartedCall:
    """The call as another process receives it."""
    assert isinstance(call, StartedCall)
    return StartedCall.from_dict(json.loads(json.dumps(call.to_dict())))


def answer(result: AppResult | AppResponse) -> Any:
    return result.value if isinstance(result, AppResult) else result.json()


@pytest.mark.parametrize("version", [4, 5, 6])
def test_another_client_reads_the_answer(hub: HubEmulator, version: int) -> None:
    space = hub.add_space(SPACE, private=True, app=GradioApp(version=version))
    with app_of(hub, space) as sender, app_of(hub, space) as reader:
        call = in_another_process(sender.start("/echo", {"text": "hé\u2028llo"}))
        assert answer(reader.result(call, timeout=20)) == "hé\u2028llo"
    assert hub.token not in json.dumps(call.to_dict())


def test_many_answers_are_read_on_one_loop(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    with app_of(hub, space) as sender:
        calls = [in_another_process(sender.start("/echo", [str(number)])) for number in range(20)]

    async def read() -> list[Any]:
        async with app_of(hub, space) as reader:
            return await asyncio.gather(*(reader.aresult(call, timeout=20) for call in calls))

    assert [answer(result) for result in asyncio.run(read())] == [str(number) for number in range(20)]


def test_an_answer_that_was_read_and_one_of_a_former_app_are_lost(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    with app_of(hub, space) as app:
        call = in_another_process(app.start("/echo", ["x"]))
        space.kill_app()
        with pytest.raises(AppCallLost) as excinfo:
            app.result(call, timeout=20)
    assert excinfo.value.may_have_run


def test_a_refused_call_is_not_sent_again(hub: HubEmulator) -> None:
    hub.settings.seconds_per_request = 0  # the time does not jump to the end of the work
    space = hub.add_space(SPACE, app=GradioApp(queue_size=1, seconds=3000))
    with app_of(hub, space) as app:

        def fill() -> None:  # one call runs, one waits
            for number in range(4):
                app.start("/echo", [str(number)])

        with pytest.raises(AppQueueFull):
            fill()
        assert asyncio.run(app.aqueue_length()) == 1
        with pytest.raises(UnknownEndpoint):
            app.start("/unknown", ["x"])


def test_the_apps_own_error_reaches_the_reader(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    with app_of(hub, space) as app, pytest.raises(AppFailed):
        app.result(in_another_process(app.start("/gr_error", ["x"])), timeout=20)


def test_the_status_of_a_plain_app_is_followed_from_another_process(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, sdk="docker", app=DockerApp(seconds=60))
    with app_of(hub, space) as sender, app_of(hub, space) as reader:
        call = sender.start_request("POST", "/v1/jobs", json={"value": 7}, poll={"interval": 0.02})
        for _ in range(2):  # the app keeps the answer
            assert answer(reader.result(in_another_process(call), timeout=20))["result"] == 7


def test_the_work_of_a_former_plain_app_is_lost(hub: HubEmulator) -> None:
    hub.settings.seconds_per_request = 0  # the time does not jump to the end of the work
    space = hub.add_space(SPACE, sdk="docker", app=DockerApp(seconds=10**6))
    with app_of(hub, space) as app:
        call = in_another_process(app.start_request("POST", "/v1/jobs", json={}, poll=0.02))
        space.kill_app()
        with pytest.raises(AppCallLost, match="no longer knows the work"):
            app.result(call, timeout=20)


def test_a_status_on_another_host_is_not_read(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, sdk="docker")
    foreign = StartedCall("POST /v1/jobs", address="https://evil.test/status")
    with app_of(hub, space) as app, pytest.raises(Exception, match="another host"):
        app.result(foreign, timeout=5)
