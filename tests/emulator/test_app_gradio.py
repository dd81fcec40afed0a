"""The miniature Gradio keeps the protocol of Gradio 4, 5 and 6, with the traps that callers have to know."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from airflow_provider_hfspaces.emulator import CallContext, GradioApp, GradioError, HubEmulator, SpaceHandle
from tests.emulator.apps import GradioCaller, caller, wait_until

SPACE = "acme/caption"
VERSIONS = (4, 5, 6)

Serve = Callable[..., GradioCaller]


@pytest.fixture
def hub_time() -> dict[str, float]:
    """The time passes as calls need it: a sleeping function lets it jump."""
    return {"speed": 0, "seconds_per_request": 1}


@pytest.fixture
def serve(hub: HubEmulator) -> Iterator[Serve]:
    """Serve a miniature Gradio on a private Space."""
    with ExitStack() as callers:

        def serve_app(version: int = 6, **options: Any) -> GradioCaller:
            space = hub.add_space(SPACE, private=True, app=GradioApp(version=version, **options))
            gradio = caller(hub, space, version)
            callers.enter_context(gradio.http)
            return gradio

        yield serve_app


def stop_time(hub: HubEmulator) -> None:
    """From now on, only ``advance`` lets a sleeping function continue."""
    hub.settings.seconds_per_request = 0


@contextmanager
def time_passes(hub: HubEmulator) -> Iterator[None]:
    """Let the time pass while a stream is read, because a test cannot see when the app begins to wait."""
    over = threading.Event()

    def pass_time() -> None:
        while not over.wait(0.01):
            hub.advance(5)

    thread = threading.Thread(target=pass_time)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def last(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that ends a call, before the one that ends the stream."""
    assert messages[-1]["msg"] == "close_stream"
    return messages[-2]


# The description of the app


@pytest.mark.parametrize(("version", "release"), [(4, "4.44.1"), (5, "5.50.0"), (6, "6.31.0")])
def test_config_has_the_release_and_prefix_of_its_version(serve: Serve, version: int, release: str) -> None:
    config = serve(version).http.get("/config").json()
    assert (config["version"], config["protocol"], config["space_id"]) == (release, "sse_v3", SPACE)
    assert config.get("api_prefix") == (None if version == 4 else "/gradio_api")
    names = {each["api_name"]: each for each in config["dependencies"]}
    assert names["count"]["types"]["generator"]
    assert ("hidden" in names, False in names) == (version == 6, version != 6)


def test_info_lists_public_endpoints_with_their_inputs(serve: Serve) -> None:
    info = serve().get("/info").json()["named_endpoints"]
    assert {"/echo", "/slow", "/remember", "/upper_file"} <= info.keys()
    assert not {"/hidden", "/undocumented"} & info.keys()
    inputs = {each["parameter_name"]: each for each in info["/defaults"]["parameters"]}
    assert [each["parameter_has_default"] for each in inputs.values()] == [False, True, True]
    assert (inputs["b"]["parameter_default"], inputs["b"]["type"]) == (1, {"type": "number"})
    assert [each["parameter_name"] for each in info["/remember"]["parameters"]] == ["text"]
    assert info["/upper_file"]["parameters"][0]["type"]["title"] == "FileData"
    assert info["/choose"]["parameters"][0]["type"]["enum"] == ["small", "large"]


# The simple route


@pytest.mark.parametrize("version", VERSIONS)
def test_the_simple_route_returns_a_value(serve: Serve, version: int) -> None:
    gradio = serve(version)
    assert gradio.simple("echo", "é\u2028😀") == [("complete", ["é\u2028😀"])]
    assert gradio.simple("two", "abc") == [("complete", ["abc", 3])]
    assert gradio.simple("nothing") == [("complete", [])]
    assert gradio.simple("reverse", "abc") == [("complete", ["cba"])]
    assert gradio.simple("unusual_json") == [("complete", [{"nan": None, "inf": None, "text": "é😀\u2028x"}])]


def test_the_simple_route_writes_ascii_and_the_queue_writes_unicode(serve: Serve) -> None:
    gradio = serve()
    event = gradio.call("echo", "é\u2028")
    assert b"\\u00e9\\u2028" in gradio.get(f"/call/echo/{event}").content
    gradio.call("echo", "é\u2028", session="s")
    assert "é\u2028".encode() in gradio.get("/queue/data", session_hash="s").content


def test_a_generator_sends_full_values_and_repeats_the_last_one(serve: Serve) -> None:
    assert serve().simple("count", 2) == [
        ("generating", ["step 0"]),
        ("generating", ["step 1"]),
        ("complete", ["step 1"]),
    ]


def test_named_arguments_exist_in_gradio_6_only(serve: Serve, hub: HubEmulator) -> None:
    gradio = serve()
    answer = gradio.post("/call/v2/defaults", a="x")
    assert gradio.read(f"/call/defaults/{answer.json()['event_id']}") == [("complete", ["x|1|see"])]
    assert gradio.post("/call/v2/defaults", nonsense=1).status_code == 500
    hub.space(SPACE).serve(GradioApp(version=5))
    assert gradio.post("/call/v2/defaults", a="x").status_code == 405


@pytest.mark.parametrize("version", VERSIONS)
def test_a_call_without_its_state_works_in_gradio_6_only(serve: Serve, version: int) -> None:
    event, _ = serve(version).simple("remember", "x")[-1]
    assert event == ("complete" if version == 6 else "error")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_keeps_its_state_and_a_call_without_one_starts_anew(serve: Serve, version: int) -> None:
    gradio = serve(version)
    outputs = [
        last(gradio.call_in_session("remember", "x", None, session="s"))["output"]["data"] for _ in range(2)
    ]
    assert outputs == [["x:1", None], ["x:2", None]]
    assert gradio.simple("remember", "x", None) == [("complete", ["x:1", None])]


def test_wrong_calls_are_answered_as_by_gradio(serve: Serve) -> None:
    gradio = serve()
    unknown = gradio.post("/call/nonsense", data=[])
    assert (unknown.status_code, unknown.text) == (500, "Internal Server Error")
    assert unknown.headers["connection"] == "close"
    assert gradio.post("/call/echo", other=1).status_code == 422
    assert gradio.simple("two") == [("error", {"error": None})]
    assert gradio.simple("echo", "a", "b", "c") == [("complete", ["a"])]


def test_a_direct_request_works_past_the_queue_only(serve: Serve) -> None:
    gradio = serve(show_error=True)
    assert gradio.post("/run/echo", data=["x"]).status_code == 404
    assert gradio.post("/run/unqueued", data=["x"]).json()["data"] == ["x"]
    failure = gradio.post("/run/unqueued", data=[])
    assert (failure.status_code, "enough input values" in failure.json()["error"]) == (500, True)
    assert gradio.post("/run/unqueued").status_code == 422


def test_an_exception_is_written_to_the_log_of_the_space(serve: Serve, hub: HubEmulator) -> None:
    serve().simple("value_error", "z")
    assert hub.space(SPACE).logs()[-1] == "ValueError: secret detail z"


@pytest.mark.parametrize("version", VERSIONS)
def test_endpoints_that_are_not_listed_can_still_be_called(serve: Serve, version: int) -> None:
    gradio = serve(version)
    assert gradio.simple("undocumented", "x") == [("complete", ["undocumented:x"])]
    assert gradio.post("/call/hidden", data=["x"]).status_code == (200 if version == 6 else 500)
    index = len(gradio.http.get("/config").json()["dependencies"]) - 1
    gradio.post("/queue/join", data=["x"], fn_index=index, session_hash="s").raise_for_status()
    assert last(gradio.messages("s"))["output"]["data"] == ["hidden:x"]


# The queue


@pytest.mark.parametrize("version", VERSIONS)
def test_the_queue_tells_what_happens_to_a_call(serve: Serve, version: int) -> None:
    gradio = serve(version)
    gradio.post("/queue/join", data=["x"], fn_index=gradio.index("progress"), session_hash="s")
    messages = gradio.messages("s")
    names = [each["msg"] for each in messages]
    assert names == [
        "estimation",
        "process_starts",
        *["progress"] * 4,
        *["log"] * 2,
        "process_completed",
        "close_stream",
    ]
    assert messages[2]["progress_data"][0] | {"desc": ""} == {
        "index": 0,
        "length": 4,
        "unit": "steps",
        "progress": None,
        "desc": "",
    }
    assert ("title" in messages[6], messages[6]["log"]) == (version != 4, "half way")
    assert (messages[0]["rank"], messages[0]["rank_eta"]) == (0, None)
    assert last(messages)["success"]


def test_the_mixed_form_names_an_endpoint_and_gets_all_messages(serve: Serve) -> None:
    messages = serve().call_in_session("echo", "x", session="s")
    assert [each["msg"] for each in messages][-2:] == ["process_completed", "close_stream"]
    assert last(messages)["output"]["data"] == ["x"]


def test_later_values_of_a_generator_are_changes_to_the_first(serve: Serve) -> None:
    gradio = serve()
    gradio.post("/queue/join", data=[2], fn_index=gradio.index("rows"), session_hash="s")
    values = [each["output"]["data"] for each in gradio.messages("s") if "output" in each]
    assert values == [
        [{"items": [0], "last": 0}],
        [[["add", ["items", 1], 1], ["replace", ["last"], 1]]],
        [{"items": [0, 1], "last": 1}],
    ]


def test_wrong_requests_to_join_the_queue_are_answered_as_by_gradio(serve: Serve) -> None:
    gradio = serve()
    assert gradio.post("/queue/join", data=["x"], fn_index=0).status_code == 400
    assert gradio.post("/queue/join", data=["x"], fn_index=99, session_hash="s").status_code == 500
    assert gradio.post("/queue/join", fn_index=0, session_hash="s").status_code == 422


def test_a_full_queue_refuses_calls_of_every_function(serve: Serve, hub: HubEmulator) -> None:
    gradio = serve(queue_size=2)
    stop_time(hub)
    for _ in range(3):
        gradio.call("slow", "x", 10)
    answer = gradio.post("/call/echo", data=["x"])
    assert answer.status_code == 503
    assert answer.json() == {"detail": "Queue is full. Max size is 2 and size is 2."}
    assert gradio.get("/queue/status").json()["queue_size"] == 2
    assert gradio.call("unqueued", "x")
    with time_passes(hub):
        wait_until(lambda: gradio.get("/queue/status").json()["queue_size"] < 2)
    assert gradio.simple("echo", "x") == [("complete", ["x"])]


def test_one_function_runs_one_call_at_a_time_unless_told_otherwise(serve: Serve, hub: HubEmulator) -> None:
    gradio = serve()
    stop_time(hub)
    for _ in range(3):
        gradio.call("slow", "x", 10)
        gradio.call("nap", "x", 10)
    assert gradio.get("/queue/status").json()["queue_size"] == 2


def test_calls_of_a_batch_endpoint_run_together(serve: Serve, hub: HubEmulator) -> None:
    gradio = serve(seconds=5)
    stop_time(hub)
    for word in ("ab", "cd", "ef"):
        gradio.call("reverse", word, session="s")
    assert gradio.get("/queue/status").json()["queue_size"] == 2
    hub.settings.seconds_per_request = 1
    outputs = [each["output"]["data"] for each in gradio.messages("s") if "output" in each]
    assert outputs == [["ba"], ["dc"], ["fe"]]


# Lost readers and results


def test_a_result_waits_for_one_reader_and_the_second_gets_heartbeats(serve: Serve, hub: HubEmulator) -> None:
    gradio = serve()
    event = gradio.call("echo", "x")
    assert gradio.read(f"/call/echo/{event}") == [("complete", ["x"])]
    with time_passes(hub), gradio.http.stream("GET", f"/gradio_api/call/echo/{event}") as stream:
        lines = stream.iter_lines()
        assert [next(lines), next(lines)] == ["event: heartbeat", "data: null"]


def test_a_quiet_call_sends_heartbeats(serve: Serve, hub: HubEmulator) -> None:
    names = [name for name, _ in serve().simple("slow", "x", 50)]
    assert names == ["heartbeat", "heartbeat", "heartbeat", "complete"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_call_whose_reader_left_is_lost(serve: Serve, hub: HubEmulator, version: int) -> None:
    gradio = serve(version)
    stop_time(hub)
    running, waiting = gradio.call("slow", "x", 10), gradio.call("slow", "y", 10)
    for event in (running, waiting):
        leave(gradio, f"/call/slow/{event}")
    assert gradio.get("/queue/status").json()["queue_size"] == 0
    hub.advance(30)
    missing = "404: Session not found." if version == 4 else "404: Not Found"
    for event in (running, waiting, "unknown"):
        assert gradio.read(f"/call/slow/{event}") == [("error", missing), ("broken", None)]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_whose_reader_left_cannot_be_read_again(
    serve: Serve, hub: HubEmulator, version: int
) -> None:
    gradio = serve(version)
    stop_time(hub)
    gradio.call("nap", "x", 10, session="s")
    leave(gradio, "/queue/data?session_hash=s")
    (message,) = gradio.messages("s")[:1]
    assert (message["msg"], message["message"][:4]) == ("unexpected_error", "404:")
    assert ("session_not_found" in message) == (version != 4)
    # A later call on this session works, but its stream never closes.
    gradio.call("echo", "y", session="s")
    with time_passes(hub), gradio.http.stream("GET", f"{gradio.prefix}/queue/data?session_hash=s") as stream:
        lines = (line for line in stream.iter_lines() if line)
        while "process_completed" not in next(lines):
            pass
        assert next(lines).startswith('data: {"msg":"heartbeat"')


def leave(gradio: GradioCaller, path: str) -> None:
    """Open a stream, close it, and wait until the app has noticed."""
    with gradio.http.stream("GET", f"{gradio.prefix}{path}") as stream:
        assert stream.status_code == 200
    wait_until(lambda: gradio.is_lost(path))


@pytest.mark.slow
def test_the_oldest_of_two_thousand_results_is_forgotten(serve: Serve, hub: HubEmulator) -> None:
    gradio = serve()
    first = gradio.call("unqueued", "x")
    for _ in range(2_000):
        gradio.call("unqueued", "x")
    assert gradio.read(f"/call/unqueued/{first}")[0] == ("error", "404: Not Found")


def test_a_restart_loses_results_sessions_and_uploads(serve: Serve, hub: HubEmulator) -> None:
    gradio = serve()
    event, path = gradio.call("echo", "x"), upload(gradio, "a.txt", b"abc")
    app_id = gradio.http.get("/config").json()["app_id"]
    hub.space(SPACE).kill_app()
    assert gradio.read(f"/call/echo/{event}") == [("error", "404: Not Found"), ("broken", None)]
    assert gradio.get(f"/file={path}").status_code == 403
    assert gradio.http.get("/config").json()["app_id"] != app_id


# Cancelling


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cancelled_call_ends_as_complete_without_data(serve: Serve, hub: HubEmulator, version: int) -> None:
    gradio = serve(version)
    stop_time(hub)
    event = gradio.call("nap", "x", 10)
    assert gradio.cancel(event, gradio.index("nap")) == {"success": True}
    assert gradio.read(f"/call/nap/{event}") == [("complete", None)]
    event = gradio.call("nap", "x", 10, session="s")
    gradio.cancel(event, gradio.index("nap"), "s")
    message = last(gradio.messages("s"))
    assert (message["success"], message["output"]) == (True, {})


def test_cancelling_an_unknown_call_succeeds_too(serve: Serve) -> None:
    gradio = serve()
    assert gradio.cancel("nonsense", 1) == {"success": True}
    assert gradio.post("/cancel", event_id="e", session_hash="s").status_code == 422


def test_a_cancelled_plain_function_frees_its_slot_and_runs_on(serve: Serve, hub: HubEmulator) -> None:
    gradio = serve()
    stop_time(hub)
    first, second = gradio.call("slow", "x", 10), gradio.call("slow", "y", 20)
    assert gradio.get("/queue/status").json()["queue_size"] == 1
    gradio.cancel(first, gradio.index("slow"))
    assert gradio.get("/queue/status").json()["queue_size"] == 0
    with time_passes(hub):
        assert gradio.read(f"/call/slow/{second}")[-1] == ("complete", ["y!"])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cancelled_call_that_waits_runs_later_before_gradio_6(
    serve: Serve, hub: HubEmulator, version: int
) -> None:
    ran: list[str] = []

    async def label(text: str, call: CallContext) -> str:
        ran.append(text)
        await call.sleep(10)
        return text

    gradio = serve(version, endpoints={"label": label})
    stop_time(hub)
    gradio.call("label", "first")
    waiting = gradio.call("label", "second")
    gradio.cancel(waiting, 0)
    assert gradio.read(f"/call/label/{waiting}") == [("complete", None)]
    third = gradio.call("label", "third")
    with time_passes(hub):
        assert gradio.read(f"/call/label/{third}")[-1] == ("complete", ["third"])
    assert ran == (["first", "third"] if version == 6 else ["first", "second", "third"])


def test_cancelling_one_call_ends_its_neighbour_in_the_session_without_a_word(
    serve: Serve, hub: HubEmulator
) -> None:
    gradio = serve()
    stop_time(hub)
    first, second = (gradio.call("nap", text, 10, session="s") for text in "ab")
    gradio.cancel(first, gradio.index("nap"), "s")
    hub.advance(100)
    with time_passes(hub), gradio.http.stream("GET", "/gradio_api/queue/data?session_hash=s") as stream:
        lines = stream.iter_lines()
        lines_read = [next(lines)]
        while "heartbeat" not in lines_read[-1]:
            lines_read.append(next(lines))
    completions = [line for line in lines_read if "process_completed" in line]
    assert len(completions) == 1
    assert first in completions[0]
    assert second not in completions[0]


# Errors


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shows_errors", [False, True])
def test_errors_have_the_shape_of_each_version(serve: Serve, version: int, shows_errors: bool) -> None:
    gradio = serve(version, show_error=shows_errors)
    full = {"error": "bad input: z", "duration": 10, "visible": True, "title": "Error"}
    assert gradio.simple("gr_error", "z") == [("error", full if version == 6 else None)]
    hidden_error = {"error": "secret detail z", "visible": True} if shows_errors else {"error": None}
    assert gradio.simple("value_error", "z") == [("error", hidden_error if version == 6 else None)]
    message = last(gradio.call_in_session("gr_error", "z", session="a"))
    assert (message["success"], message["output"]["error"]) == (
        False,
        "'bad input: z'" if version == 4 else "bad input: z",
    )
    assert ("title" in message) == ("title" in message["output"]) == (version != 4)
    message = last(gradio.call_in_session("value_error", "z", session="b"))
    assert message["output"]["error"] == ("secret detail z" if shows_errors else None)


def test_a_generator_can_fail_after_its_first_values(serve: Serve) -> None:
    frames = serve().simple("fail_late", 2)
    assert [name for name, _ in frames] == ["generating", "generating", "error"]


# Files


def upload(gradio: GradioCaller, name: str, content: bytes) -> str:
    (path,) = gradio.http.post(f"{gradio.prefix}/upload", files=[("files", (name, content))]).json()
    return str(path)


def file_data(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_goes_in_and_comes_out(serve: Serve, version: int) -> None:
    gradio = serve(version)
    path = upload(gradio, "a é.txt", "straße".encode())
    assert path.endswith("/a é.txt")
    ((_, (output,)),) = gradio.simple("upper_file", file_data(path))
    assert (output["orig_name"], output["meta"]) == ("out file.txt", {"_type": "gradio.FileData"})
    assert output["url"].startswith(f"{gradio.http.base_url}".rstrip("/"))
    answer = gradio.http.get(f"{gradio.prefix}/file={httpx.URL(path=output['path']).raw_path.decode()}")
    assert answer.text == "STRASSE"


def test_files_are_found_at_any_depth_of_an_answer(serve: Serve) -> None:
    ((_, (pictures,)),) = serve().simple("gallery", "cat", 2)
    assert [each["caption"] for each in pictures] == ["cat 0", "cat 1"]
    assert {each["image"]["meta"]["_type"] for each in pictures} == {"gradio.FileData"}


def test_many_files_go_in_as_a_list(serve: Serve) -> None:
    gradio = serve()
    parts = [("files", ("../../etc/x.txt", b"1")), ("files", ("y.bin", b"\r\n\x00" * 100))]
    paths = gradio.http.post("/gradio_api/upload", files=parts).json()
    frames = gradio.simple("describe_files", [file_data(path) for path in paths])
    assert frames == [("complete", [[{"name": "x.txt", "size": 1}, {"name": "y.bin", "size": 300}]])]


def test_wrong_uploads_are_answered_as_by_gradio(serve: Serve) -> None:
    gradio = serve(max_file_size=10)
    assert gradio.http.post("/gradio_api/upload", files={"file": b"x"}).json() == []
    assert gradio.post("/upload").status_code == 400
    too_large = gradio.http.post("/gradio_api/upload", files={"files": b"x" * 11})
    assert (too_large.status_code, too_large.text) == (
        413,
        "File size exceeded maximum allowed size of 10 bytes.",
    )
    assert gradio.http.get("/config").json()["max_file_size"] == 10


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_needs_its_mark_from_gradio_5_on(serve: Serve, version: int) -> None:
    gradio = serve(version)
    name, _ = gradio.simple("upper_file", {"path": upload(gradio, "a.txt", b"a")})[-1]
    assert name == ("complete" if version == 4 else "error")


def test_files_outside_the_app_stay_outside(serve: Serve) -> None:
    gradio = serve()
    assert gradio.get("/file=/etc/hostname").status_code == 403
    assert gradio.simple("upper_file", file_data("/etc/hostname"))[-1][0] == "error"


def test_a_public_address_as_a_file_is_fetched_by_the_app(serve: Serve, hub: HubEmulator) -> None:
    address = f"{hub.add_space('acme/files', sdk='static').app_url}/README.md"
    assert serve().simple("describe_files", [file_data(address)])[0][1][0][0]["name"] == "README.md"


# Login


@pytest.mark.parametrize("version", VERSIONS)
def test_an_app_with_a_login_opens_after_it(serve: Serve, hub: HubEmulator, version: int) -> None:
    gradio = serve(version, login={"ada": "right"})
    detail = gradio.http.get("/config").json()["detail"]
    assert detail == (
        "Not authenticated" if version == 4 else {"error": "Not authenticated", "auth_message": None}
    )
    assert gradio.post("/call/echo", data=["x"]).status_code == 401
    wrong = gradio.http.post("/login", data={"username": "ada", "password": "wrong"})
    assert (wrong.status_code, wrong.json()) == (400, {"detail": "Incorrect credentials."})
    assert gradio.http.post("/login", json={}).status_code == 422
    assert gradio.http.post("/login", data={"username": "ada", "password": "right"}).status_code == 200
    assert gradio.http.get("/config").json()["username"] == "ada"
    assert gradio.simple("echo", "x") == [("complete", ["x"])]
    hub.space(SPACE).kill_app()
    assert gradio.http.get("/config").status_code == 401


# Endpoints from functions


def test_functions_become_endpoints_with_the_components_of_their_annotations(serve: Serve) -> None:
    def describe(
        text: str, many: int, loud: bool, size: Literal["s", "l"], data: dict[str, Any], file: Path | None
    ) -> tuple[str, dict[str, Any]]:
        return f"{text}{many}{loud}{size}{file}", data

    gradio = serve(endpoints={"/describe": describe})
    (parameters,) = (each["parameters"] for each in gradio.get("/info").json()["named_endpoints"].values())
    kinds = [each["component"] for each in parameters]
    assert kinds == ["Textbox", "Number", "Checkbox", "Dropdown", "Json", "File"]
    frames = gradio.simple("describe", "a", 2, True, "s", {"x": [1]}, None)
    assert frames == [("complete", ["a2TruesNone", {"x": [1]}])]


def test_a_function_gets_the_call_and_can_fail_for_its_caller(serve: Serve, hub: HubEmulator) -> None:
    async def where(text: str, call: CallContext) -> str:
        await call.sleep(20)
        if text == "wrong":
            raise GradioError("not that")
        return f"{text} on {call.host.hardware()} for {call.headers['x-purpose']}"

    gradio = serve(endpoints={"where": where})
    gradio.http.headers["X-Purpose"] = "a test"
    before = hub.now()
    assert gradio.simple("where", "x")[-1] == ("complete", ["x on cpu-basic for a test"])
    assert hub.now() - before == pytest.approx(20)
    assert gradio.simple("where", "wrong")[-1][1]["error"] == "not that"


def test_calls_take_the_seconds_that_the_app_is_given(serve: Serve, hub: HubEmulator) -> None:
    gradio = serve(seconds=30)
    before = hub.now()
    gradio.simple("echo", "x")
    assert hub.now() - before == pytest.approx(30)


def test_the_app_sees_no_token_of_the_edge(serve: Serve, hub: HubEmulator) -> None:
    ((_, (headers,)),) = serve().simple("headers")
    assert hub.token not in str(headers)
    space: SpaceHandle = hub.space(SPACE)
    assert len(space.app_requests) == 2
    assert not space.app_saw(hub.token)
    assert space.app_requests[0].json == {"data": []}


@pytest.mark.parametrize(
    "options",
    [
        {"version": 3},
        {"concurrency": 0},
        {"queue_size": -1},
        {"seconds": -1},
        {"max_file_size": 1.5},
        {"endpoints": {"caption": "make_caption"}},
        {"endpoints": {"caption": str}},
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options)).removesuffix("s")):
        GradioApp(**options)
