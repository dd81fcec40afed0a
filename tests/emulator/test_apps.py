"""The address of a Space: who may reach its app, by which headers, and what answers while it does not run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from airflow_provider_hfspaces.emulator import DockerApp, GradioApp, HubEmulator, SpaceHandle
from airflow_provider_hfspaces.hub import HubClient, calls
from tests.emulator.apps import caller, real_server, wait_until
from tests.emulator.conftest import Ask

SPACE = "acme/caption"


def app() -> Starlette:
    """An app that answers with what it received, and counts its calls."""
    calls: list[str] = []

    async def home(request: Request) -> Response:
        calls.append(request.method)
        return JSONResponse(
            {
                "path": request.url.path,
                "query": request.url.query,
                "headers": dict(request.headers),
                "body": (await request.body()).decode(),
                "calls": len(calls),
            }
        )

    async def fails(request: Request) -> Response:
        raise RuntimeError("the app fails")

    async def endless(request: Request) -> Response:
        async def lines() -> Any:
            yield b"first\n"
            await asyncio.Event().wait()

        return StreamingResponse(lines())

    return Starlette(
        routes=[
            Route("/fails", fails),
            Route("/endless", endless),
            Route("/{path:path}", home, methods=["GET", "POST", "PUT", "DELETE"]),
        ]
    )


@pytest.fixture
def owner(hub: HubEmulator) -> dict[str, str]:
    return {"X-HF-Authorization": f"Bearer {hub.token}"}


def get(space: SpaceHandle, path: str = "/", **options: Any) -> requests.Response:
    return requests.get(f"{space.app_url}{path}", timeout=5, **options)


def assert_breaks(space: SpaceHandle, act: Callable[[], object]) -> None:
    """Open a stream, act, and assert that the stream breaks off before its end."""
    with httpx.stream("GET", f"{space.app_url}/endless") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "first"
        act()
        with pytest.raises(httpx.RemoteProtocolError):
            next(lines)


def test_the_answer_of_the_hub_names_the_address_of_the_app(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE, app=app)
    description = ask("GET", f"/api/spaces/{SPACE}").json()
    assert description["host"] == space.app_url != hub.url
    assert description["subdomain"] == "acme-caption"
    assert requests.get(f"{description['host']}/a%20b?c=d", timeout=5).json()["path"] == "/a b"


def test_each_space_has_an_address_of_its_own_and_keeps_it(hub: HubEmulator) -> None:
    spaces = [hub.add_space(f"acme/app-{number}", app=app) for number in range(5)]
    assert len({space.app_url for space in spaces}) == 5
    assert all(get(space).status_code == 200 for space in spaces)
    assert hub.space("acme/app-3").app_url == spaces[3].app_url


def test_the_address_leads_nowhere_after_a_rename_or_a_deletion(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE, app=app)
    former = space.app_url
    hub.rename_space(SPACE, "acme/other")
    assert requests.get(former, timeout=5).status_code == 404
    assert get(space).status_code == 200
    ask("DELETE", "/api/repos/delete", {"name": "other", "organization": "acme", "type": "space"})
    assert get(space).status_code == 404


def test_an_address_of_the_hub_leads_to_the_app(hub: HubEmulator) -> None:
    hub.add_space(SPACE, app=app)
    answer = requests.get(f"{hub.url}/apps/{SPACE}/deep/path", timeout=5)
    assert answer.json()["path"] == "/deep/path"
    assert requests.get(f"{hub.url}/apps/acme/nothing", timeout=5).status_code == 404


# Who may reach it


def test_a_private_space_answers_404_without_a_right_token(hub: HubEmulator, owner: dict[str, str]) -> None:
    space = hub.add_space(SPACE, private=True, app=app)
    stranger = hub.add_token("stranger")
    for headers in ({}, {"X-HF-Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {stranger}"}):
        assert get(space, headers=headers).status_code == 404
    assert space.app_requests == []
    assert get(space, headers=owner).status_code == 200
    assert get(space, headers={"Authorization": f"Bearer {hub.token}"}).status_code == 200


def test_a_protected_space_answers_everybody(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE, app=app)
    ask("PUT", f"/api/spaces/{SPACE}/settings", {"visibility": "protected"}).raise_for_status()
    assert get(space).status_code == 200


def test_the_app_never_sees_the_header_that_the_edge_removes(hub: HubEmulator, owner: dict[str, str]) -> None:
    space = hub.add_space(SPACE, private=True, app=app)
    app_headers = get(space, headers={**owner, "Authorization": "Bearer of-the-app"}).json()["headers"]
    assert "x-hf-authorization" not in app_headers
    assert app_headers["authorization"] == "Bearer of-the-app"
    (request,) = space.app_requests
    assert request.headers == app_headers
    assert not space.app_saw(hub.token)


def test_a_token_in_authorization_reaches_the_app_as_on_the_hub(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, private=True, app=app)
    get(space, headers={"Authorization": f"Bearer {hub.token}"})
    assert space.app_requests[0].headers["authorization"] == f"Bearer {hub.token}"
    assert space.app_saw(hub.token)


@pytest.mark.parametrize("where", ["path", "query", "header", "body"])
def test_a_test_finds_what_the_app_saw(hub: HubEmulator, where: str) -> None:
    space = hub.add_space(SPACE, app=app)
    requests.post(
        f"{space.app_url}/{'secret' if where == 'path' else 'a'}",
        params={"q": "secret"} if where == "query" else {},
        headers={"X-More": "a secret"} if where == "header" else {},
        data=b"\x00secret" if where == "body" else b"",
        timeout=5,
    ).raise_for_status()
    assert space.app_saw("secret")
    assert not space.app_saw("nothing of the kind")


def test_a_private_space_of_the_static_sdk_serves_its_files_to_its_owner(
    hub: HubEmulator, owner: dict[str, str]
) -> None:
    space = hub.add_space(SPACE, sdk="static", private=True)
    assert get(space, "/README.md").status_code == 404
    assert get(space, "/README.md", headers=owner).text.startswith("---")
    assert get(space, "/nothing.txt", headers=owner).status_code == 404


def test_a_visit_wakes_a_space_while_the_time_runs() -> None:
    with HubEmulator(speed=1) as hub:
        space = hub.add_space(SPACE, stage="SLEEPING", app=app)
        get(space)
        assert (space.stage, space.visits) == ("APP_STARTING", 1)


# Headers


def test_answers_of_the_app_carry_the_headers_of_the_edge(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, app=app)
    headers = get(space, "/config?x=1").headers
    assert headers["x-proxied-path"] == "/config"
    assert headers["x-proxied-host"].startswith("http://10.")
    assert headers["link"] == f'<https://huggingface.co/spaces/{SPACE}>;rel="canonical"'
    assert space.app_requests[0].headers["x-request-id"] == headers["x-request-id"]
    assert space.app_requests[0].replica == headers["x-proxied-replica"]


def test_the_app_learns_the_public_address_and_the_caller(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, app=app)
    forged_headers = {"X-Forwarded-Host": "evil.test", "X-Forwarded-For": "192.0.2.1"}
    app_headers = get(space, headers=forged_headers).json()["headers"]
    assert app_headers["x-forwarded-host"] == app_headers["host"] == space.app_url.removeprefix("http://")
    assert app_headers["x-forwarded-proto"] == "http"
    assert app_headers["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"


def test_replicas_take_turns_and_share_nothing(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="cpu-upgrade", replicas=2, app=app)
    answers = [get(space) for _ in range(4)]
    assert [answer.json()["calls"] for answer in answers] == [1, 1, 2, 2]
    assert len({answer.headers["x-proxied-replica"] for answer in answers}) == 2


def test_a_replica_can_be_addressed(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="cpu-upgrade", replicas=3, app=app)
    replica = get(space).headers["x-proxied-replica"]
    answers = [get(space, f"/--replicas/{replica.rpartition('-')[2]}/x/y?z=1") for _ in range(3)]
    assert {answer.headers["x-proxied-replica"] for answer in answers} == {replica}
    assert {(answer.json()["path"], answer.json()["query"]) for answer in answers} == {("/x/y", "z=1")}
    assert get(space, "/--replicas/00000/x").status_code == 404


def test_a_setting_makes_replicas_sticky(hub: HubEmulator) -> None:
    hub.settings.sticky_replicas = True
    space = hub.add_space(SPACE, hardware="cpu-upgrade", replicas=3, app=app)
    assert len({get(space).headers["x-proxied-replica"] for _ in range(4)}) == 1


# While it does not run


@pytest.mark.parametrize("stage", ["RUNTIME_ERROR", "BUILD_ERROR", "CONFIG_ERROR", "NO_APP_FILE"])
def test_a_broken_space_says_so_with_503(hub: HubEmulator, stage: str) -> None:
    answer = get(hub.add_space(SPACE, stage=stage, app=app))
    assert (answer.status_code, answer.text) == (503, "Your space is in error, check its status on hf.co")
    assert "x-proxied-host" not in answer.headers


def test_a_paused_space_answers_503_and_stays_paused(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, stage="PAUSED", app=app)
    assert get(space).status_code == 503
    hub.advance(1000)
    assert space.stage == "PAUSED"


@pytest.mark.parametrize("status", [503, 404, 200])
def test_a_setting_chooses_the_status_of_a_space_that_wakes_up(hub: HubEmulator, status: int) -> None:
    hub.settings.page_status = status
    space = hub.add_space(SPACE, hardware="t4-small", stage="SLEEPING", app=app)
    answer = get(space)
    assert (answer.status_code, "Preparing Space" in answer.text) == (status, True)
    assert space.stage == "APP_STARTING"
    assert get(space).status_code == status
    hub.advance(20)
    assert get(space).json()["calls"] == 1


def test_a_visit_may_have_to_wait_until_the_space_is_awake(hub: HubEmulator) -> None:
    hub.settings.change({"waking_visit": "wait", "seconds_per_request": 1})
    space = hub.add_space(SPACE, hardware="t4-small", stage="SLEEPING", app=app)
    assert get(space).json()["calls"] == 1
    assert (space.stage, space.visits) == ("RUNNING", 1)


def test_a_waiting_visit_ends_with_504(hub: HubEmulator) -> None:
    hub.settings.change({"waking_visit": "wait", "seconds_per_request": 1, "timings": {"wake": 500}})
    space = hub.add_space(SPACE, hardware="t4-small", stage="SLEEPING", app=app)
    assert get(space).status_code == 504


def test_a_setting_lets_only_a_get_wake_a_space(hub: HubEmulator) -> None:
    hub.settings.post_wakes = False
    space = hub.add_space(SPACE, hardware="t4-small", stage="SLEEPING", app=app)
    assert requests.post(space.app_url, timeout=5).status_code == 503
    assert (space.stage, space.visits) == ("SLEEPING", 0)
    assert get(space).status_code == 503
    assert space.stage == "APP_STARTING"


def test_calls_keep_a_space_awake_and_open_streams_do_not(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, hardware="t4-small", sleep_time=600, app=app)
    hub.advance(500)
    requests.post(space.app_url, timeout=5)
    hub.advance(500)
    assert space.stage == "RUNNING"
    assert_breaks(space, lambda: hub.advance(601))
    assert space.stage == "SLEEPING"


def test_a_setting_lets_an_open_stream_keep_a_space_awake(hub: HubEmulator) -> None:
    hub.settings.streams_keep_awake = True
    space = hub.add_space(SPACE, hardware="t4-small", sleep_time=600, app=app)
    with httpx.stream("GET", f"{space.app_url}/endless") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "first"
        before = hub.now()
        hub.advance(599)
        wait_until(lambda: hub.world.space(SPACE).last_visit > before)
        hub.advance(599)
        assert space.stage == "RUNNING"


def test_running_does_not_mean_serving(hub: HubEmulator, ask: Ask) -> None:
    hub.settings.change({"timings": {"build": 10, "start": 10, "boot": 30}})
    space = hub.add_space(SPACE, stage="PAUSED", app=app)
    ask("POST", f"/api/spaces/{SPACE}/restart")
    hub.advance(21)
    assert (space.stage, get(space).status_code) == ("RUNNING", 502)
    hub.advance(30)
    assert get(space).status_code == 200


# Real servers


def test_a_real_server_answers_through_a_streaming_proxy(hub: HubEmulator, owner: dict[str, str]) -> None:
    with real_server(app()) as url:
        space = hub.add_space(SPACE, private=True, app=url)
        answer = requests.post(f"{space.app_url}/a/b?c=d", data=b"content", headers=owner, timeout=5)
        echo = answer.json()
        assert (echo["path"], echo["query"], echo["body"]) == ("/a/b", "c=d", "content")
        assert echo["headers"]["host"] == space.app_url.removeprefix("http://")
        assert "x-hf-authorization" not in echo["headers"]
        assert get(space, "/fails", headers=owner).status_code == 500
        with httpx.stream("GET", f"{space.app_url}/endless", headers=owner) as stream:
            assert next(stream.iter_lines()) == "first"


def test_a_large_body_streams_through_the_proxy(hub: HubEmulator) -> None:
    async def measure(request: Request) -> Response:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        return PlainTextResponse(str(size))

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    with real_server(Starlette(routes=[Route("/", measure, methods=["POST"])])) as url:
        space = hub.add_space(SPACE, app=url)
        assert requests.post(space.app_url, data=chunks(), timeout=20).text == "10000000"
        assert len(space.app_requests[0].body) == 65_536


def test_a_server_that_does_not_listen_is_a_502(hub: HubEmulator) -> None:
    with real_server(app()) as url:
        pass
    assert get(hub.add_space(SPACE, app=url)).status_code == 502


@pytest.mark.parametrize(
    "value", ["127.0.0.1:7860", "ftp://host", "nonsense", 7, {"kind": "nonsense"}, {"kind": "gradio", "x": 1}]
)
def test_an_invalid_app_is_refused(hub: HubEmulator, value: Any) -> None:
    with pytest.raises(ValueError, match="app"):
        hub.add_space(SPACE, app=value)


# The process of the app


def test_a_restart_gives_the_app_a_new_memory(hub: HubEmulator, ask: Ask) -> None:
    space = hub.add_space(SPACE, app=app)
    assert [get(space).json()["calls"] for _ in range(2)] == [1, 2]
    ask("POST", f"/api/spaces/{SPACE}/restart")
    assert get(space).json()["calls"] == 3
    hub.advance(200)
    assert get(space).json()["calls"] == 1


def test_a_killed_process_loses_its_memory_while_the_space_stays_running(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, app=app)
    before = get(space)
    space.kill_app()
    after = get(space)
    assert (before.json()["calls"], after.json()["calls"], space.stage) == (1, 1, "RUNNING")
    assert before.headers["x-proxied-replica"] != after.headers["x-proxied-replica"]
    space.crash()
    with pytest.raises(ValueError, match="no running app"):
        space.kill_app()


@pytest.mark.parametrize("what", ["restart", "pause", "hardware", "kill"])
def test_open_connections_break_when_the_process_ends(hub: HubEmulator, ask: Ask, what: str) -> None:
    space = hub.add_space(SPACE, app=app)

    def act() -> None:
        if what == "kill":
            space.kill_app()
            return
        ask("POST", f"/api/spaces/{SPACE}/{what}", {"flavor": "t4-small"} if what == "hardware" else None)
        hub.advance(200)

    assert_breaks(space, act)


def test_a_request_that_waits_for_its_answer_gets_502_when_the_process_ends(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, app=DockerApp())
    answers: list[requests.Response] = []

    def ask_slowly() -> None:
        answers.append(requests.post(f"{space.app_url}/v1/slow", json={"seconds": 50}, timeout=20))

    thread = threading.Thread(target=ask_slowly)
    thread.start()
    wait_until(lambda: space.app_requests)
    space.kill_app()
    thread.join(10)
    assert answers[0].status_code == 502


def test_a_call_never_outlasts_its_machine_when_the_time_jumps(hub: HubEmulator) -> None:
    hub.settings.change({"seconds_per_request": 1, "timings": {"build": 20, "start": 5, "answer": 600}})
    space = hub.add_space(SPACE, app=DockerApp())
    with HubClient(hub.token, hub.url) as client:
        client.send(calls.request_hardware(SPACE, "t4-small"))
    assert space.stage == "RUNNING_BUILDING"
    answer = requests.post(f"{space.app_url}/v1/slow", json={"seconds": 300}, timeout=20)
    assert answer.status_code == 502
    assert (space.stage, space.hardware) == ("RUNNING", "t4-small")


def test_an_unanswered_request_gets_504_while_the_work_continues(hub: HubEmulator) -> None:
    hub.settings.seconds_per_request = 1
    space = hub.add_space(SPACE, app=DockerApp())
    answer = requests.post(f"{space.app_url}/v1/slow", json={"seconds": 90}, timeout=20)
    assert (answer.status_code, "x-proxied-host" in answer.headers) == (504, False)
    wait_until(lambda: space.app_requests[0].status == 200)


def test_a_real_app_has_real_seconds_to_answer(hub: HubEmulator) -> None:
    async def never(request: Request) -> Response:
        await asyncio.Event().wait()
        return PlainTextResponse("too late")

    hub.settings.change({"timings": {"answer": 0.05}})
    space = hub.add_space(SPACE, app=Starlette(routes=[Route("/", never)]))
    assert get(space).status_code == 504


def test_an_app_runs_its_lifespan_with_its_process(hub: HubEmulator) -> None:
    events: list[str] = []

    def make() -> Starlette:
        @asynccontextmanager
        async def lifespan(app: Starlette) -> Any:
            events.append("startup")
            yield {"word": "ready"}
            events.append("shutdown")

        async def home(request: Request) -> Response:
            return PlainTextResponse(request.state.word)

        return Starlette(routes=[Route("/", home)], lifespan=lifespan)

    space = hub.add_space(SPACE, app=make)
    assert get(space).text == "ready"
    space.kill_app()
    assert get(space).text == "ready"
    # The new process may start before the old one has shut down, or after it.
    wait_until(lambda: sorted(events) == ["shutdown", "startup", "startup"])


def fails_to_start() -> Starlette:
    raise RuntimeError("no model")


def fails_in_lifespan() -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        raise RuntimeError("no model")
        yield

    return Starlette(lifespan=lifespan)


@pytest.mark.parametrize("make_app", [fails_to_start, fails_in_lifespan])
def test_an_app_that_does_not_start_is_a_502_and_a_line_in_the_log(
    hub: HubEmulator, make_app: Callable[[], Starlette]
) -> None:
    space = hub.add_space(SPACE, app=make_app)
    assert [get(space).status_code for _ in range(2)] == [502, 502]
    assert space.logs()[-1].startswith("The app did not start: RuntimeError:")


def test_an_exception_of_an_app_is_a_500_and_a_line_in_the_log(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, app=app)
    assert (get(space, "/fails").status_code, get(space, "/fails").text) == (500, "Internal Server Error")
    wait_until(lambda: space.logs()[-1] == "RuntimeError: the app fails")


def test_an_app_that_blocks_holds_up_apps_only(hub: HubEmulator, ask: Ask) -> None:
    has_entered, may_continue = threading.Event(), threading.Event()

    async def blocks(request: Request) -> Response:
        has_entered.set()
        may_continue.wait(20)
        return PlainTextResponse("done")

    space = hub.add_space(SPACE, app=Starlette(routes=[Route("/", blocks)]))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, space)
        assert has_entered.wait(10)
        assert ask("GET", f"/api/spaces/{SPACE}/runtime").json()["stage"] == "RUNNING"
        may_continue.set()
        assert answer.result(10).text == "done"


def test_another_app_can_take_the_place_of_the_first(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    gradio = caller(hub, space)
    with gradio.http:
        assert gradio.simple("echo", "x")[-1] == ("complete", ["x"])
    space.serve("docker")
    assert get(space, "/health").json() == {"ok": True}


def test_a_duplicate_serves_the_app_of_its_source(hub: HubEmulator, ask: Ask) -> None:
    hub.add_space(SPACE, app=GradioApp(version=4))
    ask("POST", f"/api/spaces/{SPACE}/duplicate", {"repository": "acme/copy", "visibility": "public"})
    hub.advance(200)
    assert get(hub.space("acme/copy"), "/config").json()["version"] == "4.44.1"


# A plain HTTP app


def test_a_plain_app_answers_202_until_its_job_is_done(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, sdk="docker")
    acceptance = requests.post(f"{space.app_url}/v1/jobs", json={"value": [1, 2], "seconds": 30}, timeout=5)
    address = acceptance.headers["Location"]
    assert (acceptance.status_code, acceptance.json()["status_url"]) == (202, address)
    assert (get(space, address).status_code, get(space, address).json()["status"]) == (202, "running")
    hub.advance(31)
    wait_until(lambda: get(space, address).status_code == 200)
    assert get(space, address).json()["result"] == [1, 2]
    space.kill_app()
    assert get(space, address).status_code == 404


def test_a_job_can_fail_and_be_cancelled(hub: HubEmulator) -> None:
    hub.settings.seconds_per_request = 1
    space = hub.add_space(SPACE, app="docker")
    body = {"error": "out of memory", "seconds": 3}
    address = requests.post(f"{space.app_url}/v1/jobs", json=body, timeout=5).headers["Location"]
    wait_until(lambda: get(space, address).status_code == 200)
    assert get(space, address).json() | {"id": ""} == {
        "id": "",
        "status": "failed",
        "status_url": address,
        "error": "out of memory",
    }
    hub.settings.seconds_per_request = 0
    address = requests.post(f"{space.app_url}/v1/jobs", json={"seconds": 3}, timeout=5).headers["Location"]
    assert requests.delete(f"{space.app_url}{address}", timeout=5).status_code == 204
    assert get(space, address).json()["status"] == "cancelled"


def test_a_plain_app_takes_json_and_bytes(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE, app=DockerApp())
    assert requests.post(f"{space.app_url}/v1/echo", json={"a": "é"}, timeout=5).json() == {"a": "é"}
    assert requests.post(f"{space.app_url}/v1/echo", data=b"{", timeout=5).status_code == 400
    assert requests.post(f"{space.app_url}/v1/files", data=b"abc", timeout=5).json()["size"] == 3
    assert get(space, "/machine").json()["hardware"] == "cpu-basic"
    assert get(space, "/nothing").status_code == 404
