"""How the Hub puts its answers, and above all its refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.hub.text import printable

__all__ = ["Refusal", "answer", "missing", "plain", "rights", "unknown_route"]


class Refusal(Exception):
    """An error answer, raised wherever it turns out that there must be one.

    :param code: ``X-Error-Code``, by which the official client tells kinds of errors apart.
    :param more: further keys of the body.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers = dict(headers or {})
        self.body = {"error": message, **(more or {})}

    def response(self) -> Response:
        """The answer itself."""
        message = printable(self.message).encode("ascii", "replace").decode()
        headers = {**self.headers, "X-Error-Message": message}
        if self.code:
            headers["X-Error-Code"] = self.code
        return answer(self.body, status=self.status, headers=headers)


def answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, {**(headers or {}), "Content-Type": "application/json; charset=utf-8"})


def plain(body: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in plain text."""
    return Response(body, status, {**(headers or {}), "Content-Type": "text/plain; charset=utf-8"})


def unknown_route() -> Refusal:
    """There is nothing at this address."""
    return Refusal(404, "Sorry, we can't find the page you are looking for.")


def missing() -> Refusal:
    """There is no such Space, or none that this token sees."""
    return Refusal(404, "Repository not found", code="RepoNotFound")


def rights(what: str) -> Refusal:
    """The token sees it, but may not do this."""
    return Refusal(403, f"You don't have the rights to {what}")
