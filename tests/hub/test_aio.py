"""The async client sends, retries and fails as the sync client does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.errors import (
    HubAuthError,
    HubError,
    HubProtocolError,
    HubUnavailable,
    SpaceNotFound,
)
from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from tests.stub import CUT, RESET, RUNTIME, Say, StubHub

SPACE = "acme/whisper"
TOKEN = "hf_abcdefghijklmnop"
QUICK = RetryPolicy(total=5, total_rate_limited=10, first_wait=0.01, longest_wait=0.02)
VOLUME = {"type": "bucket", "source": "acme/data", "mountPath": "/data"}

CALLS: list[calls.Call[Any]] = [
    calls.get_runtime(SPACE),
    calls.get_space(SPACE, expand=["runtime", "sdk"]),
    calls.request_hardware(SPACE, "t4-small", sleep_time=60),
    calls.set_sleep_time(SPACE, -1),
    calls.restart(SPACE, factory_reboot=True),
    calls.pause(SPACE),
    calls.duplicate(SPACE, "acme/copy", secrets={"KEY": "schlüssel"}),
    calls.set_volumes(SPACE, [VOLUME]),
    calls.delete_variable(SPACE, "A"),
]


def with_client(use: Callable[[AsyncHubClient], Coroutine[Any, Any, Any]], url: str, **options: Any) -> Any:
    async def run() -> Any:
        async with AsyncHubClient(**{"token": TOKEN, "endpoint": url, "retry": QUICK, **options}) as client:
            return await use(client)

    return asyncio.run(run())


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_both_clients_send_identical_requests(call: calls.Call[Any]) -> None:
    answer = Say(body={**RUNTIME, "id": SPACE, "url": "https://huggingface.co/spaces/acme/copy"})
    if call.method == "DELETE":
        answer = Say(body={})
    with StubHub(otherwise=answer) as stub:
        with HubClient(TOKEN, stub.url) as client:
            sync_result = client.send(call)
        async_result = with_client(lambda client: client.send(call), stub.url)
        first, second = stub.requests
    assert async_result == sync_result
    assert (first.content, first.body) == (second.content, second.body)
    for name in ("authorization", "user-agent", "accept", "content-type"):
        assert first.headers.get(name) == second.headers.get(name)


@pytest.mark.parametrize("say", [Say(503), Say(502), RESET, CUT, Say(500)], ids=str)
def test_after_a_lost_answer_a_safe_call_is_retried(say: Any) -> None:
    with StubHub(say, otherwise=Say(body=RUNTIME)) as stub:
        runtime = with_client(lambda client: client.send(calls.get_runtime(SPACE)), stub.url)
        assert (runtime.stage, len(stub.requests)) == ("RUNNING", 2)


@pytest.mark.parametrize("say", [RESET, CUT, Say(500)], ids=str)
def test_never_retries_where_a_retry_does_harm(say: Any) -> None:
    with StubHub(say, otherwise=Say(body=RUNTIME)) as stub:
        with pytest.raises(HubUnavailable) as excinfo:
            with_client(lambda client: client.send(calls.restart(SPACE)), stub.url)
        assert excinfo.value.outcome_unknown
        assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("say", "kind"),
    [
        (Say(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}), SpaceNotFound),
        (Say(401, {"error": "Invalid username or password."}), HubAuthError),
        (Say(200, "<html>sign in</html>", {"Content-Type": "text/html"}), HubProtocolError),
        (Say(200, "[1"), HubProtocolError),
    ],
)
def test_reports_a_refusal_in_the_same_words_as_the_sync_client(say: Say, kind: type[HubError]) -> None:
    with StubHub(otherwise=say) as stub:
        with pytest.raises(kind) as excinfo:
            with_client(lambda client: client.send(calls.get_runtime(SPACE)), stub.url)
        with HubClient(TOKEN, stub.url) as client, pytest.raises(kind) as raised_too:
            client.send(calls.get_runtime(SPACE))
    assert excinfo.value.message == raised_too.value.message
    assert TOKEN not in str(excinfo.value)


def test_a_refused_connection_is_tried_again_and_changes_nothing() -> None:
    with pytest.raises(HubUnavailable, match="Nothing was changed") as excinfo:
        with_client(
            lambda client: client.send(calls.pause(SPACE)),
            "http://127.0.0.1:9",
            retry=RetryPolicy(total=2, first_wait=0.01, longest_wait=0.02),
        )
    assert excinfo.value.tries > 1


def test_a_call_that_needs_a_token_is_not_sent_without_one() -> None:
    with StubHub() as stub:
        with pytest.raises(HubAuthError):
            with_client(lambda client: client.send(calls.pause(SPACE)), stub.url, token=None)
        assert stub.requests == []
    assert TOKEN not in repr(AsyncHubClient(TOKEN))


def test_a_redirect_is_followed_on_the_same_host_only() -> None:
    with StubHub(otherwise=Say(body=RUNTIME)) as other:
        elsewhere = Say(307, "", {"Location": f"{other.url}/api/x"})
        at_home = Say(307, "", {"Location": "/api/spaces/acme/speech/runtime"})
        with StubHub(at_home, elsewhere) as stub:
            with pytest.raises(HubProtocolError, match=f"set the endpoint to {other.url}"):
                with_client(lambda client: client.send(calls.get_runtime(SPACE)), stub.url)
            assert [request.path for request in stub.requests][1] == "/api/spaces/acme/speech/runtime"
            assert "authorization" in stub.requests[1].headers
        assert other.requests == []


def test_pages_and_logs_are_read_from_an_emulated_hub(hub: HubEmulator) -> None:
    hub.settings.logs_end = "at_once"
    for number in range(7):
        hub.add_space(f"acme/s{number}")

    async def use(client: AsyncHubClient) -> tuple[list[str], list[str]]:
        entries = [
            entry.repo_id
            async for page in client.pages(calls.list_runtimes(author="acme", limit=3))
            for entry in page
        ]
        return entries, [line async for line in client.lines(calls.get_logs("acme/s0"))]

    entries, lines = with_client(use, hub.url, token=hub.token)
    assert sorted(entries) == [f"acme/s{number}" for number in range(7)]
    assert lines == hub.space("acme/s0").logs()
