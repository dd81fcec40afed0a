"""The miniature Gradio answers as the real one, and the official client works with it. ``make test-apps``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from airflow_provider_hfspaces.emulator import GradioApp, HubEmulator
from airflow_provider_hfspaces.emulator.apps.gradio.builtin import BUILTIN
from tests.conftest import ROOT
from tests.emulator.apps import GradioCaller, wait_until
from tests.emulator.test_cli import free_port

pytestmark = pytest.mark.apps

CLIENTS = Path(__file__).parent / "clients"
SPACE = "acme/caption"
TWINS = (
    "echo",
    "slow",
    "nap",
    "count",
    "rows",
    "fail_late",
    "gr_error",
    "value_error",
    "upper_file",
    "describe_files",
    "defaults",
    "remember",
    "reverse",
    "two",
    "nothing",
    "unusual_json",
    "unqueued",
)


def python(version: int) -> Path:
    path = ROOT / ".venv" / "apps" / str(version) / "bin" / "python"
    if not path.exists():
        pytest.skip(f"Gradio {version} has no environment here: run 'make test-apps'")
    return path


@contextmanager
def real_gradio(version: int) -> Iterator[str]:
    port = free_port()
    with subprocess.Popen(
        [str(python(version)), str(CLIENTS / "gradio_twin.py"), port],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(ROOT / ".airflow"), "GRADIO_ANALYTICS_ENABLED": "False"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while process.stdout.readline().strip() != "ready":
            assert process.poll() is None
        yield f"http://127.0.0.1:{port}"
        process.kill()


@pytest.fixture(scope="module", params=[4, 5, 6])
def twins(request: pytest.FixtureRequest) -> Iterator[tuple[GradioCaller, GradioCaller]]:
    """A caller of the real app, and one of the miniature app."""
    version = request.param
    endpoints = {name: BUILTIN[name] for name in TWINS}
    with real_gradio(version) as url, HubEmulator(speed=10) as hub:
        app = GradioApp(version=version, endpoints=endpoints, queue_size=2)
        space = hub.add_space(SPACE, app=app)
        prefix = "" if version == 4 else "/gradio_api"
        mini = GradioCaller(space, hub.token, prefix)
        real = GradioCaller(space, hub.token, prefix)
        real.http.close()
        real.http = httpx.Client(base_url=url, timeout=20, trust_env=False)
        with mini.http, real.http:
            yield real, mini


SAME_IN_ALL = ("protocol", "api_prefix", "version", "max_file_size", "show_error", "username", "enable_queue")


def without_variable_parts(value: Any) -> Any:
    """Remove the parts of a value that differ from run to run: numbers of events, durations, addresses."""
    if isinstance(value, dict):
        return {name: without_variable_parts(each) for name, each in value.items() if name not in UNEQUAL}
    if isinstance(value, (list, tuple)):
        return [without_variable_parts(each) for each in value]
    return value


UNEQUAL = {
    "average_duration",
    "avg_time",
    "cache_duration",
    "changed_state_ids",
    "duration",
    "eta",
    "event_id",
    "path",
    "queue_size",
    "rank_eta",
    "url",
}


def describe(gradio: GradioCaller) -> Any:
    config, info = gradio.http.get("/config").json(), gradio.get("/info").json()["named_endpoints"]
    names = [each["api_name"] for each in config["dependencies"]]
    dependencies = {
        each["api_name"]: [
            each.get(key)
            for key in ("queue", "batch", "types", "connection", "show_api", "api_visibility", "cancels")
        ]
        for each in config["dependencies"]
    }
    endpoints = {
        name: (
            [
                {
                    key: each.get(key)
                    for key in (
                        "label",
                        "parameter_name",
                        "parameter_has_default",
                        "parameter_default",
                        "component",
                    )
                }
                for each in endpoint["parameters"]
            ],
            [each["component"] for each in endpoint["returns"]],
            sorted(set(endpoint) - {"code_snippets"}),
        )
        for name, endpoint in info.items()
    }
    types = {
        name: [each["type"].get("type") for each in endpoint["parameters"]] for name, endpoint in info.items()
    }
    return {key: config.get(key) for key in SAME_IN_ALL}, names, dependencies, endpoints, types


def values(gradio: GradioCaller) -> Any:
    return [
        gradio.simple("echo", "é\u2028😀"),
        gradio.simple("two", "abc"),
        gradio.simple("nothing"),
        gradio.simple("count", 2),
        gradio.simple("rows", 2),
        gradio.simple("defaults", "x", 2, "y"),
        gradio.simple("remember", "x", None),
        gradio.simple("reverse", "abc"),
        gradio.simple("unusual_json"),
        gradio.simple("unqueued", "x"),
        gradio.simple("echo", "a", "b", "c"),
    ]


def messages(gradio: GradioCaller) -> Any:
    return [
        without_variable_parts(gradio.call_in_session(api, *data, session=uuid4().hex))
        for api, data in {
            "echo": ["x"],
            "count": [2],
            "rows": [3],
            "fail_late": [1],
            "gr_error": ["z"],
            "value_error": ["z"],
            "remember": ["x", None],
            "reverse": ["abc"],
            "unusual_json": [],
        }.items()
    ]


def errors(gradio: GradioCaller) -> Any:
    return [
        gradio.simple("gr_error", "z"),
        gradio.simple("value_error", "z"),
        gradio.simple("fail_late", 1),
        gradio.simple("two"),
        gradio.simple("remember", "x")[-1][0],
    ]


def refusals(gradio: GradioCaller) -> Any:
    index = gradio.index("echo")

    def ask(method: str, path: str, body: Any = None) -> httpx.Response:
        # Each on a connection of its own, because Gradio closes the connection after some of them.
        url = f"{str(gradio.http.base_url).rstrip('/')}{gradio.prefix}{path}"
        headers = {name: value for name, value in gradio.http.headers.items() if name == "x-hf-authorization"}
        return httpx.request(method, url, json=body, headers=headers, timeout=20, trust_env=False)

    no_session = ask("POST", "/queue/join", {"data": ["x"], "fn_index": index})
    answer_to_cancel = ask("POST", "/cancel", {"event_id": "e", "session_hash": "s", "fn_index": index})
    return (
        (no_session.status_code, no_session.json()),
        (answer_to_cancel.status_code, answer_to_cancel.json()),
        [
            ask(method, path, body).status_code
            for method, path, body in (
                ("POST", "/call/nonsense", {"data": []}),
                ("POST", "/call/echo", {"other": 1}),
                ("POST", "/queue/join", {"data": ["x"], "fn_index": 999, "session_hash": "s"}),
                ("POST", "/queue/join", {"fn_index": index, "session_hash": "s"}),
                ("POST", "/cancel", {"event_id": "e", "session_hash": "s"}),
                ("POST", "/call/v2/echo", {"text": "x"}),
                ("GET", "/file=/etc/hostname", None),
                ("GET", "/file=/nowhere/gradio/x.txt", None),
                ("GET", "/nonsense", None),
                ("POST", "/upload", {}),
            )
        ],
    )


def missing(gradio: GradioCaller) -> Any:
    return [
        gradio.read("/call/echo/unknown"),
        [without_variable_parts(message) for message in gradio.messages("unknown") if message is not None],
    ]


def lose_readers(gradio: GradioCaller) -> Any:
    """Calls whose reader leaves: one that runs, one that waits, and one of a session."""
    wait_until_idle(gradio)
    running = gradio.call("slow", "x", 2)
    # Gradio looks at its queue a few times in a second.
    wait_until(lambda: gradio.get("/queue/status").json()["queue_size"] == 0)
    waiting = gradio.call("slow", "y", 2)
    session = uuid4().hex
    gradio.call("nap", "z", 2, session=session)
    paths = [
        f"/call/slow/{running}",
        f"/call/slow/{waiting}",
        f"/queue/data?session_hash={session}",
    ]
    for path in paths:
        with gradio.http.stream("GET", f"{gradio.prefix}{path}"):
            pass
        wait_until(lambda path=path: gradio.is_lost(path))  # type: ignore[misc]
    return [without_variable_parts(gradio.read(path)) for path in paths]


def cancel_calls(gradio: GradioCaller) -> Any:
    wait_until(lambda: gradio.get("/queue/status").json()["queue_size"] == 0)
    event = gradio.call("nap", "x", 30)
    answer = gradio.cancel(event, gradio.index("nap"))
    simple = gradio.read(f"/call/nap/{event}")
    session = uuid4().hex
    event = gradio.call("nap", "x", 30, session=session)
    gradio.cancel(event, gradio.index("nap"), session)
    messages = [message for message in gradio.messages(session) if message["msg"] != "estimation"]
    return answer, simple, without_variable_parts(messages[-2:])


def wait_until_idle(gradio: GradioCaller) -> None:
    """Wait for calls of an earlier story, which run on."""
    gradio.simple("slow", "x", 0)


def full(gradio: GradioCaller) -> Any:
    wait_until_idle(gradio)
    events = [gradio.call("slow", "x", 3)]
    wait_until(lambda: gradio.get("/queue/status").json()["queue_size"] == 0)
    events += [gradio.call("slow", "x", 0) for _ in range(2)]
    answer = gradio.post("/call/echo", data=["x"])
    for event in events:
        gradio.read(f"/call/slow/{event}")
    return answer.status_code, answer.json(), "retry-after" in answer.headers


def files(gradio: GradioCaller) -> Any:
    parts = [("files", ("a b é.txt", "straße".encode())), ("files", ("../../etc/x.bin", b"\r\n\x00"))]
    upload_paths = gradio.http.post(f"{gradio.prefix}/upload", files=parts).json()
    wrong = gradio.http.post(f"{gradio.prefix}/upload", files={"file": b"x"})
    file_data = [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in upload_paths]
    output = gradio.simple("upper_file", file_data[0])
    path = output[-1][1][0]["path"]
    download = gradio.http.get(f"{gradio.prefix}/file={httpx.URL(path=path).raw_path.decode()}")
    part = gradio.http.get(
        f"{gradio.prefix}/file={httpx.URL(path=path).raw_path.decode()}", headers={"Range": "bytes=0-2"}
    )
    return [
        [Path(each).name for each in upload_paths],
        (wrong.status_code, wrong.json()),
        without_variable_parts(output),
        (download.status_code, download.text),
        (part.status_code, part.text),
        gradio.simple("describe_files", file_data),
        gradio.simple("upper_file", {"path": upload_paths[0]})[-1][0],
        gradio.simple("upper_file", {"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}),
    ]


@pytest.mark.parametrize(
    "story", [describe, values, messages, errors, refusals, missing, lose_readers, cancel_calls, full, files]
)
def test_the_miniature_gradio_answers_as_the_real_one(
    twins: tuple[GradioCaller, GradioCaller], story: Any
) -> None:
    real, mini = twins
    assert story(mini) == story(real)


@pytest.mark.parametrize("story", [values, messages, refusals, lose_readers, cancel_calls, full, files])
def test_a_real_app_answers_through_the_edge_as_directly(
    twins: tuple[GradioCaller, GradioCaller], story: Any
) -> None:
    real, _ = twins
    with HubEmulator(speed=0) as hub:
        space = hub.add_space("acme/real", private=True, app=str(real.http.base_url))
        proxy = GradioCaller(space, hub.token, real.prefix)
        with proxy.http:
            assert story(proxy) == story(real)


@pytest.mark.parametrize("version", [4, 5, 6])
def test_the_official_client_works_with_a_private_emulated_space(version: int) -> None:
    with HubEmulator(speed=60) as hub:
        space = hub.add_space(SPACE, private=True, app=GradioApp(version=version))
        source = SPACE if version == 6 else space.app_url
        result = subprocess.run(
            [str(python(version)), str(CLIENTS / "gradio_calls.py"), source, hub.token],
            capture_output=True,
            text=True,
            timeout=120,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(ROOT / ".airflow"),
                "HF_ENDPOINT": hub.url,
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "GRADIO_ANALYTICS_ENABLED": "False",
            },
        )
        assert result.returncode == 0, result.stderr
        answers = json.loads(result.stdout)
        headers_of_app = space.app_saw(hub.token)
    assert answers == {
        "echo": "é😀",
        "two": ["abc", 3],
        "defaults": "x|1|y",
        "remember": ["x:1", "x:2"],
        "count": ["step 2", ["step 0", "step 1", "step 2"]],
        "rows": {"items": [0, 1, 2], "last": 2},
        "upper_file": "HELLO",
        "describe_files": [{"name": "a b é.txt", "size": 5}],
        "gallery": [["picture 0.png", "cat 0"], ["picture 1.png", "cat 1"]],
        "big": 10_000_000,
        "gr_error": "AppError",
        "value_error": "AppError",
        "hidden": "ValueError",
        "two without its input": "TypeError",
    }
    # From version 5 on, the client sends its token only in the header that the edge removes.
    assert headers_of_app == (version == 4)
