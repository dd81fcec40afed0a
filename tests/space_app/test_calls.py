"""Calls of a Gradio app: what is sent, and what becomes of the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_hfspaces.space_app import AcceptedCall, AppListener, AppProgress
from tests.space_app.app_server import Reply, stream
from tests.space_app.conftest import SPACE, TOKEN, Caller, Clock
from tests.space_app.gradio_app import GradioApp, as_bytes, completion

Made = Callable[..., Caller]


@pytest.mark.parametrize("version", [4, 5, 6])
def test_a_call_returns_the_output_of_the_function(client: Made, version: int) -> None:
    with GradioApp(version) as gradio:
        result = client(gradio.url).call("/echo", ["hello"])
        assert (result.value, result.outputs) == ("hello", ["hello"])
        assert (result.seconds, result.api) == (0.25, "/echo")
        names = [each.name for each in gradio.requests]
        prefix = gradio.prefix
        assert names == [
            "GET /config",
            f"GET {prefix}/info",
            f"POST {prefix}/call/echo",
            f"GET {prefix}/queue/data",
        ]
        payload = gradio.requests[2].json
        assert payload == {"data": ["hello"], "session_hash": gradio.requests[3].query["session_hash"]}


def test_several_outputs_are_a_list_and_none_is_an_empty_list(client: Made, gradio: GradioApp) -> None:
    app = client(gradio.url)
    assert app.call("/add", {"a": 5}).value == [6, 4]
    gradio.functions["echo"] = lambda text: []
    assert app.call("/echo", ["x"]).value == []


def test_each_call_has_a_session_of_its_own(client: Made, gradio: GradioApp) -> None:
    app = client(gradio.url)
    app.call("/echo", ["a"])
    app.call("/echo", ["b"])
    first, second = (
        each.json["session_hash"] for each in gradio.requests_named("POST /gradio_api/call/echo")
    )
    assert first != second
    assert len(gradio.requests_named("GET /config")) == 1


def test_an_input_may_be_named_or_placed_and_takes_the_default_that_the_app_declares(
    client: Made, gradio: GradioApp
) -> None:
    app = client(gradio.url)
    for inputs in ({"a": 2}, [2], {"b": 1, "a": 2}, [2, 1]):
        app.call("add", inputs)
    assert [each.json["data"] for each in gradio.requests_named("POST /gradio_api/call/add")] == [[2, 1]] * 4


def test_a_state_is_sent_as_null_and_left_out_of_the_outputs(client: Made, gradio: GradioApp) -> None:
    result = client(gradio.url).call("/stateful", {"x": "a"})
    assert gradio.requests_named("POST /gradio_api/call/stateful")[0].json["data"] == [None, "a"]
    assert result.value == "a:1"


def test_an_endpoint_without_a_name_is_called_by_its_number(client: Made, gradio: GradioApp) -> None:
    number = len(gradio.config["dependencies"]) - 1
    assert client(gradio.url).call(number, ["x"]).value == "x"
    (join,) = gradio.requests_named("POST /gradio_api/queue/join")
    assert (join.json["fn_index"], join.json["simple_format"], join.json["data"]) == (number, True, ["x"])


def test_an_undocumented_endpoint_is_called_only_if_the_caller_allows_it(
    client: Made, gradio: GradioApp
) -> None:
    assert client(gradio.url).call("/undocumented", allow_unlisted=True).value == "start"


def test_characters_that_some_readers_take_for_line_ends_stay_in_the_value(
    client: Made, gradio: GradioApp
) -> None:
    text = "a\u2028b\u2029c\x85d\x0be\U0001f600é\r\nf"
    gradio.functions["echo"] = lambda value: [value]
    app = client(gradio.url)
    assert app.call("/echo", [text]).value == text
    message = as_bytes({**completion([text]), "event_id": None})
    gradio.functions["echo"] = lambda value: stream(message)
    assert app.call("/echo", ["x"]).value == text


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_message_may_arrive_in_pieces_of_any_size(client: Made, gradio: GradioApp, size: int) -> None:
    content = (
        b": a comment\n\nevent: message\n"
        + as_bytes({"msg": "heartbeat", "event_id": None})
        + as_bytes({**completion(["é\u2028😀"]), "event_id": None})
    )
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    gradio.functions["echo"] = lambda text: stream(*pieces)
    assert client(gradio.url).call("/echo", ["x"]).value == "é\u2028😀"


def test_frames_with_carriage_returns_are_read_too(client: Made, gradio: GradioApp) -> None:
    content = json.dumps({**completion(["x"]), "event_id": None}).encode()
    gradio.functions["echo"] = lambda text: stream(b"data: " + content + b"\r", b"\n\r", b"\n")
    assert client(gradio.url).call("/echo", ["x"]).value == "x"


def test_ten_million_characters_come_back_whole(client: Made, gradio: GradioApp) -> None:
    text = "x" * 10_000_000
    assert client(gradio.url).call("/echo", [text]).value == text


def test_messages_of_other_calls_do_not_count(client: Made, gradio: GradioApp) -> None:
    gradio.functions["echo"] = lambda text: [
        completion(["of another call"], event_id="other"),
        completion(["own"]),
    ]
    assert client(gradio.url).call("/echo", ["x"]).value == "own"


class RecordingListener(AppListener):
    def __init__(self) -> None:
        self.events: list[Any] = []

    def sending(self, api: str) -> None:
        self.events.append(("sending", api))

    def accepted(self, call: AcceptedCall) -> None:
        self.events.append("accepted")

    def queued(self, position: int, length: int, eta_seconds: float | None) -> None:
        self.events.append(("queued", position, length, eta_seconds))

    def started(self, eta_seconds: float | None) -> None:
        self.events.append(("started", eta_seconds))

    def progress(self, bars: list[AppProgress]) -> None:
        self.events.append(("progress", *map(str, bars)))

    def log(self, level: str, message: str) -> None:
        self.events.append((level, message))

    def partial(self, outputs: list[Any]) -> None:
        self.events.append(("partial", outputs))

    def waiting(self, reason: str, seconds: float) -> None:
        self.events.append(("waiting", reason))


def test_a_listener_hears_of_queue_progress_messages_and_partial_values(
    client: Made, gradio: GradioApp
) -> None:
    bar = {"index": 1, "length": 4, "unit": "steps", "progress": None, "desc": "denoise"}
    gradio.functions["echo"] = lambda text: [
        {"msg": "estimation", "rank": 2, "queue_size": 3, "rank_eta": 1.5},
        {"msg": "process_starts", "eta": None},
        {"msg": "progress", "progress_data": [bar, {"progress": 0.5, "desc": None}]},
        {"msg": "log", "log": "half way", "level": "info", "title": "Info"},
        {"msg": "log", "log": "careful", "level": "warning", "title": "GPU"},
        {"msg": "process_generating", "output": {"data": ["st"], "is_generating": True}, "success": True},
        {"msg": "a kind of a later version"},
        completion(["step"]),
    ]
    listener = RecordingListener()
    assert client(gradio.url).call("/echo", ["x"], listener=listener).value == "step"
    assert listener.events == [
        ("sending", "/echo"),
        "accepted",
        ("queued", 2, 3, 1.5),
        ("started", None),
        ("progress", "denoise: 1 of 4 steps", "50%"),
        ("info", "half way"),
        ("warning", "GPU: careful"),
        ("partial", ["st"]),
    ]


def test_an_error_of_a_listener_ends_the_call_and_cancels_it_in_the_app(
    client: Made, gradio: GradioApp
) -> None:
    class Failing(AppListener):
        def started(self, eta_seconds: float | None) -> None:
            raise RuntimeError("stop")

    gradio.functions["echo"] = lambda text: [{"msg": "process_starts"}, completion(["x"])]
    with pytest.raises(RuntimeError, match="stop"):
        client(gradio.url).call("/echo", ["x"], listener=Failing())
    (cancel,) = gradio.requests_named("POST /gradio_api/cancel")
    assert set(cancel.json) == {"event_id", "session_hash", "fn_index"}


def test_the_token_goes_only_into_the_header_that_the_proxy_removes(client: Made, gradio: GradioApp) -> None:
    gradio.files["/tmp/a.txt"] = b"hello"
    app = client(gradio.url)
    app.call("/echo", ["x"])
    app.request("POST", "/gradio_api/call/echo", json={"data": [], "session_hash": "x"})
    app.health("/config")
    for each in gradio.requests:
        assert each.headers["x-hf-authorization"] == f"Bearer {TOKEN}"
        assert "authorization" not in each.headers
        assert TOKEN not in each.path
        assert TOKEN.encode() not in each.body
    assert TOKEN not in repr(app.app)


def test_a_token_of_the_app_itself_goes_beside_the_token_of_the_space(
    client: Made, gradio: GradioApp
) -> None:
    client(gradio.url, bearer="of-the-app").call("/echo", ["x"])
    assert {each.headers["authorization"] for each in gradio.requests} == {"Bearer of-the-app"}
    assert {each.headers["x-hf-authorization"] for each in gradio.requests} == {f"Bearer {TOKEN}"}


def test_without_a_token_no_request_carries_one(client: Made, gradio: GradioApp) -> None:
    client(gradio.url, token=None).call("/echo", ["x"])
    assert all("x-hf-authorization" not in each.headers for each in gradio.requests)


def test_cookies_of_the_app_come_back_to_it(client: Made, gradio: GradioApp) -> None:
    gradio.replies["GET /config"] = [
        Reply(body=gradio.config, headers={"Set-Cookie": "session-space-cookie=abc; Path=/; HttpOnly"})
    ]
    client(gradio.url).call("/echo", ["x"])
    assert {each.headers.get("cookie") for each in gradio.requests[1:]} == {"session-space-cookie=abc"}


def test_a_cookie_for_encrypted_connections_is_not_sent_in_the_clear(client: Made, gradio: GradioApp) -> None:
    gradio.replies["GET /config"] = [
        Reply(body=gradio.config, headers={"Set-Cookie": "a=1; Secure; SameSite=none"})
    ]
    client(gradio.url).call("/echo", ["x"])
    assert all("cookie" not in each.headers for each in gradio.requests)


def test_the_description_is_read_again_after_a_minute(client: Made, gradio: GradioApp, clock: Clock) -> None:
    app = client(gradio.url)
    app.call("/echo", ["x"])
    clock.now += 61
    app.call("/echo", ["x"])
    assert len(gradio.requests_named("GET /config")) == 2


def test_an_app_describes_its_endpoints(client: Made, gradio: GradioApp) -> None:
    description = client(gradio.url).describe()
    assert (description.version, description.protocol) == ("6.31.0", "sse_v3")
    assert description.listed["/add"].signature == "/add(a, b=1)"
    assert description.listed["/nameless"].signature == "/nameless(<Value>, <Value>)"
    assert description.endpoints["/stateful"].is_state_kept
    assert "/undocumented" not in description.listed
    assert not description.endpoints["/undocumented"].is_listed


def test_a_gradio_app_below_a_path_is_called_there(client: Made, gradio: GradioApp) -> None:
    inner = gradio.respond
    gradio.respond = lambda request: inner(  # type: ignore[method-assign]
        type(request)(
            request.method,
            request.path.removeprefix("/sub"),
            request.query,
            request.headers,
            request.body,
        )
    )
    assert client(gradio.url, root="/sub/").call("/echo", ["x"]).value == "x"
    assert all(each.path.startswith("/sub/") for each in gradio.requests)


def test_the_requests_of_a_call_go_to_one_replica(client: Made, gradio: GradioApp) -> None:
    acceptance = Reply(body={"event_id": "e1"}, headers={"X-Proxied-Replica": "abc123-one"})
    gradio.replies["POST /gradio_api/call/echo"] = [acceptance]
    last = stream({**completion(["x"]), "event_id": "e1"})
    gradio.replies["GET /--replicas/one/gradio_api/queue/data"] = [last]
    result = client(gradio.url, replicas=2).call("/echo", ["x"])
    assert (result.value, result.replica) == ("x", "one")
    assert gradio.requests[-1].path == "/--replicas/one/gradio_api/queue/data"


def test_a_proxy_that_hides_the_replica_is_warned_about_once(
    client: Made, gradio: GradioApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = client(gradio.url, replicas=2)
    app.call("/echo", ["x"])
    app.call("/echo", ["x"])
    warnings = [each.message for each in caplog.records if "replicas" in each.message]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"Space {SPACE} has 2 replicas")


def test_the_app_s_own_login_is_done_once_and_again_after_a_restart(client: Made, gradio: GradioApp) -> None:
    inner = gradio.respond
    logins: list[str] = []

    def require_login(request: Any) -> Any:
        if request.name == "POST /login":
            logins.append(request.body.decode())
            return Reply(body={"success": True}, headers={"Set-Cookie": f"access-token={len(logins)}"})
        if request.headers.get("cookie") != f"access-token={len(logins)}":
            return Reply(401, {"detail": {"error": "Not authenticated", "auth_message": None}})
        return inner(request)

    gradio.respond = require_login  # type: ignore[method-assign]
    app = client(gradio.url, auth=("me", "p&ss"))
    assert app.call("/echo", ["x"]).value == "x"
    assert app.call("/echo", ["y"]).value == "y"
    assert logins == ["username=me&password=p%26ss"]
    logins.append("by somebody else, after the app started again")
    assert app.call("/echo", ["z"]).value == "z"
    assert len(logins) == 3
