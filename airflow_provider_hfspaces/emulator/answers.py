"""How the Hub puts its answers, and above all its refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

__all__ = ["Refusal", "answer", "not_found", "refuse", "text"]

JSON = "application/json; charset=utf-8"


class Refusal(Exception):
    """An error answer, raised wherever it turns out that there must be one."""

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
        self.status, self.message = status, message
        self.headers = dict(headers or {})
        if code:
            self.headers["X-Error-Code"] = code
        self.headers["X-Error-Message"] = message.encode("ascii", "replace").decode()
        self.body = {"error": message, **(more or {})}

    def response(self) -> Response:
        """The answer itself."""
        return answer(self.body, status=self.status, headers=self.headers)


def answer(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, status, {**(headers or {}), "Content-Type": JSON})


def text(body: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A plain text answer."""
    return Response(body, status, {**(headers or {}), "Content-Type": "text/plain; charset=utf-8"})


def refuse(status: int, message: str, **options: Any) -> Refusal:
    """A refusal with the Hub's words."""
    return Refusal(status, message, **options)


def not_found(*, has_token: bool) -> Refusal:
    """What there is not, or is not shown: one answer with a token, another without."""
    if has_token:
        return Refusal(404, "Repository not found", code="RepoNotFound")
    # The real Hub sends no code here. Its client tells the case by the https address, which a
    # plain http server on localhost cannot have, so the code stands in for that.
    return Refusal(
        401,
        "Invalid username or password.",
        code="RepoNotFound",
        headers={"WWW-Authenticate": 'Bearer realm="Authentication required", charset="UTF-8"'},
    )
