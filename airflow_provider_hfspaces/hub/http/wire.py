"""Turn a call into a request, and an answer into a result or an error, without any I/O.

Come here to change the headers of requests, redirects, pagination or the parsing of answers.
"""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlencode, urljoin, urlsplit

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.error_responses import (
    bad_next_page,
    error_from_response,
    moved_host,
    protocol_error,
    redirect_without_body,
    too_many_pages,
)
from airflow_provider_hfspaces.hub.errors import HubError, HubProtocolError, HubRateLimited
from airflow_provider_hfspaces.hub.http.limits import MOST_REDIRECTS, AnswerLimits
from airflow_provider_hfspaces.hub.http.quota import limits_one_route, retry_after

__all__ = [
    "DEFAULT_ENDPOINT",
    "DEFAULT_USER_AGENT",
    "MOST_REDIRECTS",
    "Answer",
    "PageWalk",
    "Request",
    "read",
    "redirected",
    "refusal",
    "request_for",
]

DEFAULT_ENDPOINT = "https://huggingface.co"
DEFAULT_USER_AGENT = f"hub-client; python/{platform.python_version()}"

T = TypeVar("T")

_UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Exceptions of a call's ``read`` function for an answer of an unexpected form."""


_JSON_SPACE = frozenset(" \t\n\r")
"""The characters that JSON allows between two values."""


@dataclass(frozen=True)
class Request:
    """A request that a transport sends unchanged."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Answer:
    """A response that a transport received.

    :ivar status: HTTP status.
    :ivar headers: headers with case-insensitive names.
    :ivar text: the body; empty for a stream, whose body the transport reads later.
    :ivar stream: the transport's open response, for a stream.
    """

    status: int
    headers: Mapping[str, str]
    text: str
    stream: Any = field(default=None, repr=False)


def request_for(call: Call[Any], *, endpoint: str, token: str | None, user_agent: str) -> Request:
    """Return the request of a call."""
    query = f"?{urlencode(call.query)}" if call.query else ""
    is_stream = call.answer == "events"
    headers = {
        "Accept": "text/event-stream" if is_stream else "*/*",
        # The clients decompress by themselves, within their limits.
        "Accept-Encoding": "identity" if is_stream else "gzip",
        "User-Agent": user_agent,
        "X-Amzn-Trace-Id": str(uuid.uuid4()),
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    content = None
    if call.body is not None:
        content = json.dumps(call.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        headers["Content-Type"] = "application/json"
    elif call.lines is not None:
        content = "\n".join(json.dumps(line, separators=(",", ":")) for line in call.lines).encode()
        headers["Content-Type"] = "application/x-ndjson"
    return Request(call.method, f"{endpoint}{call.path}{query}", headers, content)


def redirected(call: Call[Any], request: Request, answer: Answer, *, token: str | None) -> Request | None:
    """Return the request to the target of a redirect; ``None`` if the answer is not a redirect.

    :raises HubProtocolError: for a redirect to another host, because that host would get the token; and for
        a redirect that would lose the body.
    """
    if answer.status not in (301, 302, 303, 307, 308):
        return None
    location = answer.headers.get("location") or ""
    try:
        target = urljoin(request.url, location)
        stays = _origin(target) == _origin(request.url)
        is_url = urlsplit(target).scheme in ("http", "https") and target.isprintable()
    except ValueError:
        stays = is_url = False
    if not location or not is_url:
        raise protocol_error(
            call, answer.status, answer.headers, answer.text, expected="a valid Location", token=token
        )
    if not stays:
        raise moved_host(call, answer.status, target, token=token)
    if request.method != "GET" and answer.status not in (307, 308):
        raise redirect_without_body(call, answer.status)
    return replace(request, url=target)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def refusal(call: Call[Any], answer: Answer, *, token: str | None) -> HubError:
    """Return the error for an answer with status 400 or higher."""
    error = error_from_response(call, answer.status, answer.headers, answer.text, token=token)
    if isinstance(error, HubRateLimited):
        error.retry_after = retry_after(answer.headers)
        error.one_route = limits_one_route(answer.headers)
    return error


def read(call: Call[T], answer: Answer, *, token: str | None) -> T:
    """Return the result of a call.

    :raises HubError: a subclass for each cause, for an error response or an answer that cannot be read.
    """
    if answer.status >= 400:
        raise refusal(call, answer, token=token)

    def unexpected(expected: str = "JSON") -> HubProtocolError:
        return protocol_error(
            call, answer.status, answer.headers, answer.text, expected=expected, token=token
        )

    if not 200 <= answer.status < 300:
        raise unexpected()
    if call.answer == "any":
        if "html" in (answer.headers.get("content-type") or ""):
            raise unexpected()
        return call.read(answer.text)
    if call.answer == "entries":
        # Decodes lazily: thousands of entries at once would block the event loop and trigger full garbage
        # collections.
        entries: Any = _read_entries(call, answer.text, unexpected)
        return cast(T, entries)
    try:
        payload = json.loads(answer.text)
    except (ValueError, RecursionError):
        raise unexpected() from None
    try:
        return call.read(payload)
    except KeyError as missing:
        raise unexpected(f"JSON with {missing}") from None
    except _UNREADABLE:
        raise unexpected("JSON of the expected form") from None


def _read_entries(call: Call[Any], text: str, unexpected: Callable[[str], HubProtocolError]) -> Iterator[Any]:
    """Yield the result of a call for a JSON list, entry by entry.

    :raises HubProtocolError: at the first entry that cannot be read.
    """
    try:
        yield from call.read(_decode_entries(text))
    except json.JSONDecodeError:
        raise unexpected("JSON") from None
    except KeyError as missing:
        raise unexpected(f"JSON with {missing}") from None
    except _UNREADABLE:
        raise unexpected("JSON of the expected form") from None


def _decode_entries(text: str) -> Iterator[Any]:
    decode, position = json.JSONDecoder().raw_decode, _skip_space(text, 0)
    if text[position : position + 1] != "[":
        json.loads(text)
        raise TypeError("a list")
    position = _skip_space(text, position + 1)
    separator = "]" if text[position : position + 1] == "]" else ","
    while separator == ",":
        entry, position = decode(text, position)
        position = _skip_space(text, position)
        separator = text[position : position + 1]
        if separator == ",":
            position = _skip_space(text, position + 1)
        elif separator != "]":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, position)
        yield entry
    if _skip_space(text, position + 1) != len(text):
        raise json.JSONDecodeError("Extra data", text, position)


def _skip_space(text: str, position: int) -> int:
    while text[position : position + 1] in _JSON_SPACE:
        position += 1
    return position


class PageWalk(Generic[T]):
    """Follows the ``Link`` headers from page to page of a list.

    :ivar request: the request for the next page; ``None`` after the last page.
    """

    def __init__(self, call: Call[T], request: Request, limits: AnswerLimits, *, token: str | None) -> None:
        self.request: Request | None = request
        self._call, self._limits, self._token = call, limits, token
        self._pages = self._entries = 0
        self._seen = {request.url}

    def page(self, answer: Answer, sent: Request) -> T:
        """Return the page in an answer, and set :attr:`request` to the next page.

        :raises HubProtocolError: for a list beyond the limits, and for a link to another host or to a page
            that was already read.
        """
        page = read(self._call, answer, token=self._token)
        self._pages += 1
        self._entries += len(page) if isinstance(page, list) else 1
        if self._entries > self._limits.max_entries:
            raise too_many_pages(self._call, self._limits.max_entries, "entries", "max_entries")
        self.request = self._next(answer, sent)
        if self.request is not None and self._pages >= self._limits.max_pages:
            raise too_many_pages(self._call, self._limits.max_pages, "pages", "max_pages")
        return page

    def _next(self, answer: Answer, sent: Request) -> Request | None:
        self._seen.add(sent.url)
        for link in (answer.headers.get("link") or "").split(","):
            target, _, parameters = link.strip().partition(";")
            if 'rel="next"' not in parameters.replace(" ", ""):
                continue
            try:
                url = urljoin(sent.url, target.strip().strip("<>"))
                stays = _origin(url) == _origin(sent.url)
            except ValueError:
                url, stays = "", True
            if not stays:
                raise moved_host(self._call, answer.status, url, token=self._token)
            if not url or not url.isprintable() or url in self._seen:
                raise bad_next_page(self._call, answer.status)
            return replace(sent, url=url)
        return None
