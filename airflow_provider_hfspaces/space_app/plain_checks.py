"""Validate the arguments of a plain HTTP request, before anything is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_hfspaces.space_app.core import AppCore
from airflow_provider_hfspaces.space_app.errors import InvalidAppInput
from airflow_provider_hfspaces.space_app.http.exchange import AppRequest

__all__ = ["check_target", "checked_query", "checked_request"]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
_OWN_HEADERS = frozenset(
    {"x-hf-authorization", "x-ip-token", "host", "cookie", "content-length", "accept-encoding"}
)
"""Headers that only the client or the Hub's proxy may set."""


def check_target(repo_id: str, method: Any, path: Any) -> None:
    """Check the method and the path of a request.

    :raises InvalidAppInput: for a method or a path that is not valid.
    """

    def invalid(message: str) -> InvalidAppInput:
        return InvalidAppInput(message, repo_id=repo_id, api=f"{method} {path}")

    if not isinstance(method, str) or method.upper() not in METHODS:
        raise invalid(f"method must be one of {', '.join(sorted(METHODS))}; got {method!r:.50}.")
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
        raise invalid(f"path must begin with one '/', such as '/v1/embed'; got {path!r:.200}.")
    if not path.isascii() or not path.isprintable() or " " in path or "#" in path:
        raise invalid(f"path must be quoted, without spaces and '#'; got {path!r:.200}.")


def checked_query(repo_id: str, api: str, query: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of the query string as text. Booleans become ``true`` and ``false``.

    :raises InvalidAppInput: for a value that is neither text, a number nor a boolean.
    """
    pairs = {}
    for key, value in query.items():
        if not isinstance(value, (str, int, float)):
            raise InvalidAppInput(
                f"query[{str(key)!r}] must be text, a number or a boolean; got {value!r:.100}.",
                repo_id=repo_id,
                api=api,
            )
        pairs[str(key)] = json.dumps(value) if isinstance(value, bool) else str(value)
    return pairs


def checked_request(
    core: AppCore,
    method: str,
    path: str,
    *,
    json_body: Any,
    content: bytes | str | None,
    headers: Mapping[str, str] | None,
    query: Mapping[str, Any] | None,
) -> AppRequest:
    """Return the validated request of a plain call.

    :param json_body: the body as JSON; ``None`` for none.
    :param content: the body as text or bytes; ``None`` for none.
    :param headers: further headers.
    :param query: parameters of the query string.
    :raises InvalidAppInput: for a method, path, query, header or body that cannot be sent.
    """

    def invalid(message: str) -> InvalidAppInput:
        return InvalidAppInput(message, repo_id=core.repo_id, api=f"{method} {path}")

    check_target(core.repo_id, method, path)
    if json_body is not None and content is not None:
        raise invalid("json and content exclude each other: give one of them.")
    if content is not None and not isinstance(content, (str, bytes)):
        raise invalid(f"content must be text or bytes; got {content!r:.100}. Send other values as json.")
    own = dict(headers or {})
    for name, value in own.items():
        if not _HEADER_NAME.fullmatch(str(name)):
            raise invalid(f"headers has the name {name!r:.100}, which HTTP does not allow. Correct the name.")
        if str(name).lower() in _OWN_HEADERS:
            raise invalid(f"headers must not set {name!r}: the client sets it itself.")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise invalid(f"headers[{name!r}] must be one line of Latin-1 text. Correct the value.")
        if core.token and core.token in value:
            raise invalid(
                f"headers must not contain the Hugging Face token in {name!r}, because the app's code would "
                f"see it. Remove this header: the client sends the token to the Hub's proxy itself."
            )
    body = content.encode() if isinstance(content, str) else content
    if json_body is not None:
        try:
            text = json.dumps(json_body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as problem:
            raise invalid(f"json cannot be sent: {problem!s:.200}") from None
        body = text.encode()
        own.setdefault("Content-Type", "application/json")
    pairs = checked_query(core.repo_id, f"{method} {path}", query or {})
    return core.request(method.upper(), path, query=pairs or None, headers=own, body=body)
