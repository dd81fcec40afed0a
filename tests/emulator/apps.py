"""What the tests of emulated apps share: callers of a miniature Gradio, and servers to forward to."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from airflow_provider_hfspaces.emulator import HubEmulator, SpaceHandle

Frame = tuple[str, Any]


def wait_until(condition: Callable[[], Any]) -> None:
    """Poll until a condition holds, for effects that happen on another thread."""
    pause = threading.Event()
    for _ in range(2_000):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("the condition never held")


class GradioCaller:
    """Calls a miniature Gradio with plain HTTP."""

    def __init__(self, space: SpaceHandle, token: str, prefix: str = "/gradio_api") -> None:
        headers = {"X-HF-Authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=space.app_url, headers=headers, timeout=10, trust_env=False)
        self.prefix = prefix

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(f"{self.prefix}{path}", json=body)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(f"{self.prefix}{path}", params=query)

    def call(self, api: str, *data: Any, session: str | None = None) -> str:
        """Start a call. Returns the id of its event."""
        more = {} if session is None else {"session_hash": session}
        answer = self.post(f"/call/{api}", data=list(data), **more)
        answer.raise_for_status()
        return str(answer.json()["event_id"])

    def simple(self, api: str, *data: Any) -> list[Frame]:
        """Call by the simple route. Returns the frames of the answer."""
        return self.read(f"/call/{api}/{self.call(api, *data)}")

    def call_in_session(self, api: str, *data: Any, session: str) -> list[dict[str, Any]]:
        """Call by name, and read the messages of the session."""
        self.call(api, *data, session=session)
        return self.messages(session)

    def messages(self, session: str) -> list[dict[str, Any]]:
        return [data for _, data in self.read(f"/queue/data?session_hash={session}")]

    def read(self, path: str) -> list[Frame]:
        """The frames of a stream up to its end."""
        with self.http.stream("GET", f"{self.prefix}{path}") as answer:
            return frames_of(answer)

    def is_lost(self, path: str) -> bool:
        """Returns True if the app answers at once that nobody can read a stream any more."""
        try:
            with self.http.stream("GET", f"{self.prefix}{path}", timeout=0.2) as answer:
                return ("broken", None) in frames_of(answer)
        except httpx.ReadTimeout:
            return False

    def cancel(self, event_id: str, index: int, session: str | None = None) -> dict[str, Any]:
        answer = self.post("/cancel", event_id=event_id, session_hash=session or event_id, fn_index=index)
        return dict(answer.json())

    def index(self, api: str) -> int:
        dependencies = self.http.get("/config").json()["dependencies"]
        return int(next(each["id"] for each in dependencies if each["api_name"] == api))


def frames_of(answer: httpx.Response) -> list[Frame]:
    """The frames of a stream up to its end, and ``("broken", None)`` if it has none."""
    frames: list[Frame] = []
    buffer = b""
    try:
        for chunk in answer.iter_bytes():
            buffer += chunk
            while b"\n\n" in buffer:
                block, _, buffer = buffer.partition(b"\n\n")
                lines = dict(line.split(b": ", 1) for line in block.split(b"\n"))
                frames.append((lines.get(b"event", b"").decode(), json.loads(lines[b"data"])))
    except httpx.RemoteProtocolError:
        frames.append(("broken", None))
    return frames


def caller(hub: HubEmulator, space: SpaceHandle, version: int = 6) -> GradioCaller:
    return GradioCaller(space, hub.token, "" if version == 4 else "/gradio_api")


@contextmanager
def real_server(app: Any) -> Iterator[str]:
    """A server on a port of its own, with the address to forward to."""
    config = uvicorn.Config(
        app, port=0, log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(5)
