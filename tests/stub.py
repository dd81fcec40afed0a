"""A server that sends scripted answers, byte for byte, and records the requests.

For tests that the emulator cannot serve: exact comparison of requests, and malformed answers.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class StubRequest:
    """A recorded request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def content(self) -> tuple[str, str, Any]:
        """Method, path and JSON body, which do not depend on the client."""
        return self.method, self.path, self.json


@dataclass(frozen=True)
class Say:
    """A scripted answer."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


RESET = "the connection is reset after the request was read"
CUT = "the answer ends in the middle"
RUNTIME = {
    "stage": "RUNNING",
    "hardware": {"current": "cpu-basic", "requested": "cpu-basic"},
    "gcTimeout": 172800,
}


class StubHub:
    """Sends the answers of ``script`` one by one, then ``otherwise`` for every request."""

    def __init__(self, *script: Say | str, otherwise: Say | None = None) -> None:
        self.script = list(script)
        self.otherwise = otherwise or Say()
        self.requests: list[StubRequest] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                stub.requests.append(StubRequest(self.command, self.path, headers, self.rfile.read(length)))
                say = stub.script.pop(0) if stub.script else stub.otherwise
                if say == RESET:
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.connection.close()
                    self.close_connection = True
                    return
                if say == CUT:
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", "1000")
                    self.end_headers()
                    self.wfile.write(b'{"stage": "RUN')
                    self.close_connection = True
                    return
                assert isinstance(say, Say)
                self.send_response(say.status)
                names = {name.lower() for name in say.headers}
                if "content-type" not in names:
                    self.send_header("Content-Type", "application/json; charset=utf-8")
                for name, value in say.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(say.content)))
                self.end_headers()
                self.wfile.write(say.content)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, *args: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> StubHub:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
