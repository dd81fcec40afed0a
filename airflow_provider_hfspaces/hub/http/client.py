"""HubClient: calls to the Hub over ``requests``, for threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import requests
import urllib3.exceptions

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.closing import Closing
from airflow_provider_hfspaces.hub.error_responses import unavailable
from airflow_provider_hfspaces.hub.http import wire
from airflow_provider_hfspaces.hub.http.core import ClientBase, ClientCore, Fetch
from airflow_provider_hfspaces.hub.http.limits import AnswerLimits
from airflow_provider_hfspaces.hub.http.plain import PlainSession, never_connected, raw_chunks
from airflow_provider_hfspaces.hub.http.quota import RateBudget
from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
from airflow_provider_hfspaces.hub.http.sequence import Steps, execute
from airflow_provider_hfspaces.hub.http.wire import Answer

__all__ = ["HubClient"]

T = TypeVar("T")


class HubClient(ClientBase, Closing):
    """Sends calls to the Hub, retries them where a retry can help, and returns the results.

    .. code-block:: python

        with HubClient(token) as client:
            runtime = client.send(calls.get_runtime("acme/whisper"))

    Threads may share a client and its connection pool. Close the client, or use it as a context manager.
    Proxies and certificates come from the environment (``HTTPS_PROXY``, ``NO_PROXY``,
    ``REQUESTS_CA_BUNDLE``, …).

    :param token: a User Access Token; ``None`` reads public Spaces only.
    :param endpoint: the address of the Hub; by default ``https://huggingface.co``.
    :param timeout: seconds to connect, and seconds without a byte after which an answer counts as lost;
        by default 5 and 30.
    :param retry: how long to retry a call; by default 120 seconds, or 360 after a 429.
    :param user_agent: the ``User-Agent`` of requests; by default one that names this client.
    :param allow_http: whether to accept a plain ``http`` endpoint on another host; by default not.
    :param limits: limits on the size and duration of an answer; see :class:`AnswerLimits`.
    :param connections: number of connections to keep open, one per thread; by default 16.
    :param clock: returns the time in seconds, for the retry policy and the limits.
    :param sleep: waits for a number of seconds. If ``sleep`` raises an exception, the call ends with it.
    :raises InvalidEndpoint: for an endpoint that is not valid or would get the token unencrypted.
    :raises InvalidToken: for a token that an HTTP header cannot carry.
    :raises InvalidProxy: if an environment variable names a proxy that is not a valid URL.
    """

    def __init__(
        self,
        token: str | None = None,
        endpoint: str = wire.DEFAULT_ENDPOINT,
        *,
        timeout: tuple[float, float] = (5, 30),
        retry: RetryPolicy | None = None,
        user_agent: str | None = None,
        allow_http: bool = False,
        limits: AnswerLimits | None = None,
        connections: int = 16,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._core = ClientCore(
            token,
            endpoint,
            timeout=timeout,
            retry=retry,
            user_agent=user_agent,
            allow_http=allow_http,
            limits=limits,
            clock=clock,
        )
        self._sleep = sleep
        self._session = PlainSession(proxy=self._core.proxy, connections=connections)

    def send(self, call: Call[T], *, retry: RetryPolicy | None = None) -> T:
        """Send a call and return its result.

        :param retry: the retry policy for this call; by default the client's.
        :raises HubError: a subclass for each cause; see :mod:`~airflow_provider_hfspaces.hub.errors`.
        """
        return self._run(self._core.send(call, retry))

    def pages(self, call: Call[T]) -> Iterator[T]:
        """Send a call for a list, and yield the result of each page.

        :raises HubError: as :meth:`send`, and for a list beyond the client's limits.
        """
        walk = self._core.pages(call)
        while walk.request is not None:
            yield walk.page(*self._run(self._core.tries(call, walk.request)))

    def lines(
        self, call: Call[str], *, follow: bool = False, retry: RetryPolicy | None = None
    ) -> Iterator[str]:
        """Send a call for a log, and yield its lines.

        :param follow: wait for new lines at the end of the log, until the Hub closes it; by default not.
        :param retry: the retry policy for this call; by default the client's.
        :raises HubError: as :meth:`send`. If the connection breaks later, the lines end without an error.
        """
        for text in self.events(call, follow=follow, retry=retry):
            yield from text.splitlines()

    def events(
        self,
        call: Call[T],
        *,
        follow: bool = False,
        silence: float | None = None,
        strict: bool = False,
        retry: RetryPolicy | None = None,
    ) -> Iterator[T]:
        """Send a call for a log, and yield its events.

        :param follow: wait for new events at the end of the log, until the Hub closes it; by default not.
        :param silence: seconds without a byte after which a followed log ends; by default no limit.
        :param strict: raise an error if the connection breaks; by default the events end without an error.
        :param retry: the retry policy for this call; by default the client's.
        :raises HubError: as :meth:`send`.
        """
        answer = self._run(self._core.open_log(call, follow, retry, silence))
        with answer.stream as response:
            if "event-stream" not in (answer.headers.get("content-type") or ""):
                raise self._core.not_a_log(call, answer, next(_until_silent(response), b""))
            reader = self._core.log_reader(call, answer, follow)
            for chunk in self._unbroken(call, response) if strict else _until_silent(response):
                yield from reader.feed(chunk)
                if reader.done:
                    return

    def fresh(self, *, retry: RetryPolicy | None = None) -> HubClient:
        """Return another client for the token, with its own connections and rate-limit budget.

        It is for a signal handler, which may interrupt this client in the middle of a request and has no time
        to wait for a new rate-limit window.

        :param retry: the retry policy; by default this client's.
        """
        client = self._copy(retry=retry or self.retry)
        client._core.budget = RateBudget(self._core.clock)
        return client

    def queued(self, *, retry: RetryPolicy, sleep: Callable[[float], None], connections: int) -> HubClient:
        """Return another client for the token, which shares this client's rate-limit budget.

        It is for a queue of calls that waits for the rate limit itself.

        :param retry: the retry policy.
        :param sleep: waits for a number of seconds. If ``sleep`` raises an exception, the call ends with it.
        :param connections: number of connections to keep open, one per thread.
        """
        return self._copy(retry=retry, sleep=sleep, connections=connections)

    def _copy(self, **changes: Any) -> HubClient:
        core = self._core
        options: dict[str, Any] = {
            "timeout": core.timeout,
            "user_agent": core.user_agent,
            "allow_http": core.allow_http,
            "limits": core.limits,
            "clock": core.clock,
            "sleep": self._sleep,
        }
        return HubClient(core.token, core.endpoint, **{**options, **changes})

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _run(self, steps: Steps[T]) -> T:
        return execute(steps, self._fetch, sleep=self._sleep)

    def _unbroken(self, call: Call[Any], response: requests.Response) -> Iterator[bytes]:
        with _network_errors(call, self._core.token):
            yield from raw_chunks(response)

    def _fetch(self, fetch: Fetch) -> Answer:
        request = fetch.request
        with _network_errors(fetch.call, self._core.token):
            response = self._session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.content,
                timeout=fetch.timeout,
                allow_redirects=False,
                stream=True,
            )
            answer = Answer(response.status_code, response.headers, "", response)
            if fetch.stream and answer.status < 300:
                return answer
            try:
                reader = self._core.body_reader(fetch.call, answer)
                for chunk in raw_chunks(response):
                    reader.feed(chunk)
                return Answer(answer.status, answer.headers, reader.text())
            except BaseException:
                response.close()
                raise


def _until_silent(response: requests.Response) -> Iterator[bytes]:
    try:
        yield from raw_chunks(response)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
        return


@contextmanager
def _network_errors(call: Call[Any], token: str | None) -> Iterator[None]:
    try:
        yield
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as problem:
        # A rejected certificate is the only TLS error before the request is sent, and a retry cannot fix it.
        refused = "CERTIFICATE_VERIFY_FAILED" in str(problem)
        raise unavailable(call, _reason(problem), sent=not refused, permanent=refused, token=token) from None
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as problem:
        raise unavailable(call, _reason(problem), sent=False, permanent=True, token=token) from None
    except requests.exceptions.ConnectTimeout:
        raise unavailable(call, "connecting took too long", sent=False, token=token) from None
    except (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError):
        raise unavailable(call, "the answer took too long", sent=True, token=token) from None
    except requests.exceptions.ConnectionError as problem:
        sent = not never_connected(problem)
        raise unavailable(call, _reason(problem), sent=sent, token=token) from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as problem:
        raise unavailable(call, _reason(problem), sent=True, token=token) from None


def _reason(problem: BaseException) -> str:
    cause: Any = problem.args[0] if problem.args else problem
    cause = getattr(cause, "reason", None) or cause
    text = str(cause) or type(problem).__name__
    return text.rsplit(": ", 1)[-1] if "NewConnectionError" in text else text
