"""The routes that are not about one Space: lists, prices, accounts, billing, repositories."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_hfspaces.emulator.answers import answer, not_found, refuse, text
from airflow_provider_hfspaces.emulator.payloads import (
    billing_payload,
    expanded_payload,
    info_payload,
    whoami_payload,
)
from airflow_provider_hfspaces.emulator.prices import FLAVORS, is_offered
from airflow_provider_hfspaces.emulator.space import Space
from airflow_provider_hfspaces.emulator.spaces_api import body_of, expand_of
from airflow_provider_hfspaces.emulator.world import Token, World
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

__all__ = ["hub_routes"]

_SORTS: dict[str, Callable[[Space], Any]] = {
    "lastModified": lambda space: space.modified,
    "createdAt": lambda space: space.created,
    "likes": lambda space: space.likes,
    "trendingScore": lambda space: 0,
}
_LISTED = ("author", "createdAt", "lastModified", "likes", "private", "sdk", "subdomain", "tags")


def hub_routes(world: World) -> list[Route]:
    """All of them."""

    def route(path: str, handler: Callable[[Request], Any], *methods: str) -> Route:
        async def endpoint(request: Request) -> Response:
            request.state.json = await body_of(request)
            with world.lock:
                found = handler(request)
            return found if isinstance(found, Response) else answer(found)

        return Route(path, endpoint, methods=list(methods) or ["GET"])

    def whoami(request: Request) -> Any:
        return whoami_payload(_known(request), world)

    def hardware(request: Request) -> Any:
        return FLAVORS

    def spaces(request: Request) -> Any:
        return _list(request, world)

    def own_billing(request: Request) -> Any:
        return billing_payload(_known(request).user, world)

    def organization_billing(request: Request) -> Any:
        token = _known(request)
        name = request.path_params["organization"]
        if name not in world.organizations:
            raise refuse(404, "Organization not found")
        if world.roles(token.user).get(name) != "admin":
            raise refuse(403, "You don't have the rights to see this organization's billing")
        return billing_payload(name, world)

    def create(request: Request) -> Any:
        return _create(request, world)

    def delete(request: Request) -> Any:
        token, body = _known(request), request.state.json
        repo_id = f"{body.get('organization') or token.user}/{body.get('name')}"
        space = world.spaces.get(repo_id.lower())
        if space is None or not world.may_read(token, space):
            raise not_found(has_token=True)
        if not world.may_write(token, space.owner, space):
            raise refuse(403, "You don't have the rights to delete this repository")
        world.delete_space(repo_id)
        return text("OK")

    def move(request: Request) -> Any:
        token, body = _known(request), request.state.json
        old, new = str(body.get("fromRepo")), str(body.get("toRepo"))
        space = world.spaces.get(old.lower())
        if space is None or not world.may_read(token, space):
            raise not_found(has_token=True)
        if new.lower() in world.spaces:
            raise refuse(409, "A repository with this name already exists")
        if not (world.may_write(token, space.owner, space) and world.may_write(token, new.partition("/")[0])):
            raise refuse(403, "You don't have the rights to move this repository")
        world.rename_space(old, new)
        return {}

    return [
        route("/api/whoami-v2", whoami),
        route("/api/spaces/hardware", hardware),
        route("/api/spaces", spaces),
        route("/api/settings/billing/usage", own_billing),
        route("/api/organizations/{organization}/billing/usage", organization_billing),
        route("/api/repos/create", create, "POST"),
        route("/api/repos/delete", delete, "DELETE"),
        route("/api/repos/move", move, "POST"),
    ]


def _known(request: Request) -> Token:
    token: Token | None = request.state.token
    if token is None:
        raise refuse(401, "Invalid username or password.")
    return token


def _list(request: Request, world: World) -> Response:
    query = request.query_params
    token: Token | None = request.state.token
    expand = expand_of(request)
    limit = _limit(query.get("limit"), world)
    tags = query.getlist("filter")
    search, author = (query.get("search") or "").lower(), query.get("author")
    found = [
        space
        for space in world.spaces.values()
        if (author is None or space.owner.lower() == author.lower())
        and search in space.repo_id.lower()
        and all(tag in space.tags for tag in tags)
        and world.may_read(token, space)
    ]
    sort = query.get("sort")
    if sort is not None:
        if sort not in _SORTS:
            raise refuse(400, f'"sort" must be one of [{", ".join(_SORTS)}]')
        found.sort(key=_SORTS[sort], reverse=True)
    start = _position(query.get("cursor"))
    page = found[start : start + limit]
    headers = {}
    if start + limit < len(found):
        rest = [(name, value) for name, value in query.multi_items() if name != "cursor"]
        cursor = base64.urlsafe_b64encode(json.dumps({"from": start + limit}).encode()).decode()
        following = urlencode([*rest, ("cursor", cursor)])
        headers["Link"] = f'<{world.endpoint}/api/spaces?{following}>; rel="next"'
    entries = [_entry(space.catch_up(), world, expand, full=query.get("full") == "true") for space in page]
    return answer(entries, headers=headers)


def _entry(space: Space, world: World, expand: list[str], *, full: bool) -> dict[str, Any]:
    if expand:
        return expanded_payload(space, world, expand)
    if full:
        return info_payload(space, world)
    return expanded_payload(space, world, list(_LISTED))


def _limit(given: str | None, world: World) -> int:
    if given is None:
        return world.settings.page_size
    if not given.isdigit() or int(given) < 1:
        raise refuse(400, '"limit" must be a positive number')
    return min(int(given), world.settings.largest_page)


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(cursor))["from"])
    except (ValueError, KeyError, TypeError):
        raise refuse(400, '"cursor" is invalid') from None


def _create(request: Request, world: World) -> Any:
    token, body = _known(request), request.state.json
    if body.get("type") != "space":
        raise refuse(400, "This Hub is an emulator and has Spaces only")
    owner, name = body.get("organization") or token.user, str(body.get("name") or "")
    if not name:
        raise refuse(400, '"name" is required')
    if not world.may_write(token, owner):
        raise refuse(403, f'You don\'t have the rights to create a space under the namespace "{owner}"')
    sdk = body.get("sdk")
    if sdk not in ("gradio", "docker", "static", "streamlit"):
        raise refuse(400, '"sdk" must be one of [gradio, docker, static]')
    hardware = body.get("hardware") or "cpu-basic"
    if not is_offered(hardware):
        raise refuse(400, '"hardware" must be a valid hardware flavor')
    user = world.users[token.user]
    pays = owner in world.organizations or user.is_pro
    if world.settings.paywall and sdk != "static" and hardware in FREE_HARDWARE and not pays:
        raise refuse(
            402,
            "Static Spaces are free for everyone, but hosting Gradio and Docker Spaces on free cpu-basic "
            "requires a PRO subscription.",
        )
    repo_id = f"{owner}/{name}"
    url = f"{world.endpoint}/spaces/{repo_id}"
    if repo_id.lower() in world.spaces:
        raise refuse(409, "You already created this space repo", more={"url": url})
    seconds = body.get("sleepTimeSeconds")
    space = world.add_space(
        repo_id,
        admin=token.user,
        sdk=sdk,
        hardware=hardware,
        stage="NO_APP_FILE",
        sleep_time=None if seconds is None or seconds < 0 else seconds,
        private=bool(body.get("private")) or body.get("visibility") == "private",
    )
    return {"url": url, "name": repo_id, "id": space.object_id}
