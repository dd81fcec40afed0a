"""Route and Router, which find the handler of a request by its method and path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.request import HubRequest

__all__ = ["REPOSITORY", "SPACE", "Handler", "Route", "Router"]

SPACE = "/api/spaces/{owner}/{name}"
"""The path of a Space."""

REPOSITORY = "/api/{route:spaces|datasets|models}/{owner}/{name}"
"""The path of a repository of any type."""

Handler = Callable[[HubRequest], Response]
"""Answers a request. The world's lock is held while it runs."""


@dataclass(frozen=True)
class Route:
    """A path and its handler.

    :ivar methods: separated by spaces, such as ``"GET POST"``.
    :ivar path: ``{name}`` matches one part of the path, ``{name:rest}`` all remaining parts, and
        ``{name:one|two}`` one of these words.
    """

    methods: str
    path: str
    handler: Handler
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.sub(
            r"{(\w+)(?::([^}]+))?}",
            lambda match: f"(?P<{match[1]}>{'.*' if match[2] == 'rest' else match[2] or '[^/]+'})",
            self.path.replace(".", r"\."),
        )
        object.__setattr__(self, "pattern", re.compile(pattern, re.DOTALL))


class Router:
    """Finds the first route that matches a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[str, list[Route]] = {}
        for route in routes:
            for method in route.methods.split():
                self._routes.setdefault(method, []).append(route)

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        """The handler of a request and the values of the placeholders; ``None`` without a match.

        :param path: as the client sent it, so that ``%2F`` in a branch name does not separate two parts.
        """
        for route in self._routes.get(method, ()):
            match = route.pattern.fullmatch(path)
            if match:
                return route.handler, {name: unquote(value) for name, value in match.groupdict().items()}
        return None
