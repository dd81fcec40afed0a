"""Plain HTTP requests to apps that are not Gradio, with and without a status to follow; and probes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_hfspaces import space_app as errors
from airflow_provider_hfspaces.hub import InvalidInput
from airflow_provider_hfspaces.space_app import AppLimits, Poll, SpaceAppError
from tests.space_app.app_server import CUT, RESET, AppRequest, AppServer, Reply, html
from tests.space_app.conftest import SPACE, TOKEN, Caller, Clock

Made = Callable[..., Caller]


@pytest.fixture
def docker() -> Iterator[AppServer]:
    """An app that is not Gradio."""
    with AppServer() as server:
        yield server


def test_a_request_sends_json_and_returns_json(client: Made, docker: AppServer) -> None:
    docker.replies["POST /v1/embed"] = [Reply(201, {"vector": [1, 2]})]
    answer = client(docker.url).request("POST", "/v1/embed", json={"text": "é"}, query={"k": 3})
    assert (answer.status, answer.json()) == (201, {"vector": [1, 2]})
    (request,) = docker.requests
    assert (request.json, request.query) == ({"text": "é"}, {"k": "3"})
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-hf-authorization"] == f"Bearer {TOKEN}"


def test_a_request_may_send_and_receive_any_bytes(client: Made, docker: AppServer) -> None:
    docker.replies["PUT /blob"] = [Reply(200, b"\x00\xff", {"Content-Type": "application/octet-stream"})]
    app = client(docker.url)
    options = {"content": b"\x01\x02", "headers": {"X-Kind": "raw"}, "answer": "bytes"}
    assert app.request("put", "/blob", **options).content == b"\x00\xff"
    assert (docker.requests[0].body, docker.requests[0].headers["x-kind"]) == (b"\x01\x02", "raw")
    docker.replies["GET /page"] = [Reply(200, "<html>ours</html>", {"Content-Type": "text/html"})]
    assert app.request("GET", "/page", answer="any").text == "<html>ours</html>"
    docker.replies["DELETE /x"] = [Reply(204)]
    assert app.request("DELETE", "/x").content == b""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "BREW"}, "method must be one of"),
        ({"path": "v1"}, "path must begin with one '/'"),
        ({"path": "//elsewhere.test/x"}, "path must begin with one '/'"),
        ({"path": "/a b"}, "path must be quoted"),
        ({"path": "/a#b"}, "path must be quoted"),
        ({"path": "/ä"}, "path must be quoted"),
        ({"json": 1, "content": b"x"}, "exclude each other"),
        ({"json": {"a": float("inf")}}, "json cannot be sent"),
        ({"json": {"a": object()}}, "json cannot be sent"),
        ({"headers": {"Authorization": f"Bearer {TOKEN}"}}, "must not contain the Hugging Face token"),
        ({"headers": {"Host": "elsewhere.test"}}, "must not set 'Host'"),
        ({"headers": {"X-IP-Token": "x"}}, "must not set 'X-IP-Token'"),
        ({"answer": "xml"}, "answer must be one of"),
        ({"timeout": -1}, "timeout must be a number of seconds"),
        ({"poll": {"every": 3}}, "poll has no 'every': it takes interval"),
        ({"poll": "often"}, "poll must be True"),
        ({"poll": 0}, "interval of poll must be"),
    ],
)
def test_a_request_that_cannot_be_right_is_refused_before_it_is_sent(
    client: Made, docker: AppServer, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as excinfo:
        client(docker.url).request(**{"method": "POST", "path": "/v1", **options})
    assert TOKEN not in str(excinfo.value)
    assert docker.requests == []


@pytest.mark.parametrize(
    ("reply", "kind", "may_have_run", "words"),
    [
        (Reply(500, {"error": "CUDA out of memory"}), errors.AppFailed, True, "CUDA out of memory"),
        (Reply(400, {"message": "k is too large"}), errors.AppRejected, False, "k is too large"),
        (Reply(404, {"detail": "Not Found"}), errors.AppRejected, False, "Not Found"),
        (Reply(401, {"detail": "who?"}), errors.AppLoginRequired, False, "login of the app itself"),
        (html(404), errors.AppNotFound, False, "may not be running, or it is private"),
        (html(401), errors.AppNotFound, False, "may not be used with this token"),
        (html(503), errors.AppUnavailable, False, "Nothing ran"),
        (Reply(503, {"detail": "busy"}), errors.AppQueueFull, False, "busy"),
        (html(504), errors.AppCallLost, True, "through the Hub's proxy"),
        (html(502), errors.AppCallLost, True, "through the Hub's proxy"),
        (html(200), errors.AppUnavailable, True, "web page where JSON was expected"),
        (Reply(200, "hello", {"Content-Type": "text/plain"}), errors.AppProtocolError, True, "text/plain"),
        (Reply(200, chunks=[b'{"a"', CUT]), errors.AppCallLost, True, "may have done the work"),
        (RESET, errors.AppCallLost, True, "may have done the work"),
        (Reply(429, {"detail": "slow"}, {"Retry-After": "9"}), errors.AppRateLimited, False, "slow"),
        (Reply(413, "large"), errors.AppInputTooLarge, False, "large"),
        (Reply(302, b"", {"Location": "/other"}), errors.AppProtocolError, False, "lose the input"),
        (Reply(200, b"1" * 3_000), errors.AppProtocolError, True, "more than 2,000 bytes"),
    ],
)
def test_every_failure_of_a_request_has_its_own_error_and_is_never_sent_again(
    client: Made, docker: AppServer, reply: Any, kind: type[SpaceAppError], may_have_run: bool, words: str
) -> None:
    docker.replies["POST /v1"] = [reply]
    app = client(docker.url, limits=AppLimits(answer_bytes=2_000))
    with pytest.raises(kind, match=words) as excinfo:
        app.request("POST", "/v1", json={})
    assert type(excinfo.value) is kind
    assert excinfo.value.may_have_run is may_have_run
    assert str(excinfo.value).startswith(f"Space {SPACE} ")
    assert excinfo.value.api == "POST /v1"
    assert len(docker.requests) == 1


def test_reading_never_counts_as_work(client: Made, docker: AppServer) -> None:
    for reply in (html(502), html(504), RESET):
        docker.replies["GET /v1"] = [reply]
        with pytest.raises(errors.AppUnavailable) as excinfo:
            client(docker.url).request("GET", "/v1")
        assert not excinfo.value.may_have_run


class Jobs:
    """An app that answers 202, and whose status is done at the third look."""

    def __init__(self, server: AppServer, **first: Any) -> None:
        self.looks = 0
        server.replies["POST /jobs"] = [Reply(202, first.get("body", {}), first.get("headers", {}))]

    def status(self, request: AppRequest) -> Reply:
        self.looks += 1
        if self.looks < 3:
            return Reply(202, {"state": "running"}, {"Retry-After": "30"} if self.looks == 2 else {})
        return Reply(200, {"state": "Finished", "answer": 42, "links": {"result": "/results/1"}})


@pytest.mark.parametrize(
    "first",
    [
        {"headers": {"Location": "/jobs/1"}},
        {"body": {"status_url": "/jobs/1"}},
        {"body": {"state": "queued", "url": "/jobs/1"}},
    ],
)
def test_an_app_that_answers_202_is_followed_to_its_answer(
    client: Made, docker: AppServer, clock: Clock, first: dict[str, Any]
) -> None:
    jobs = Jobs(docker, **first)
    docker.replies["GET /jobs/1"] = [jobs.status] * 3
    answer = client(docker.url).request("POST", "/jobs", json={}, poll=5, timeout=600)
    assert answer.json()["answer"] == 42
    assert clock.sleeps == [5, 5, 30]
    assert all(each.headers["x-hf-authorization"] == f"Bearer {TOKEN}" for each in docker.requests)


def test_the_state_of_the_work_may_be_a_field_and_the_answer_an_address(
    client: Made, docker: AppServer
) -> None:
    docker.replies["POST /jobs"] = [Reply(200, {"links": {"status": "/jobs/1"}, "state": "queued"})]
    docker.replies["GET /jobs/1"] = [
        Reply(200, {"state": "running"}),
        Reply(200, {"state": "Finished", "links": {"result": "/results/1"}}),
    ]
    docker.replies["GET /results/1"] = [Reply(200, {"answer": 42})]
    poll = {"url": "links.status", "field": "state", "done": "finished", "result": "links.result"}
    answer = client(docker.url).request("POST", "/jobs", json={}, poll=poll)
    assert answer.json() == {"answer": 42}


def test_work_that_fails_shows_the_app_s_words(client: Made, docker: AppServer) -> None:
    docker.replies["POST /jobs"] = [Reply(202, {"url": "/jobs/1"})]
    docker.replies["GET /jobs/1"] = [Reply(200, {"state": "FAILED", "why": "no GPU"})]
    with pytest.raises(errors.AppFailed, match="no GPU"):
        client(docker.url).request("POST", "/jobs", json={}, poll=Poll(field="state"))


def test_a_status_that_does_not_answer_for_a_moment_is_read_again(client: Made, docker: AppServer) -> None:
    docker.replies["POST /jobs"] = [Reply(202, {"url": "/jobs/1"})]
    docker.replies["GET /jobs/1"] = [html(503), RESET, Reply(429, "slow"), Reply(200, {"answer": 42})]
    assert client(docker.url).request("POST", "/jobs", json={}, poll=True).json() == {"answer": 42}


def test_a_status_that_stays_away_loses_the_work(client: Made, docker: AppServer) -> None:
    docker.replies["POST /jobs"] = [Reply(202, {"url": "/jobs/1"})]
    docker.replies["GET /jobs/1"] = [html(503)] * 1_000
    with pytest.raises(errors.AppCallLost, match="its status cannot be read"):
        client(docker.url).request("POST", "/jobs", json={}, poll=True, timeout=600)


def test_work_that_does_not_end_is_left_at_the_deadline(client: Made, docker: AppServer) -> None:
    docker.replies["POST /jobs"] = [Reply(202, {"url": "/jobs/1"})]
    docker.replies["GET /jobs/1"] = [Reply(202, {})] * 1_000
    with pytest.raises(errors.AppTimeout, match=r"within 60 seconds\. The app may have worked") as excinfo:
        client(docker.url).request("POST", "/jobs", json={}, poll=True)
    assert excinfo.value.may_have_run


@pytest.mark.parametrize("address", ["https://elsewhere.test/jobs/1", "not an address", 7, None])
def test_a_status_elsewhere_is_never_asked(client: Made, docker: AppServer, address: Any) -> None:
    docker.replies["POST /jobs"] = [Reply(202, {"url": address})]
    with pytest.raises(errors.AppProtocolError, match="without the URL of a status"):
        client(docker.url).request("POST", "/jobs", json={}, poll=True)
    assert len(docker.requests) == 1


def test_an_address_that_the_app_built_behind_the_proxy_is_upgraded_to_https(
    client: Made, docker: AppServer
) -> None:
    docker.replies["POST /jobs"] = [Reply(202, {"url": f"{docker.url}/jobs/1"})]
    docker.replies["GET /jobs/1"] = [Reply(200, {"answer": 42})]
    assert client(docker.url).request("POST", "/jobs", json={}, poll=True).json() == {"answer": 42}


@pytest.mark.parametrize(
    ("reply", "expect", "healthy", "words"),
    [
        (Reply(200, "ok"), None, True, ""),
        (Reply(204), None, True, ""),
        (Reply(200, "ready to serve"), "ready", True, ""),
        (Reply(200, "warming up"), "ready", False, "without 'ready' in its text"),
        (Reply(200, {"status": "ok", "gpu": True}), {"json": {"status": "ok"}}, True, ""),
        (Reply(200, {"status": "no"}), {"json": {"status": "ok"}}, False, "in which status is 'no' and not"),
        (Reply(200, {"gpu": {"name": "T4"}}), {"json": {"gpu": {"name": "T4"}}}, True, ""),
        (html(200), {"json": {"status": "ok"}}, False, "which is not JSON"),
        (Reply(418, "teapot"), 418, True, ""),
        (Reply(200, "x"), 418, False, "with HTTP 200"),
        (html(503), None, False, "did not answer GET /health"),
        (RESET, None, False, "did not answer GET /health"),
        (html(404), None, False, "not found at its address"),
    ],
)
def test_a_probe_says_whether_the_app_answers_as_expected(
    client: Made, docker: AppServer, reply: Any, expect: Any, healthy: bool, words: str
) -> None:
    docker.replies["GET /health"] = [reply]
    health = client(docker.url).health("/health", expect=expect)
    assert (bool(health), health.is_healthy) == (healthy, healthy)
    assert words in health.reason
    assert bool(health.reason) is not healthy
    assert len(docker.requests) == 1


@pytest.mark.parametrize("expect", [True, 42, 3.5, b"x", {"answer": 1}, ""])
def test_an_expectation_that_no_answer_can_meet_is_refused(
    client: Made, docker: AppServer, expect: Any
) -> None:
    with pytest.raises(InvalidInput, match=r"expect must be|health: "):
        client(docker.url).health("/health", expect=expect)
    assert docker.requests == []
