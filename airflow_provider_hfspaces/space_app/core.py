"""AppCore: builds the requests to the app of one Space, and judges the answers, without any I/O.

Come here to change headers, redirects, the login of an app, or how replicas are addressed.
"""

from __future__ import annotations

import json
import logging
import platform
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from airflow_provider_hfspaces.hub.checks import (
    checked_endpoint,
    checked_repo_id,
    checked_token,
    is_loopback,
)
from airflow_provider_hfspaces.hub.errors import InvalidEndpoint, InvalidInput, InvalidToken
from airflow_provider_hfspaces.hub.http.environment import proxy_from_environment
from airflow_provider_hfspaces.hub.http.limits import MOST_REDIRECTS
from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.space_app.cookies import AppCookies
from airflow_provider_hfspaces.space_app.error_responses import AppWords
from airflow_provider_hfspaces.space_app.errors import AppLoginRequired, SpaceAppError
from airflow_provider_hfspaces.space_app.http.exchange import (
    AppRequest,
    BodyExchange,
    Exchange,
    StreamedBody,
    TransportFailure,
)
from airflow_provider_hfspaces.space_app.limits import AppLimits

__all__ = ["AppCore", "Deadline"]

log = logging.getLogger(__name__)

TOKEN_HEADER = "X-HF-Authorization"  # noqa: S105
"""Header for the token. The Hub's proxy removes it, while ``Authorization`` would reach the app's code."""

DEFAULT_USER_AGENT = f"space-app-client; python/{platform.python_version()}"

_REPLICA = re.compile(r"[A-Za-z0-9]{1,40}")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Deadline:
    """The time at which a call has to end.

    :param seconds: seconds from now.
    :param clock: returns the time in seconds.
    :ivar ends: the deadline on this clock.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self.ends = clock() + seconds

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; negative after the deadline."""
        return self.ends - self._clock()

    def capped(self, seconds: float) -> Deadline:
        """Return a deadline that is at most this number of seconds away."""
        return Deadline(min(seconds, self.remaining), self._clock)


class AppCore:
    """The settings of a client and the steps of its requests, for both transports.

    The parameters are those of ``SpaceApp``.
    """

    def __init__(
        self,
        repo_id: str,
        host: str,
        token: str | None,
        *,
        root: str,
        auth: tuple[str, str] | None,
        bearer: str | None,
        replicas: int,
        limits: AppLimits | None,
        user_agent: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.repo_id = checked_repo_id(repo_id)
        self.origin = _checked_host(host)
        self.root = f"/{root.strip('/')}" if root.strip("/") else ""
        self.token = checked_token(token)
        self.auth = _checked_auth(auth)
        self._bearer = _checked_bearer(bearer, self.token)
        self.replicas = replicas
        self.limits = limits or AppLimits()
        self.clock = clock
        self.proxy = proxy_from_environment(self.origin)
        self.cookies = AppCookies(secure=self.is_secure)
        self.words = AppWords(self.repo_id, (self.token, self._bearer, self.auth[1] if self.auth else None))
        self._user_agent = user_agent or DEFAULT_USER_AGENT
        self.description: Any = None
        self.described = 0.0
        self.failure: SpaceAppError | None = None
        self.failures = 0
        self._is_logged_in = False
        self._has_warned = False

    def forget_description(self) -> None:
        """Read the app's declaration again before the next call, because the app may have changed."""
        self.description = None

    def replica(self, exchange: Exchange, replica: str | None) -> str | None:
        """Return the replica to which the further requests of a call have to go.

        Queue, sessions and files exist only in the replica that accepted them.

        :param exchange: the request that was answered.
        :param replica: the replica to which this request was sent; ``None`` if the proxy chose one.
        """
        if replica or self.replicas < 2:
            return replica
        name = (exchange.headers.get("x-proxied-replica") or "").rpartition("-")[2]
        if _REPLICA.fullmatch(name):
            return name
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "Space %s has %d replicas, and the Hub's proxy does not say which replica answered: calls "
                "may be lost. Set the number of replicas to 1.",
                self.repo_id,
                self.replicas,
            )
        return None

    @property
    def is_secure(self) -> bool:
        """Whether requests are encrypted."""
        return self.origin.startswith("https:")

    def request(
        self,
        method: str,
        path: str,
        *,
        replica: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | StreamedBody | None = None,
    ) -> AppRequest:
        """Return a request to the app.

        :param path: quoted path, relative to the app's root.
        :param replica: the replica to reach; ``None`` for any.
        :param query: parameters of the query string.
        :param headers: further headers.
        :param body: the body; ``None`` for none.
        """
        merged = {
            "Accept": "*/*",
            # An uncompressed answer cannot unpack to more bytes than were received.
            "Accept-Encoding": "identity",
            "User-Agent": self._user_agent,
        }
        if self._bearer:
            merged["Authorization"] = f"Bearer {self._bearer}"
        merged.update(headers or {})
        if self.token:
            merged[TOKEN_HEADER] = f"Bearer {self.token}"
        cookies = self.cookies.header
        if cookies:
            merged["Cookie"] = cookies
        place = f"/--replicas/{replica}" if replica else ""
        search = f"{'&' if '?' in path else '?'}{urlencode(query)}" if query else ""
        return AppRequest(method, f"{self.origin}{place}{self.root}{path}{search}", merged, body)

    def request_to(self, url: str, replica: str | None) -> AppRequest:
        """Return a GET request to an address on the Space's own host, see :meth:`own_url`."""
        request = self.request("GET", "", replica=replica)
        path = url.removeprefix(self.origin) if url.startswith(self.origin) else ""
        place = f"/--replicas/{replica}" if replica and not path.startswith("/--replicas/") else ""
        return AppRequest("GET", f"{self.origin}{place}{path}" if path else url, request.headers)

    def json_request(self, method: str, path: str, content: Any, *, replica: str | None = None) -> AppRequest:
        """Return a request with a JSON body."""
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        return self.request(
            method, path, replica=replica, headers={"Content-Type": "application/json"}, body=body
        )

    def exchange(self, request: AppRequest, deadline: Deadline) -> BodyExchange:
        """Return an exchange that keeps the whole answer."""
        return BodyExchange(request, deadline=deadline.ends, max_bytes=self.limits.answer_bytes)

    def fetch(
        self, api: str, exchange: Exchange, deadline: Deadline, *, work: bool = False, login: bool = True
    ) -> Steps[None]:
        """The steps of one exchange, including redirects on the same host and the app's own login.

        :param api: endpoint or request, for errors.
        :param work: whether the request starts work in the app; by default not.
        :param login: whether to log in if the app requires a login; by default yes.
        :raises SpaceAppError: for a request without an answer, and for a redirect to another host.
        """
        if login and self.auth and not self._is_logged_in:
            yield from self.log_in(deadline)
            exchange.request = self._with_cookies(exchange.request)
        for _ in range(MOST_REDIRECTS + 1):
            try:
                yield exchange
            except TransportFailure as failure:
                raise self.words.failure(api, failure, work=work, seconds=deadline.seconds) from None
            self.cookies.learn(exchange.cookies)
            if exchange.status == 401 and login and self.auth and self._is_logged_in:
                # A restart of the app ends its logins.
                self._is_logged_in = False
                yield from self.log_in(deadline)
                exchange.request = self._with_cookies(exchange.request)
                continue
            if exchange.status not in _REDIRECTS:
                return
            exchange.request = self._follow_redirect(api, exchange)
        raise self.words.protocol(api, "sent redirects without end")

    def log_in(self, deadline: Deadline) -> Steps[None]:
        """The steps that log in to the app: ``POST /login``.

        :raises AppLoginRequired: if the app does not accept the user name and password.
        """
        assert self.auth is not None
        user, password = self.auth
        request = self.request(
            "POST",
            "/login",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode({"username": user, "password": password}).encode(),
        )
        exchange = self.exchange(request, deadline)
        yield from self.fetch("POST /login", exchange, deadline, login=False)
        if exchange.status in (400, 401, 403):
            raise AppLoginRequired(
                f"Space {self.repo_id} does not accept the user name and password of auth; the answer was "
                f"{exchange.status}. Correct auth.",
                repo_id=self.repo_id,
                api="POST /login",
                status=exchange.status,
            )
        if exchange.status >= 400:
            raise self.words.refusal("POST /login", exchange, work=False)
        self._is_logged_in = True

    def get_json(
        self, path: str, deadline: Deadline, *, query: Mapping[str, str] | None = None
    ) -> Steps[Any]:
        """The steps of a ``GET`` request that return the JSON answer.

        :raises SpaceAppError: for any other answer.
        """
        api = f"GET {path}"
        exchange = self.exchange(self.request("GET", path, query=query), deadline)
        yield from self.fetch(api, exchange, deadline)
        if exchange.status != 200:
            raise self.words.refusal(api, exchange, work=False)
        return self.read_json(api, exchange)

    def read_json(self, api: str, exchange: BodyExchange, *, may_have_run: bool = False) -> Any:
        """Return the JSON of a successful answer.

        :raises SpaceAppError: if the answer is not JSON, or is too large.
        """
        if exchange.too_large:
            raise self.words.too_large(api, self.limits.answer_bytes, may_have_run=may_have_run)
        try:
            return exchange.json
        except ValueError:
            raise self.words.page(api, exchange, expected="JSON", may_have_run=may_have_run) from None

    def _with_cookies(self, request: AppRequest) -> AppRequest:
        headers = {name: value for name, value in request.headers.items() if name != "Cookie"}
        cookies = self.cookies.header
        if cookies:
            headers["Cookie"] = cookies
        return AppRequest(request.method, request.url, headers, request.body)

    def _follow_redirect(self, api: str, exchange: Exchange) -> AppRequest:
        request = exchange.request
        location = exchange.headers.get("location") or ""
        target = self.own_url(urljoin(request.url, location)) if location else None
        if target is None:
            raise self.words.moved(api, exchange, urljoin(request.url, location))
        if request.method not in ("GET", "HEAD") and exchange.status not in (307, 308):
            raise self.words.protocol(api, f"sent a redirect ({exchange.status}) that would lose the input")
        return AppRequest(request.method, target, request.headers, request.body)

    def own_url(self, url: str) -> str | None:
        """Return a URL if it is on the Space's own host; otherwise ``None``.

        Plain ``http`` is replaced by ``https``: behind the Hub's proxy, an app sees ``http`` and builds such
        URLs.
        """
        try:
            parts = urlsplit(url)
            own = urlsplit(self.origin)
            if not url.isprintable() or parts.hostname != own.hostname or parts.username or parts.password:
                return None
            if parts.scheme == own.scheme and _port(parts) == _port(own):
                return url
            if own.scheme == "https" and parts.scheme == "http" and parts.port in (None, 80):
                return parts._replace(scheme="https", netloc=own.netloc).geturl()
        except ValueError:
            pass
        return None


def _port(parts: Any) -> int | None:
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _checked_host(host: str) -> str:
    if not isinstance(host, str) or not host.strip():
        raise InvalidEndpoint(f"host must be the address of the Space's app; got {host!r:.100}.")
    origin = host.strip() if "://" in host else f"https://{host.strip()}"
    origin = checked_endpoint(origin)
    parts = urlsplit(origin)
    if parts.path:
        raise InvalidEndpoint(
            f"{origin!r} is not a valid host of an app: it has a path. Set root for an app under a path."
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise InvalidEndpoint(f"{origin!r} would send the token unencrypted. Use https.")
    return origin


def _checked_auth(auth: tuple[str, str] | None) -> tuple[str, str] | None:
    if auth is None:
        return None
    if (
        not isinstance(auth, (tuple, list))
        or len(auth) != 2
        or not all(isinstance(each, str) for each in auth)
    ):
        raise InvalidInput("auth must be two strings: a user name and a password of the app.")
    return auth[0], auth[1]


def _checked_bearer(bearer: str | None, token: str | None) -> str | None:
    checked = checked_token(bearer)
    if checked and token and checked == token:
        raise InvalidToken(
            "bearer must not be the Hugging Face token, because the app's code would see it. Remove bearer: "
            "the client sends the token to the Hub's proxy itself."
        )
    return checked
