"""From a call to the bytes of a request and back, without sending anything: both clients share it."""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from airflow_provider_hfspaces import __version__
from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.errors import (
    HubProtocolError,
    HubRateLimited,
    error_from_response,
    protocol_error,
)
from airflow_provider_hfspaces.hub.http.retry import retry_after

__all__ = [
    "DEFAULT_ENDPOINT",
    "DEFAULT_USER_AGENT",
    "Answer",
    "Request",
    "next_page",
    "read",
    "redirected",
    "request_for",
]

DEFAULT_ENDPOINT = "https://huggingface.co"
DEFAULT_USER_AGENT = f"airflow-provider-hfspaces/{__version__}; python/{platform.python_version()}"
MOST_REDIRECTS = 5

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What a transport sends, as it is."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Answer:
    """What a transport got back.

    :ivar headers: with case-insensitive names.
    """

    status: int
    headers: Mapping[str, str]
    text: str


def request_for(call: Call[Any], *, endpoint: str, token: str | None, user_agent: str) -> Request:
    """The request that a call stands for."""
    query = f"?{urlencode(call.query)}" if call.query else ""
    headers = {
        "Accept": "text/event-stream" if call.answer == "events" else "*/*",
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


def redirected(call: Call[Any], request: Request, answer: Answer) -> Request | None:
    """The request that follows a redirect, ``None`` where the answer is none.

    The token and the body stay with the Hub: another host gets a bare GET or nothing.

    :raises HubProtocolError: for a redirect that would lose the body or take it elsewhere.
    """
    if answer.status not in (301, 302, 303, 307, 308):
        return None
    location = answer.headers.get("location")
    target = urljoin(request.url, location or "")
    if not location or urlsplit(target).scheme not in ("http", "https"):
        raise protocol_error(call, answer.status, answer.headers, answer.text, expected="a Location")
    stays = urlsplit(target)[:2] == urlsplit(request.url)[:2]
    if request.method != "GET" and (not stays or answer.status not in (307, 308)):
        raise HubProtocolError.of(
            call,
            f"{call.method} {call.path} was redirected with {answer.status} to {urlsplit(target).netloc}, "
            f"which would lose or expose what was sent. Check the connection's host.",
            status=answer.status,
        )
    headers = dict(request.headers)
    if not stays:
        headers.pop("Authorization", None)
    return replace(request, url=target, headers=headers)


def read(call: Call[T], answer: Answer, *, token: str | None) -> T:
    """The result of a call.

    :raises HubError: of the kind that the answer stands for.
    """
    if answer.status >= 400:
        error = error_from_response(call, answer.status, answer.headers, answer.text, token=token)
        if isinstance(error, HubRateLimited):
            error.retry_after = retry_after(answer.headers)
        raise error
    if not 200 <= answer.status < 300:
        raise protocol_error(call, answer.status, answer.headers, answer.text, token=token)
    if call.answer == "any":
        if "html" in (answer.headers.get("content-type") or ""):
            raise protocol_error(call, answer.status, answer.headers, answer.text, token=token)
        return call.read(answer.text)
    try:
        payload = json.loads(answer.text)
    except ValueError:
        raise protocol_error(call, answer.status, answer.headers, answer.text, token=token) from None
    try:
        return call.read(payload)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise protocol_error(
            call,
            answer.status,
            answer.headers,
            answer.text,
            expected=f"JSON with {problem}" if isinstance(problem, KeyError) else "other JSON",
            token=token,
        ) from problem


def next_page(call: Call[Any], request: Request, answer: Answer) -> Request | None:
    """The request for the page that follows, from the ``Link`` header; ``None`` on the last one.

    :raises HubProtocolError: for a link that leads to another host.
    """
    for link in (answer.headers.get("link") or "").split(","):
        target, _, parameters = link.strip().partition(";")
        if 'rel="next"' not in parameters.replace(" ", ""):
            continue
        url = urljoin(request.url, target.strip().strip("<>"))
        if urlsplit(url)[:2] != urlsplit(request.url)[:2]:
            raise HubProtocolError.of(
                call,
                f"The next page of {call.path} is said to be on {urlsplit(url).netloc}, which does not get "
                f"the token. Check the connection's host.",
                status=answer.status,
            )
        return replace(request, url=url)
    return None
