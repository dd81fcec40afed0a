"""Responses in the form of the Hub's: JSON, plain text, and the error responses that handlers raise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.hub.text import printable

__all__ = [
    "Refusal",
    "forbidden",
    "json_response",
    "not_emulated",
    "repository_not_found",
    "text_response",
    "unknown_route",
]


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
        return json_response(self.body, status=self.status, headers=headers)


def json_response(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, {**(headers or {}), "Content-Type": "application/json; charset=utf-8"})


def text_response(body: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A plain text response."""
    return Response(body, status, {**(headers or {}), "Content-Type": "text/plain; charset=utf-8"})


def unknown_route() -> Refusal:
    """The 404 for a path that the Hub does not serve."""
    return Refusal(404, "Sorry, we can't find the page you are looking for.")


def not_emulated(what: str) -> Refusal:
    """The 501 for a feature that the Hub has and the emulator does not have.

    :param what: the feature, and what to do instead: ``"pull requests: commit to a branch instead"``.
    """
    return Refusal(501, f"This emulated Hub has no {what}. Its documentation lists what it emulates.")


def repository_not_found() -> Refusal:
    """The 404 for a repository that does not exist or that the token may not see."""
    return Refusal(404, "Repository not found", code="RepoNotFound")


def forbidden(what: str) -> Refusal:
    """The 403 for a token that may see a repository but not do this.

    :param what: the action that is refused: ``"pause this Space"``.
    """
    return Refusal(403, f"You don't have the rights to {what}")
