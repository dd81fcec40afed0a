"""Whatever an answer holds, a call ends in a result or a HubError, and costs no more than the limits."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_hfspaces.hub import AnswerLimits, AsyncHubClient, HubClient, RetryPolicy, calls
from airflow_provider_hfspaces.hub.errors import HubError, HubProtocolError, InvalidNumber
from airflow_provider_hfspaces.hub.http.quota import RateBudget
from tests.stub import RUNTIME, Say, StubHub

SPACE = "acme/whisper"
TOKEN = "hf_abcdefghijklmnop"
ONCE = RetryPolicy(total=0, total_rate_limited=0)
DEEP = "[" * 100_000
PAGE = "<!DOCTYPE html><html><body>Access denied by the proxy</body></html>"

CALLS: list[calls.Call[Any]] = [
    calls.get_runtime(SPACE),
    calls.get_space(SPACE, expand=["runtime"]),
    calls.list_spaces(author="acme", expand=["runtime"]),
    calls.list_hardware(),
    calls.get_variables(SPACE),
    calls.get_secrets(SPACE),
    calls.whoami(),
    calls.restart(SPACE),
    calls.request_hardware(SPACE, "t4-small"),
    calls.duplicate(SPACE, "acme/copy"),
    calls.add_secret(SPACE, "KEY", "value"),
]
GOOD: dict[str, Any] = {
    **RUNTIME,
    "id": SPACE,
    "runtime": RUNTIME,
    "name": "acme",
    "url": "https://huggingface.co/spaces/acme/copy",
    "orgs": [{"name": "acme"}],
    "auth": {"accessToken": {"fineGrained": {"scoped": [{"entity": {"name": "acme"}}]}}},
    "tags": ["a"],
    "replicas": {"current": 1, "requested": 1},
    "domains": [{"domain": "acme-whisper.hf.space"}],
    "volumes": [{"type": "bucket"}],
}
ODD_VALUES: list[Any] = [
    *(None, True, -1, 10**400, 1e999, float("nan")),
    *("", "²", "\x00\x1b[2J"),
    *([], {}, [[]], {"a": {}}, ["x"], [None]),
]
ODD_HEADERS: list[tuple[str, str]] = [
    ("Retry-After", "²"),
    ("Retry-After", "9" * 5_000),
    ("Retry-After", "Mon, 01 Jan 99999 00:00:00 GMT"),
    ("Retry-After", "Mon, 01 Jan 2026 00:00:00 +99999999"),
    ("RateLimit", f'"api";r={"9" * 5_000};t=1'),
    ("RateLimit", '"api";r=²;t=²'),
    ("RateLimit-Policy", '"fixed window";"api";q=0;w=0'),
    ("Content-Type", "application/json; charset=no-such-charset"),
    ("Content-Type", "text/html"),
    ("Content-Encoding", "br"),
    ("Content-Encoding", "gzip"),
    ("Location", "http://["),
    ("Location", "//[::1"),
    ("Location", "http://exa mple/\x7f"),
    ("Link", '<http://[>; rel="next"'),
    ("X-Error-Message", "²" * 3_000),
]


def sync(call: calls.Call[Any], url: str, **options: Any) -> Any:
    with HubClient(TOKEN, url, retry=ONCE, **options) as client:
        return (
            list(client.pages(call))
            if "limits" in options and call.path == "/api/spaces"
            else client.send(call)
        )


def asynchronous(call: calls.Call[Any], url: str, **options: Any) -> Any:
    async def run() -> Any:
        async with AsyncHubClient(TOKEN, url, retry=ONCE, **options) as client:
            if "limits" in options and call.path == "/api/spaces":
                return [page async for page in client.pages(call)]
            return await client.send(call)

    return asyncio.run(run())


BOTH = pytest.mark.parametrize("use", [sync, asynchronous], ids=["requests", "httpx"])


def odd_answers(seed: int, number: int) -> Iterator[Say]:
    """Valid answers in which up to two values or headers are odd, drawn from a seed."""
    draw = random.Random(seed)
    for _ in range(number):
        payload: Any = json.loads(json.dumps(GOOD))
        for _ in range(draw.randint(0, 2)):
            spoil(draw, payload)
        if draw.random() < 0.3:
            payload = [payload, draw.choice(ODD_VALUES)]
        body = draw.choice(
            [
                json.dumps(payload),
                json.dumps(payload),
                json.dumps(payload)[: draw.randint(0, 60)],
                DEEP,
                "",
                PAGE,
            ]
        )
        headers = dict(draw.sample(ODD_HEADERS, draw.randint(0, 2)))
        headers = {name: value.encode().decode("latin-1") for name, value in headers.items()}
        yield Say(
            draw.choice([200, 200, 200, 201, 204, 302, 307, 400, 401, 403, 404, 429, 500]), body, headers
        )


def spoil(draw: random.Random, payload: Any) -> None:
    """Replace one value, at any depth, with an odd value."""
    while isinstance(payload, dict) and payload:
        key = draw.choice(sorted(payload))
        if not isinstance(payload[key], dict) or draw.random() < 0.4:
            payload[key] = draw.choice(ODD_VALUES)
            return
        payload = payload[key]


@BOTH
@pytest.mark.parametrize("seed", range(4))
def test_random_malformed_answers_raise_nothing_but_hub_errors(use: Any, seed: int) -> None:
    results, messages = 0, list[str]()
    with StubHub() as stub:
        for number, say in enumerate(odd_answers(seed, 60)):
            RateBudget.forget_all()
            stub.script, stub.otherwise = [say], Say(body=RUNTIME)
            call = CALLS[number % len(CALLS)]
            try:
                use(call, stub.url)
            except HubError as error:
                messages.append(str(error))
            else:
                results += 1
    assert results > 0
    assert messages
    assert [message for message in messages if not message.isprintable()] == []


@BOTH
@pytest.mark.parametrize(
    "say",
    [
        Say(body=DEEP),
        Say(body='{"stage": "RUNNING", "gcTimeout": 1e999}'),
        Say(body={**RUNTIME, "hardware": {"current": {"name": "t4-small"}}}),
        Say(body={**RUNTIME, "hardware": "t4-small"}),
        Say(body={"stage": ["RUNNING"]}),
        Say(body={"stage": None}),
        Say(302, "", {"Location": "http://["}),
        Say(body=RUNTIME, headers={"Content-Encoding": "br"}),
        Say(body=RUNTIME, headers={"Content-Encoding": "gzip"}),
    ],
    ids=lambda say: f"{say.status} {str(say.headers or say.body)[:40]}",
)
def test_a_malformed_answer_is_a_protocol_error_of_its_call(use: Any, say: Say) -> None:
    with StubHub(otherwise=say) as stub, pytest.raises(HubProtocolError, match=SPACE) as excinfo:
        use(calls.get_runtime(SPACE), stub.url)
    assert not excinfo.value.permanent


@BOTH
@pytest.mark.parametrize(
    "header", [("Retry-After", "²"), ("RateLimit", f'"api";r={"9" * 5000};t=1')], ids=["²", "9…"]
)
def test_a_header_that_cannot_be_read_does_not_spoil_a_good_answer(use: Any, header: tuple[str, str]) -> None:
    value = header[1].encode().decode("latin-1")
    charset = "application/json; charset=no-such-charset"
    with StubHub(otherwise=Say(body=RUNTIME, headers={header[0]: value, "Content-Type": charset})) as stub:
        assert use(calls.get_runtime(SPACE), stub.url).stage == "RUNNING"


@BOTH
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 407, 451])
@pytest.mark.parametrize(
    "call", [calls.get_runtime(SPACE), calls.request_hardware(SPACE, "cpu-basic")], ids=str
)
def test_a_proxys_page_is_never_the_hubs_final_word(use: Any, status: int, call: calls.Call[Any]) -> None:
    with (
        StubHub(otherwise=Say(status, PAGE, {"Content-Type": "text/html"})) as stub,
        pytest.raises(HubProtocolError, match="Access denied by the proxy") as excinfo,
    ):
        use(call, stub.url)
    assert not excinfo.value.permanent
    assert excinfo.value.status == status


@pytest.mark.parametrize("status", [400, 403, 407, 451])
@pytest.mark.parametrize(
    "call", [calls.pause(SPACE), calls.request_hardware(SPACE, "cpu-basic"), calls.restart(SPACE)], ids=str
)
def test_a_proxys_error_is_retried_a_few_times_since_the_hub_did_not_get_the_request(
    status: int, call: calls.Call[Any]
) -> None:
    page = Say(status, PAGE, {"Content-Type": "text/html"})
    with (
        StubHub(page, page, otherwise=Say(body=RUNTIME)) as stub,
        HubClient(TOKEN, stub.url, sleep=lambda seconds: None) as client,
    ):
        assert client.send(call).stage == "RUNNING"
    assert len(stub.requests) == 3


class TestLimits:
    SMALL = AnswerLimits(max_bytes=100_000, max_seconds=5, max_pages=3, max_entries=100)

    @BOTH
    def test_a_body_beyond_the_limit_is_not_read_to_its_end(self, use: Any) -> None:
        with (
            StubHub(otherwise=Say(body="x" * 100_001)) as stub,
            pytest.raises(HubProtocolError, match=r"more than 100,000 bytes.*max_bytes"),
        ):
            use(calls.get_runtime(SPACE), stub.url, limits=self.SMALL)

    @BOTH
    def test_a_gzip_bomb_is_not_unpacked(self, use: Any) -> None:
        compressor = zlib.compressobj(9, wbits=31)
        bomb = compressor.compress(b" " * 200_000_000) + compressor.flush()
        with (
            StubHub(otherwise=Raw(body=bomb, headers={"Content-Encoding": "gzip"})) as stub,
            pytest.raises(HubProtocolError, match="max_bytes"),
        ):
            use(calls.get_runtime(SPACE), stub.url, limits=self.SMALL)

    @BOTH
    def test_a_gzip_answer_is_read(self, use: Any) -> None:
        body = gzip.compress(json.dumps(RUNTIME).encode())
        with StubHub(otherwise=Raw(body=body, headers={"Content-Encoding": "gzip"})) as stub:
            assert use(calls.get_runtime(SPACE), stub.url).stage == "RUNNING"
            assert stub.requests[0].headers["accept-encoding"] == "gzip"

    @BOTH
    def test_an_answer_that_arrives_too_slowly_times_out(self, use: Any) -> None:
        ticks = iter(range(0, 10_000_000, 2))
        with (
            StubHub(otherwise=Say(body="x" * 90_000)) as stub,
            pytest.raises(HubProtocolError, match=r"did not end within 1 seconds.*max_seconds"),
        ):
            use(
                calls.get_runtime(SPACE),
                stub.url,
                limits=AnswerLimits(max_seconds=1),
                clock=lambda: float(next(ticks)),
            )

    @BOTH
    def test_a_next_page_that_leads_back_is_an_error(self, use: Any) -> None:
        link = {"Link": '</api/spaces?author=acme>; rel="next"'}
        with StubHub(otherwise=Say(body=[], headers=link)) as stub:
            with pytest.raises(HubProtocolError, match="leads back"):
                use(calls.list_spaces(author="acme"), stub.url, limits=self.SMALL)
            assert len(stub.requests) == 1

    @BOTH
    def test_the_numbers_of_pages_and_entries_are_limited(self, use: Any) -> None:
        with StubHub() as stub:
            stub.script = [
                Say(body=[], headers={"Link": f'</api/spaces?cursor={number}>; rel="next"'})
                for number in range(9)
            ]
            with pytest.raises(HubProtocolError, match=r"more than 3 pages.*max_pages"):
                use(calls.list_spaces(author="acme"), stub.url, limits=self.SMALL)
            assert len(stub.requests) == 3
            stub.script = [Say(body=[{"id": f"acme/s{number}"} for number in range(101)])]
            with pytest.raises(HubProtocolError, match=r"more than 100 entries.*max_entries"):
                use(calls.list_spaces(author="acme"), stub.url, limits=self.SMALL)

    @pytest.mark.parametrize(
        "options", [{"max_bytes": 0}, {"max_seconds": -1}, {"max_pages": "3"}, {"max_line": True}]
    )
    def test_a_limit_must_be_a_number_above_0(self, options: Any) -> None:
        with pytest.raises(InvalidNumber, match=next(iter(options))):
            AnswerLimits(**options)

    def test_the_length_of_a_log_is_limited(self) -> None:
        stream = Say(body="data: " + "x" * 200_000, headers={"Content-Type": "text/event-stream"})
        with (
            StubHub(otherwise=stream) as stub,
            HubClient(TOKEN, stub.url, limits=self.SMALL) as client,
            pytest.raises(HubProtocolError, match="max_bytes"),
        ):
            list(client.lines(calls.get_logs(SPACE)))


class Raw(Say):
    """An answer of bytes."""

    @property
    def content(self) -> bytes:
        return bytes(self.body)


def test_one_unreadable_runtime_in_a_list_fails_alone() -> None:
    entries = [
        {"id": "acme/good", "runtime": RUNTIME},
        {"id": "acme/odd", "runtime": {"stage": None}},
        {"id": "acme/odder", "runtime": {**RUNTIME, "hardware": "t4-small"}},
    ]
    with StubHub(otherwise=Say(body=entries)) as stub, HubClient(TOKEN, stub.url) as client:
        spaces = client.send(calls.list_spaces(author="acme", expand=["runtime"]))
    assert [(space.id, space.runtime is not None) for space in spaces] == [
        ("acme/good", True),
        ("acme/odd", False),
        ("acme/odder", False),
    ]
