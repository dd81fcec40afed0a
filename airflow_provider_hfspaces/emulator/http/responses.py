"""Responses in the form that the Hub gives them, error responses above all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.hub.text import printable

__all__ = ["Refusal", "answer", "missing", "not_emulated", "plain", "rights", "unknown_route"]


class Refusal(Exception):
    """An error response, raised by handlers and checks.

    :param code: value of ``X-Error-Code``, by which the official client chooses the exception.
    :param more: additional keys of the body.
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
        """The HTTP response."""
        # A header value neither begins nor ends with a space.
        message = printable(self.message).encode("ascii", "replace").decode().strip()
        headers = {**self.headers, "X-Error-Message": message}
        if self.code:
            headers["X-Error-Code"] = self.code
        return answer(self.body, status=self.status, headers=headers)


def answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, {**(headers or {}), "Content-Type": "application/json; charset=utf-8"})


def plain(body: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A plain text response."""
    return Response(body, status, {**(headers or {}), "Content-Type": "text/plain; charset=utf-8"})


def unknown_route() -> Refusal:
    """The 404 for an address that the Hub does not serve."""
    return Refusal(404, "Sorry, we can't find the page you are looking for.")


def not_emulated(what: str) -> Refusal:
    """The 501 for what the Hub can do and the emulator cannot.

    :param what: in the plural: ``"pull requests"``.
    """
    return Refusal(501, f"This emulated Hub has no {what}. Its documentation lists what it emulates.")


def missing() -> Refusal:
    """The 404 for a repository that does not exist or that the token may not see."""
    return Refusal(404, "Repository not found", code="RepoNotFound")


def rights(what: str) -> Refusal:
    """The 403 for a token that may see a repository but lacks this right."""
    return Refusal(403, f"You don't have the rights to {what}")
