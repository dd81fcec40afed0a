"""HubRequest, the request that the handlers of routes receive, with its token, repository and body."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, QueryParams

from airflow_provider_hfspaces.emulator.http.responses import (
    Refusal,
    forbidden,
    repository_not_found,
    unknown_route,
)
from airflow_provider_hfspaces.emulator.model.accounts import Token
from airflow_provider_hfspaces.emulator.model.repository import Repository
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World

__all__ = ["HubRequest", "Moved"]

_NO_OAUTH = ("hardware", "sleeptime", "restart")


class Moved(Exception):
    """The repository has another id now, or the path spells its id in another case; answered by a 307."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


@dataclass
class HubRequest:
    """A request to the emulated Hub.

    :ivar path: the path with ``%xx`` decoded.
    :ivar raw_path: the path as the client sent it.
    :ivar token: the valid token of the request; ``None`` without one.
    :ivar origin: address by which the client knows this server, such as ``http://127.0.0.1:8900``.
    :ivar parts: values of the placeholders in the route's path.
    """

    world: World
    method: str
    path: str
    raw_path: str
    query_string: str
    headers: Headers
    content: bytes
    token: Token | None
    origin: str
    parts: dict[str, str] = field(default_factory=dict)
    _query: QueryParams | None = None

    @property
    def query(self) -> QueryParams:
        """The parsed query."""
        if self._query is None:
            self._query = QueryParams(self.query_string)
        return self._query

    def body(self) -> dict[str, Any]:
        """The JSON object in the body; an empty object for an empty body.

        :raises Refusal: 400 for any other body.
        """
        if not self.content:
            return {}
        try:
            body = json.loads(self.content)
        except (ValueError, RecursionError):
            raise Refusal(400, "Invalid JSON in the request body") from None
        if not isinstance(body, dict):
            raise Refusal(400, '"value" must be of type object')
        return body

    def form(self) -> QueryParams:
        """The fields of a form in the body."""
        return QueryParams(self.content.decode(errors="replace"))

    def require_token(self) -> Token:
        """The token of the request.

        :raises Refusal: 401 for an anonymous request.
        """
        if self.token is None:
            raise self.unauthorized()
        return self.token

    def unauthorized(self) -> Refusal:
        """The 401 for anonymous requests, which does not reveal whether the repository exists."""
        on_repository = "name" in self.parts and self.world.settings.repo_not_found_on_401
        return Refusal(
            401,
            "Invalid username or password.",
            code="RepoNotFound" if on_repository else None,
            headers={"WWW-Authenticate": 'Bearer realm="Authentication required", charset="UTF-8"'},
        )

    def space(self) -> Space:
        """The Space of the path; see :meth:`repository`."""
        space = self.repository()
        if not isinstance(space, Space):
            raise unknown_route()
        return space

    def repository(self) -> Repository:
        """The repository of the path, a Space unless the path says ``datasets`` or ``models``.

        :raises Refusal: 401 or 404 for a repository that does not exist or that the token may not see.
        :raises Moved: if the repository has another id now, or the path spells it in another case.
        """
        repo_id = f"{self.parts['owner']}/{self.parts['name']}"
        repo_type = self.parts.get("route", "spaces").removesuffix("s")
        repository = self.world.find_repository(repo_type, repo_id)
        if repository is None or not self.world.accounts.may_read(self.token, repository):
            raise self.unauthorized() if self.token is None else repository_not_found()
        if repository.repo_id != repo_id:
            path = self.raw_path.replace(f"/{repo_id}", f"/{repository.repo_id}", 1)
            raise Moved(f"{path}?{self.query_string}" if self.query_string else path)
        return repository

    def readable_repository(self) -> Repository:
        """The repository of the path, for a caller who reads its files.

        Everybody may use the app of a protected Space, but only members of its owner may read its files.

        :raises Refusal: 401 or 403 if the repository is gated and the caller has no access, 401 or 404 if
            the Space is protected; other errors as in :meth:`repository`.
        """
        repository = self.repository()
        if repository.visibility == "protected" and not self._is_member(repository):
            raise self.unauthorized() if self.token is None else repository_not_found()
        gated = repository.remarks.get("gated") not in (None, False)
        if gated and not self._is_member(repository):
            label = "Space" if repository.repo_type == "space" else repository.repo_type
            raise Refusal(
                401 if self.token is None else 403,
                f"Access to {label} {repository.repo_id} is restricted and you are not in the "
                "authorized list.",
                code="GatedRepo",
            )
        return repository

    def _is_member(self, repository: Repository) -> bool:
        """Whether the caller belongs to the owner of a repository."""
        return self.token is not None and bool(self.world.accounts.role_at(self.token.user, repository.owner))

    def writable_repository(self, what: str = "commit to this repository") -> Repository:
        """The repository of the path, for a caller who changes it.

        :param what: the action, for the message of a 403.
        :raises Refusal: 401 or 403 if the token may not change the repository; other errors as in
            :meth:`repository`.
        """
        repository = self.repository()
        if not self.world.accounts.may_write(self.require_token(), repository.owner, repository):
            raise forbidden(what)
        return repository

    def own_space(self, what: str) -> Space:
        """The Space of the path, for a caller who changes it.

        :param what: the action, for the message of a 403: ``"pause this Space"``.
        :raises Refusal: 401 or 403 if the token may not change the Space; other errors as in :meth:`space`.
        """
        space = self.space()
        token = self.require_token()
        if token.kind == "oauth" and self.world.settings.oauth_refused and self.path.endswith(_NO_OAUTH):
            raise self.unauthorized()
        if not self.world.accounts.may_write(token, space.owner, space):
            raise forbidden(f"{what}: only its owner can do that")
        return space
