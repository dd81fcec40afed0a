"""Faults strike the apps of Spaces: pages of the edge, lost answers, cut streams, killed processes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from airflow_provider_hfspaces.emulator import Fault, GradioApp, HubEmulator, SpaceHandle
from airflow_provider_hfspaces.emulator.faults.apps import APP_KINDS
from airflow_provider_hfspaces.emulator.faults.kinds import KINDS
from tests.conftest import ROOT
from tests.emulator.apps import GradioCaller, caller, wait_until
from tests.emulator.conftest import Ask

SPACE = "acme/caption"
PAGE = Path(ROOT) / "docs" / "emulator.md"


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 0, "seconds_per_request": 1}


@pytest.fixture
def space(hub: HubEmulator) -> SpaceHandle:
    return hub.add_space(SPACE, app=GradioApp())


@pytest.fixture
def gradio(hub: HubEmulator, space: SpaceHandle) -> Iterator[GradioCaller]:
    gradio = caller(hub, space)
    with gradio.http:
        yield gradio


def test_a_running_app_may_not_serve_for_some_requests(hub: HubEmulator, gradio: GradioCaller) -> None:
    hub.faults.add(kind="status", app=SPACE, times=2)
    answers = [gradio.http.get("/config") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [502, 502, 200]
    assert answers[0].headers["content-type"].startswith("text/html")
    assert "x-proxied-host" not in answers[0].headers
    assert len(hub.space(SPACE).app_requests) == 1


@pytest.mark.parametrize("status", [503, 504])
def test_the_edge_answers_with_a_page_of_any_status(
    hub: HubEmulator, gradio: GradioCaller, status: int
) -> None:
    hub.faults.add(kind="status", app=SPACE, status=status, seconds=7)
    answer = gradio.post("/call/echo", data=["x"])
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "7")
    assert hub.space(SPACE).app_requests == []


def test_a_placeholder_page_comes_with_status_200(hub: HubEmulator, gradio: GradioCaller) -> None:
    hub.faults.add(kind="html", app=SPACE)
    answer = gradio.http.get("/config")
    assert (answer.status_code, "Preparing Space" in answer.text) == (200, True)


@pytest.mark.parametrize("after", [False, True])
def test_the_answer_of_a_post_is_lost(hub: HubEmulator, gradio: GradioCaller, after: bool) -> None:
    hub.faults.add(kind="reset", app=SPACE, method="POST", path="/call/", after=after)
    with pytest.raises(httpx.TransportError):
        gradio.post("/call/echo", data=["x"])
    requests_seen = hub.space(SPACE).app_requests
    assert [(each.path, each.fault) for each in requests_seen] == (
        [("/gradio_api/call/echo", "reset")] if after else []
    )


def test_an_answer_never_comes(hub: HubEmulator, gradio: GradioCaller, space: SpaceHandle) -> None:
    hub.faults.add(kind="silence", app=SPACE, after=True, times=1)
    with pytest.raises(httpx.ReadTimeout):
        gradio.http.get("/config", timeout=0.2)
    assert len(space.app_requests) == 1
    assert gradio.http.get("/config").status_code == 200


def test_a_silent_connection_breaks_with_the_process(hub: HubEmulator, space: SpaceHandle) -> None:
    hub.faults.add(kind="silence", app=SPACE, after=True)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(requests.get, f"{space.app_url}/config", timeout=10)
        wait_until(lambda: space.app_requests)
        space.kill_app()
        assert isinstance(answer.exception(10), requests.ConnectionError)


def test_a_stream_breaks_off_after_some_frames_while_the_app_continues(
    hub: HubEmulator, gradio: GradioCaller, space: SpaceHandle
) -> None:
    hub.faults.add(kind="cut", app=SPACE, path="/call/count/", frames=2, times=1)
    event = gradio.call("count", 5)
    assert gradio.read(f"/call/count/{event}") == [
        ("generating", ["step 0"]),
        ("generating", ["step 1"]),
        ("broken", None),
    ]
    # The app has lost its reader, and nobody can read the result any more.
    wait_until(lambda: gradio.is_lost(f"/call/count/{event}"))
    assert gradio.simple("echo", "x")[-1] == ("complete", ["x"])


def test_a_stream_breaks_off_after_its_headers(hub: HubEmulator, gradio: GradioCaller) -> None:
    hub.faults.add(kind="cut", app=SPACE, path="/call/echo/", times=1)
    assert gradio.simple("echo", "x") == [("broken", None)]


def test_the_process_dies_in_the_middle_of_a_call(
    hub: HubEmulator, gradio: GradioCaller, space: SpaceHandle
) -> None:
    hub.faults.add(kind="kill", app=SPACE, path="/call/count/", frames=1, times=1)
    event = gradio.call("count", 5)
    assert gradio.read(f"/call/count/{event}") == [("generating", ["step 0"]), ("broken", None)]
    assert space.stage == "RUNNING"
    assert gradio.read(f"/call/count/{event}")[0] == ("error", "404: Not Found")


def test_an_app_of_code_dies_in_the_middle_of_its_answer(hub: HubEmulator) -> None:
    ends: list[str] = []

    async def endless(request: Request) -> Response:
        async def lines() -> AsyncIterator[str]:
            try:
                for number in itertools.count():
                    yield f"{number}\n"
                    await asyncio.sleep(0.001)
            finally:
                ends.append("the process")

        return StreamingResponse(lines())

    space = hub.add_space("acme/code", app=lambda: Starlette(routes=[Route("/", endless)]))
    hub.faults.add(kind="kill", app="acme/code", frames=2, times=1)
    with httpx.stream("GET", space.app_url) as answer:
        lines = answer.iter_lines()
        assert [next(lines), next(lines)] == ["0", "1"]
        with pytest.raises(httpx.RemoteProtocolError):
            next(lines)
    with httpx.stream("GET", space.app_url) as answer:
        assert next(answer.iter_lines()) == "0"
    wait_until(lambda: ends)


def test_the_process_dies_before_it_answers_a_post(hub: HubEmulator, gradio: GradioCaller) -> None:
    hub.faults.add(kind="kill", app=SPACE, method="POST", times=1)
    with pytest.raises(httpx.TransportError):
        gradio.post("/call/echo", data=["x"])
    assert gradio.simple("echo", "x") == [("complete", ["x"])]


def test_a_full_queue_answers_as_gradio_does(hub: HubEmulator, gradio: GradioCaller) -> None:
    hub.faults.add(kind="queue_full", app=SPACE, method="POST", path="/call/", times=2)
    answers = [gradio.post("/call/echo", data=["x"]) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].json()["detail"].startswith("Queue is full.")


def test_a_slow_app_answers_emulated_seconds_late(hub: HubEmulator, gradio: GradioCaller) -> None:
    hub.faults.add(kind="delay", app=SPACE, seconds=40, times=1)
    before = hub.now()
    assert gradio.http.get("/config").status_code == 200
    assert hub.now() - before == pytest.approx(40)


def test_a_fault_strikes_the_apps_that_it_names_and_never_the_hub(
    hub: HubEmulator, gradio: GradioCaller, ask: Ask
) -> None:
    other = hub.add_space("acme/other")
    hub.faults.add(kind="status", app="acme/capt*")
    hub.faults.add(kind="status", status=500)
    assert gradio.http.get("/config").status_code == 502
    assert requests.get(f"{other.app_url}/config", timeout=5).status_code == 200
    assert ask("GET", f"/api/spaces/{SPACE}").status_code == 500


def test_faults_of_apps_have_one_notation_everywhere(hub: HubEmulator, ask: Ask) -> None:
    fault = Fault.parse("kind=cut,app=acme/*,path=/queue/data,frames=3,times=1")
    assert (fault.kind, fault.app, fault.frames, fault.times) == ("cut", "acme/*", 3, 1)
    answer = ask("POST", "/_emulator/faults", {"kind": "kill", "app": SPACE, "frames": 1})
    assert (answer.json()["faults"][0]["app"], answer.json()["faults"][0]["struck"]) == (SPACE, 0)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "drip", "app": SPACE, "seconds": 1},
        {"kind": "kill"},
        {"kind": "cut", "app": SPACE, "after": True},
        {"kind": "delay", "app": SPACE},
        {"kind": "cut", "app": SPACE, "frames": -1},
        {"kind": "cut", "app": SPACE, "frames": "two"},
    ],
    ids=str,
)
def test_an_invalid_fault_of_an_app_is_refused(hub: HubEmulator, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"fault|after"):
        hub.faults.add(options)


def test_the_documentation_lists_every_kind_with_its_description() -> None:
    text = PAGE.read_text("utf-8")
    for name, kind in KINDS.items():
        assert f"| `{name}` | {kind.description} |" in text
    for name, app_kind in APP_KINDS.items():
        assert f"| `{name}` | {app_kind.description} |" in text
