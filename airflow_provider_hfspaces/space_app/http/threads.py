"""ThreadTransport: sends exchanges over ``requests``, for threads."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3.exceptions

from airflow_provider_hfspaces.hub.http.plain import PlainSession, never_connected, raw_chunks
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.space_app.http.exchange import (
    Alone,
    AppRequest,
    Ask,
    Exchange,
    Few,
    TransportFailure,
    check_length,
)
from airflow_provider_hfspaces.space_app.limits import AppLimits

__all__ = ["ThreadTransport"]


class ThreadTransport:
    """Sends exchanges. Threads may share a transport.

    :param proxy: URL of the proxy; ``None`` to connect directly.
    :param connections: number of connections to keep open.
    :param limits: limits on the silence of an app.
    :param clock: returns the time in seconds.
    :param sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        *,
        proxy: str | None,
        connections: int,
        limits: AppLimits,
        clock: Callable[[], float],
        sleep: Callable[[float], Any],
    ) -> None:
        self._session = PlainSession(proxy=proxy, connections=connections)
        # AppCookies stores the cookies of both transports, so the session must not store any.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._limits, self._clock, self._sleep = limits, clock, sleep
        self._alone = threading.Lock()

    def send(self, step: Exchange | Ask | Alone | Few) -> Any:
        """Carry out one step.

        :raises TransportFailure: if the answer is missing or incomplete.
        """
        if isinstance(step, Ask):
            return step.function(step.argument)
        if isinstance(step, Few):
            return execute(step.steps(), self.send, sleep=self._sleep)
        if isinstance(step, Alone):
            with self._alone:
                return execute(step.steps(), self.send, sleep=self._sleep)
        remaining = step.deadline - self._clock()
        if remaining <= 0:
            raise TransportFailure("the deadline passed", sent=False, timed_out=True)
        with _failures(step, self._clock):
            response = self._request(step.request, remaining)
            try:
                step.opened(response.status_code, response.headers, _cookies(response))
                self._read(step, response)
            finally:
                response.close()
        return step

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _request(self, request: AppRequest, remaining: float) -> requests.Response:
        return self._session.request(
            request.method,
            request.url,
            headers=dict(request.headers),
            data=request.body,
            timeout=(
                min(self._limits.connect_seconds, remaining),
                min(self._limits.silent_seconds, remaining),
            ),
            allow_redirects=False,
            stream=True,
        )

    def _read(self, exchange: Exchange, response: requests.Response) -> None:
        size = 0
        for chunk in raw_chunks(response):
            size += len(chunk)
            if exchange.feed(chunk):
                return
            remaining = exchange.deadline - self._clock()
            if remaining <= 0:
                raise TransportFailure("the deadline passed", sent=True, opened=True, timed_out=True)
            # Each heartbeat restarts the read timeout, so shorten this timeout as the deadline comes closer.
            sock = getattr(getattr(response.raw, "connection", None), "sock", None)
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.settimeout(min(self._limits.silent_seconds, remaining))
        check_length(exchange, size)
        exchange.ended()


def _cookies(response: requests.Response) -> list[str]:
    values: list[str] = response.raw.headers.getlist("set-cookie")
    return values


@contextmanager
def _failures(exchange: Exchange, clock: Callable[[], float]) -> Iterator[None]:
    def failure(reason: str, *, sent: bool, permanent: bool = False) -> TransportFailure:
        timed_out = clock() >= exchange.deadline
        return TransportFailure(
            reason, sent=sent, opened=exchange.status > 0, timed_out=timed_out, permanent=permanent
        )

    try:
        yield
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as problem:
        refused = "CERTIFICATE_VERIFY_FAILED" in str(problem)
        raise failure(_reason(problem), sent=not refused, permanent=refused) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as problem:
        raise failure(_reason(problem), sent=False, permanent=True) from None
    except requests.exceptions.ConnectTimeout:
        raise failure("connecting took too long", sent=False) from None
    except (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError):
        raise failure("no byte arrived in time", sent=True) from None
    except requests.exceptions.ConnectionError as problem:
        raise failure(_reason(problem), sent=not never_connected(problem)) from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as problem:
        raise failure(_reason(problem), sent=True) from None


def _reason(problem: BaseException) -> str:
    cause: Any = problem.args[0] if problem.args else problem
    cause = getattr(cause, "reason", None) or cause
    text = str(cause) or type(problem).__name__
    return text.rpartition("Failed to establish a new connection: ")[2]
