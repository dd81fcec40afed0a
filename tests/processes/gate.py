"""A gate before the emulated Hub or Airflow's API, which holds or refuses certain requests for a test."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import requests

__all__ = ["Gate", "HeldRequest"]

_HOP_HEADERS = frozenset({"connection", "transfer-encoding", "content-encoding", "content-length", "host"})
"""Headers of one connection, which are not passed on."""


class _QuietServer(ThreadingHTTPServer):
    """A server whose clients may die or give up while they wait for their answer."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        # requests has its own errors for a Hub that resets a connection, as a fault makes it do.
        if not isinstance(sys.exc_info()[1], (ConnectionError, requests.RequestException)):
            super().handle_error(request, client_address)


class HeldRequest:
    """The next request of a kind, which the gate holds back.

    :ivar method: of the request.
    :ivar path: a regular expression for its path.
    """

    def __init__(self, method: str, path: str) -> None:
        self.method, self.path = method, re.compile(path)
        self._arrival, self._release, self._answer = (threading.Event() for _ in range(3))

    def has_arrived(self) -> bool:
        """Whether the request is at the gate. The Hub has not received it yet."""
        return self._arrival.is_set()

    def release(self) -> None:
        """Let the request pass, and wait until the Hub has answered it."""
        self._release.set()
        assert self._answer.wait(60), "the Hub does not answer"

    def pass_through(self, forward: Any) -> Any:
        """Hold the request, then forward it."""
        self._arrival.set()
        self._release.wait()
        try:
            return forward()
        finally:
            self._answer.set()


class Gate:
    """An HTTP server on loopback that passes every request on to the Hub, and holds some back.

        with Gate(hub.url) as gate:
            held = gate.hold("POST", "whisper/hardware$")
            ...  # somebody requests hardware through gate.url
            held.release()

    :ivar url: the address to use instead of the Hub's.
    """

    def __init__(self, hub_url: str) -> None:
        self._held_requests: list[HeldRequest] = []
        self._refusals: list[tuple[str, re.Pattern[str], int]] = []
        self._lock = threading.Lock()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {
                    key: value for key, value in self.headers.items() if key.lower() not in _HOP_HEADERS
                }

                def forward() -> requests.Response:
                    return requests.request(
                        self.command,
                        f"{hub_url}{self.path}",
                        data=body,
                        headers=headers,
                        allow_redirects=False,
                        stream=True,
                        timeout=120,
                    )

                if (status := gate.refusal(self.command, self.path)) is not None:
                    self.send_error(status)
                    return
                held_request = gate.take_hold(self.command, self.path)
                with held_request.pass_through(forward) if held_request else forward() as answer:
                    self.pass_back(answer)

            def pass_back(self, answer: requests.Response) -> None:
                self.send_response(answer.status_code)
                for key, value in answer.headers.items():
                    if key.lower() not in _HOP_HEADERS:
                        self.send_header(key, value)
                if answer.headers.get("content-type", "").startswith("text/event-stream"):
                    # A log has no end while its app runs.
                    self.send_header("Connection", "close")
                    self.end_headers()
                    for chunk in answer.iter_content(chunk_size=None):
                        self.wfile.write(chunk)
                    return
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

            def log_message(self, *args: Any) -> None:
                """Log nothing."""

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def hold(self, method: str, path: str) -> HeldRequest:
        """Hold the next request with this method whose path contains a match of a regular expression."""
        held_request = HeldRequest(method, path)
        with self._lock:
            self._held_requests.append(held_request)
        return held_request

    def take_hold(self, method: str, path: str) -> HeldRequest | None:
        """The hold that a request which has just come meets; it holds no other request after that."""
        with self._lock:
            for held_request in self._held_requests:
                if held_request.method == method and held_request.path.search(path):
                    self._held_requests.remove(held_request)
                    return held_request
        return None

    @contextmanager
    def refusing(self, method: str, path: str, status: int) -> Iterator[None]:
        """Answer such requests with a status and a page of HTML, as a proxy does, and pass none of them on.

        :param path: a regular expression for the path.
        """
        refusal = (method, re.compile(path), status)
        self._refusals.append(refusal)
        try:
            yield
        finally:
            self._refusals.remove(refusal)

    def refusal(self, method: str, path: str) -> int | None:
        """The status with which a request is refused, if it is."""
        for refused_method, pattern, status in list(self._refusals):
            if refused_method == method and pattern.search(path):
                return status
        return None

    def __enter__(self) -> Gate:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
