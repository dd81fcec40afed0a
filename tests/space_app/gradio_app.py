"""A small Gradio app, byte for byte as Gradio 4, 5 and 6 answer, whose faults a test scripts."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

from tests.space_app.app_server import AppRequest, AppServer, Reply, stream

VERSIONS = {4: ("4.44.1", ""), 5: ("5.50.0", "/gradio_api"), 6: ("6.31.0", "/gradio_api")}
FILE = {"title": "FileData", "type": "object", "properties": {"path": {}, "url": {}, "orig_name": {}}}


def parameter(name: str | None, schema: Any, **default: Any) -> dict[str, Any]:
    return {
        "label": (name or "value").title(),
        "parameter_name": name,
        "parameter_has_default": "default" in default,
        "parameter_default": default.get("default"),
        "type": schema,
        "component": "Textbox",
    }


TEXT, NUMBER = {"type": "string"}, {"type": "number"}
ENDPOINTS: dict[str, list[dict[str, Any]]] = {
    "/echo": [parameter("text", TEXT)],
    "/add": [parameter("a", NUMBER), parameter("b", NUMBER, default=1)],
    "/count": [
        parameter("whole", {"type": "integer"}),
        parameter("sure", {"type": "boolean"}, default=False),
    ],
    "/stateful": [parameter("x", TEXT)],
    "/choose": [parameter("color", {"type": "string", "enum": ["red", "blue"]})],
    "/suggest": [parameter("color", {"type": "string", "enum": ["red", "blue"]})],
    "/upper": [parameter("file", FILE)],
    "/gallery": [parameter("files", {"type": "array", "items": FILE})],
    "/nameless": [parameter(None, TEXT), parameter(None, NUMBER)],
    "/anything": [parameter("value", {"type": {}, "description": "any valid json"})],
    "/nested": [parameter("pair", {"anyOf": [{"type": "array", "items": NUMBER}, {"type": "null"}]})],
}
INPUTS = {"/stateful": ["state", "textbox"]}
OUTPUTS = {"/stateful": ["textbox", "state"], "/add": ["number", "number"]}


def _config(version: int) -> dict[str, Any]:
    components: list[dict[str, Any]] = []
    dependencies: list[dict[str, Any]] = []

    def component(kind: str, **props: Any) -> int:
        is_skipped = kind in ("state", "button")
        components.append({"id": len(components), "type": kind, "props": props, "skip_api": is_skipped})
        return len(components) - 1

    for number, (api, parameters) in enumerate(ENDPOINTS.items()):
        custom = {"allow_custom_value": True} if api == "/suggest" else {}
        kinds = INPUTS.get(api, ["textbox"] * len(parameters))
        dependencies.append(
            {
                "id": number,
                "api_name": api.strip("/"),
                "inputs": [component(kind, **custom) for kind in kinds],
                "outputs": [component(kind) for kind in OUTPUTS.get(api, ["textbox"])],
                "types": {"generator": False},
            }
        )
    for name in ("undocumented", False):
        dependencies.append(
            {
                "id": len(dependencies),
                "api_name": name,
                "inputs": [component("textbox", label="Text", value="start")],
                "outputs": [component("textbox")],
            }
        )
    number, prefix = VERSIONS[version]
    config = {
        "version": number,
        "protocol": "sse_v3",
        "app_id": 1,
        "max_file_size": 1_000,
        "components": components,
        "dependencies": dependencies,
    }
    return config if version == 4 else {**config, "api_prefix": prefix}


class GradioApp(AppServer):
    """Answers like a Gradio app.

    :ivar functions: what an endpoint returns for its inputs: a list of outputs, or the messages of its
        stream.
    :ivar config, info: what the app declares.
    """

    def __init__(self, version: int = 6) -> None:
        super().__init__()
        self.version = version
        self.prefix = VERSIONS[version][1]
        self.config = _config(version)
        endpoints = {
            api: {"parameters": each, "returns": [{"label": "Out"}]} for api, each in ENDPOINTS.items()
        }
        self.info: dict[str, Any] = {"named_endpoints": endpoints, "unnamed_endpoints": {}}
        self.functions: dict[str, Callable[..., Any]] = {
            "echo": lambda text: [text],
            "add": lambda a, b: [a + b, a - b],
            "stateful": lambda state, x: [f"{x}:{(state or 0) + 1}", None],
        }
        self.files: dict[str, bytes] = {}
        self._waiting: dict[str, tuple[str, str, list[Any]]] = {}

    def respond(self, request: AppRequest) -> Any:
        path = request.path.removeprefix("/--replicas/one").removeprefix("/--replicas/two")
        if request.name == "GET /config":
            return Reply(body=self.config)
        if request.method == "GET" and path == f"{self.prefix}/info":
            return Reply(body=self.info)
        if path.startswith(f"{self.prefix}/call/"):
            return self._join(request, path.rpartition("/")[2])
        if path == f"{self.prefix}/queue/join":
            return self._join(request, "function")
        if path == f"{self.prefix}/queue/data":
            return self._messages(request.query["session_hash"])
        if path == f"{self.prefix}/cancel":
            return Reply(body={"success": True})
        if path == f"{self.prefix}/upload":
            return self._upload(request)
        if path.startswith(f"{self.prefix}/file="):
            content = self.files.get(path.partition("/file=")[2])
            return Reply(403, {"detail": "File not allowed"}) if content is None else Reply(body=content)
        return Reply(404, {"detail": "Not Found"})

    def _join(self, request: AppRequest, name: str) -> Reply:
        event_id = uuid.uuid4().hex
        body = request.json
        self._waiting[body["session_hash"]] = (event_id, name, body["data"])
        return Reply(body={"event_id": event_id})

    async def _messages(self, session_hash: str) -> Reply:
        if session_hash not in self._waiting:
            return stream({"msg": "unexpected_error", "message": "404: Not Found", "event_id": None}, "cut")
        event_id, name, data = self._waiting.pop(session_hash)
        outcome = self.functions.get(name, lambda *values: [*values])(*data)
        if asyncio.iscoroutine(outcome):
            outcome = await outcome
        if isinstance(outcome, Reply):
            return outcome
        frames = outcome if outcome and isinstance(outcome[0], dict) and "msg" in outcome[0] else None
        if frames is None:
            frames = [completion(outcome), {"msg": "close_stream", "event_id": None}]
        return stream(
            *({"event_id": event_id, **each} if isinstance(each, dict) else each for each in frames)
        )

    def _upload(self, request: AppRequest) -> Reply:
        boundary = request.headers["content-type"].partition("boundary=")[2].encode()
        paths = []
        for part in request.body.split(b"--" + boundary)[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            if b'name="files"' in head:
                name = head.decode().partition('filename="')[2].partition('"')[0]
                path = f"/tmp/gradio/{len(self.files)}/{name}"
                self.files[path] = content[:-2]
                paths.append(path)
        return Reply(body=paths)


def completion(outputs: list[Any], **more: Any) -> dict[str, Any]:
    """The last message of a good call."""
    output = {"data": outputs, "is_generating": False, "duration": 0.25}
    return {"msg": "process_completed", "output": output, "success": True, **more}


def failure(error: str | None, **more: Any) -> dict[str, Any]:
    """The last message of a call whose function raised."""
    return {"msg": "process_completed", "output": {"error": error}, "success": False, **more}


def file_data(path: str) -> dict[str, Any]:
    """A file in an answer, with an address that must not be used."""
    return {
        "path": path,
        "url": f"https://elsewhere.test/file={path}",
        "size": 5,
        "orig_name": path.rpartition("/")[2],
        "is_stream": False,
        "meta": {"_type": "gradio.FileData"},
    }


def as_bytes(message: dict[str, Any], *, ascii_only: bool = False) -> bytes:
    """A frame as Gradio sends it: UTF-8, with every character as it is."""
    return f"data: {json.dumps(message, ensure_ascii=ascii_only)}\n\n".encode()
