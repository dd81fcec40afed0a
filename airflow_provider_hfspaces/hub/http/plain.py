"""PlainSession, and helpers for raw bodies and errors, which all clients over ``requests`` share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from airflow_provider_hfspaces.hub.http.environment import certificates_from_environment

__all__ = ["PlainSession", "never_connected", "raw_chunks"]

_CHUNK_BYTES = 65_536


class PlainSession(requests.Session):
    """A ``requests`` session that ignores redirects and the environment.

    Even with ``allow_redirects=False``, ``requests`` parses the address of a redirect, which may raise any
    exception, and reads the body of the redirect without a limit. With ``trust_env``, ``~/.netrc`` would
    replace the token.

    :param proxy: URL of the proxy for all requests; ``None`` to connect directly.
    :param connections: number of connections to keep open.
    """

    def __init__(self, *, proxy: str | None, connections: int) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = certificates_from_environment() or True
        if proxy:
            self.proxies = {"http": proxy, "https": proxy}
        for scheme in ("http://", "https://"):
            self.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=connections))

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def raw_chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield the chunks of a body as they arrive, still compressed.

    Reading the body to its end frees the connection.
    """
    # Without read1 (urllib3 1.26), read() blocks until a whole chunk has arrived.
    read = getattr(response.raw, "read1", response.raw.read)
    while chunk := read(_CHUNK_BYTES, decode_content=False):
        yield chunk


def never_connected(problem: BaseException) -> bool:
    """Return True if a connection error of ``requests`` occurred before the request was sent."""
    cause: Any = problem.args[0] if problem.args else None
    if isinstance(cause, urllib3.exceptions.MaxRetryError):
        cause = cause.reason
    return isinstance(cause, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ProxyError))
