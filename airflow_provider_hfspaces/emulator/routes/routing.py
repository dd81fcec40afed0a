"""Which function answers which request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.routes.request import Call

__all__ = ["Handler", "Route", "Router"]

Handler = Callable[[Call], Response]
"""Answers a call, with the world to itself while it runs."""


@dataclass(frozen=True)
class Route:
    """For some methods, a path and who answers there.

    :ivar methods: such as ``"GET POST"``.
    :ivar path: ``{name}`` stands for one part of it, ``{name:rest}`` for all that follows.
    """

    methods: str
    path: str
    handler: Handler
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.sub(
            r"{(\w+)(:rest)?}",
            lambda found: f"(?P<{found[1]}>{'.*' if found[2] else '[^/]+'})",
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
        """The function for a request, and what the placeholders stand for."""
        for route in self._routes.get(method, ()):
            found = route.pattern.fullmatch(path)
            if found:
                return route.handler, found.groupdict()
        return None
