"""Which function answers which request."""

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
"""Answers a request, with the world to itself while it runs."""


@dataclass(frozen=True)
class Route:
    """For some methods, a path and who answers there.

    :ivar methods: such as ``"GET POST"``.
    :ivar path: ``{name}`` stands for one part of it, ``{name:rest}`` for all that follows, and
        ``{name:one|two}`` for one of these words.
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
    """Finds the first route that fits."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[str, list[Route]] = {}
        for route in routes:
            for method in route.methods.split():
                self._routes.setdefault(method, []).append(route)

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        """The function for a request, and what the placeholders stand for.

        :param path: as it was sent, so that a ``%2F`` in a branch name does not separate two parts.
        """
        for route in self._routes.get(method, ()):
            match = route.pattern.fullmatch(path)
            if match:
                return route.handler, {name: unquote(value) for name, value in match.groupdict().items()}
        return None
