"""A request as the routes see it: who asks, for which Space, with what body."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, QueryParams

from airflow_provider_hfspaces.emulator.model.accounts import Token
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.emulator.routes.responses import Refusal, missing, rights

__all__ = ["Call", "Moved"]

_NO_OAUTH = ("hardware", "sleeptime", "restart")


class Moved(Exception):
    """The Space has another name, or the same in another case."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


@dataclass
class Call:
    """One request.

    :ivar origin: under which address the client knows this server, e.g. ``http://127.0.0.1:8900``.
    :ivar parts: what the route's placeholders stand for.
    """

    world: World
    method: str
    path: str
    query_string: str
    headers: Headers
    content: bytes
    token: Token | None
    origin: str
    parts: dict[str, str] = field(default_factory=dict)
    _query: QueryParams | None = None

    @property
    def query(self) -> QueryParams:
        """The query, taken apart."""
        if self._query is None:
            self._query = QueryParams(self.query_string)
        return self._query

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent; an empty one for an empty body.

        :raises Refusal: 400 for anything else.
        """
        if not self.content:
            return {}
        try:
            body = json.loads(self.content)
        except ValueError:
            raise Refusal(400, "Invalid JSON in the request body") from None
        if not isinstance(body, dict):
            raise Refusal(400, '"value" must be of type object')
        return body

    def form(self) -> QueryParams:
        """The fields of a form that was sent."""
        return QueryParams(self.content.decode(errors="replace"))

    def known(self) -> Token:
        """The token.

        :raises Refusal: 401 if there is none.
        """
        if self.token is None:
            raise self.unauthorized()
        return self.token

    def unauthorized(self) -> Refusal:
        """The refusal for somebody of whom the Hub does not know whether there is anything to see."""
        on_space = "name" in self.parts and self.world.settings.repo_not_found_on_401
        return Refusal(
            401,
            "Invalid username or password.",
            code="RepoNotFound" if on_space else None,
            headers={"WWW-Authenticate": 'Bearer realm="Authentication required", charset="UTF-8"'},
        )

    def space(self) -> Space:
        """The Space of the path.

        :raises Refusal: as for one that is missing, if the token does not see it.
        :raises Moved: if this is not how it is called.
        """
        repo_id = f"{self.parts['owner']}/{self.parts['name']}"
        space = self.world.find_space(repo_id)
        if space is None or not self.world.may_read(self.token, space):
            raise self.unauthorized() if self.token is None else missing()
        if space.repo_id != repo_id:
            path = self.path.replace(f"/{repo_id}", f"/{space.repo_id}", 1)
            raise Moved(f"{path}?{self.query_string}" if self.query_string else path)
        return space

    def ungated_space(self) -> Space:
        """The Space of the path, for somebody who gets at its files.

        :raises Refusal: 403 if it is gated and not theirs; otherwise as :meth:`space`.
        """
        space = self.space()
        gated = space.remarks.get("gated") not in (None, False)
        if gated and not (self.token and self.world.role_at(self.token.user, space.owner)):
            raise Refusal(
                401 if self.token is None else 403,
                f"Access to Space {space.repo_id} is restricted and you are not in the authorized list.",
                code="GatedRepo",
            )
        return space

    def own_space(self, what: str) -> Space:
        """The Space of the path, for somebody who may change it.

        :param what: what is to be done to it, for the refusal: ``"pause this Space"``.
        :raises Refusal: 401 or 403 if the token may not; otherwise as :meth:`space`.
        """
        space = self.space()
        token = self.known()
        if token.kind == "oauth" and self.world.settings.oauth_refused and self.path.endswith(_NO_OAUTH):
            raise self.unauthorized()
        if not self.world.may_write(token, space.owner, space):
            raise rights(f"{what}: only its owner can do that")
        return space
