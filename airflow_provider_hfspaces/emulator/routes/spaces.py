"""The description of a Space or another repository, the list of Spaces, and the semantic search."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import check_revision
from airflow_provider_hfspaces.emulator.http.payloads import (
    EXPANDABLE,
    expanded_payload,
    info_payload,
    listed_payload,
    repository_payload,
    searched_payload,
)
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response, repository_not_found
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, Route
from airflow_provider_hfspaces.emulator.model.git import Commit
from airflow_provider_hfspaces.emulator.model.space import Space

__all__ = ["ROUTES"]

_SORTS: dict[str, Callable[[Space], float]] = {
    "trendingScore": lambda space: space.likes,
    "likes": lambda space: space.likes,
    "createdAt": lambda space: space.created,
    "lastModified": lambda space: space.modified,
}


def _info(request: HubRequest) -> Response:
    repository = request.repository()
    commit = check_revision(repository, request.parts.get("revision", "main"))
    if isinstance(repository, Space):
        return _info_response(request, repository, commit)
    return json_response(repository_payload(repository, commit, blobs=_blobs(request)))


def _by_subdomain(request: HubRequest) -> Response:
    may_read = request.world.accounts.may_read
    for space in request.world.spaces.values():
        if space.subdomain == request.parts["subdomain"] and may_read(request.token, space):
            return _info_response(request, space.catch_up())
    raise repository_not_found()


def _no_owner(request: HubRequest) -> Response:
    raise request.unauthorized() if request.token is None else repository_not_found()


def _info_response(request: HubRequest, space: Space, commit: Commit | None = None) -> Response:
    names = _expand(request)
    if names:
        return json_response(expanded_payload(space, names, commit=commit))
    host = request.world.app_url(space, request.origin)
    return json_response(info_payload(space, host, commit, blobs=_blobs(request)))


def _blobs(request: HubRequest) -> bool:
    return request.query.get("blobs", "").lower() in ("true", "1")


def _list(request: HubRequest) -> Response:
    """List the Spaces that the token may see, page by page.

    The cursor names the last Space of the previous page, not an offset, so that Spaces that are created or
    deleted meanwhile do not shift the pages.
    """
    names, limit = _expand(request), _limit(request)
    sort = request.query.get("sort") or "trendingScore"
    if sort not in _SORTS:
        raise Refusal(400, f'"sort" must be one of [{", ".join(_SORTS)}]')
    sort_value = _SORTS[sort]

    def place(space: Space) -> tuple[float, str]:
        return -sort_value(space), space.object_id

    matching = sorted(_matching(request), key=place)
    cursor = request.query.get("cursor")
    if cursor is not None:
        after = _decode_cursor(cursor)
        matching = [space for space in matching if place(space) > after]
    page = [space.catch_up() for space in matching[:limit]]
    headers = {}
    if len(matching) > limit:
        rest = [(name, value) for name, value in request.query.multi_items() if name != "cursor"]
        following = urlencode([*rest, ("cursor", _encode_cursor(place(page[-1])))])
        headers["Link"] = f'<{request.origin}/api/spaces?{following}>; rel="next"'
    full = request.query.get("full", "").lower() == "true"
    lag = request.world.settings.timings.list_lag
    entries = [
        expanded_payload(each, names, lag=lag) if names else listed_payload(each, full=full) for each in page
    ]
    return json_response(entries, headers=headers)


def _search(request: HubRequest) -> Response:
    """Search Spaces. The score is the share of the query's words that a Space's id and tags contain."""
    words = request.query.get("q", "").lower().split()
    sdks, everything = (
        request.query.getlist("sdk"),
        request.query.get("includeNonRunning", "").lower() == "true",
    )
    results = []
    for space in _matching(request):
        text = f"{space.repo_id} {' '.join(space.tags)}".lower()
        score = sum(word in text for word in words) / max(len(words), 1)
        if score and (everything or space.catch_up().is_serving) and (not sdks or space.sdk in sdks):
            results.append((score, space))
    results.sort(key=lambda pair: (-pair[0], pair[1].object_id))
    return json_response([searched_payload(space, score) for score, space in results[:20]])


def _matching(request: HubRequest) -> list[Space]:
    query = request.query
    author, search = query.get("author"), (query.get("search") or "").lower()
    tags = query.getlist("filter") + query.getlist("filter[]")
    links = {kind: query.getlist(kind) for kind in ("models", "datasets")}
    linked = query.get("linked", "").lower() == "true"
    return [
        space
        for space in request.world.spaces.values()
        if (author is None or space.owner.lower() == author.lower())
        and search in space.repo_id.lower()
        and all(tag in space.tags for tag in tags)
        and all(each in _links(space, kind) for kind, wanted in links.items() for each in wanted)
        and (not linked or any(_links(space, kind) for kind in links))
        and request.world.accounts.may_read(request.token, space)
    ]


def _links(space: Space, kind: str) -> list[str]:
    """The ``models`` or ``datasets`` that the card of a Space names."""
    return list(space.card.data.get(kind) or [])


def _expand(request: HubRequest) -> list[str]:
    """The properties that the query requests with ``expand`` or ``expand[]``."""
    names = request.query.getlist("expand") + request.query.getlist("expand[]")
    if any(name not in EXPANDABLE for name in names):
        raise Refusal(400, f'"expand" must be one of [{", ".join(sorted(EXPANDABLE))}]')
    return list(dict.fromkeys(names))


def _limit(request: HubRequest) -> int:
    limit = request.query.get("limit")
    if limit is None:
        return request.world.settings.page_size
    if not (limit.isascii() and limit.isdigit()) or int(limit) < 1:
        raise Refusal(400, '"limit" must be a positive number')
    return min(int(limit), request.world.settings.largest_page)


def _encode_cursor(place: tuple[float, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _decode_cursor(cursor: str) -> tuple[float, str]:
    try:
        place: Any = json.loads(base64.urlsafe_b64decode(cursor))
        return float(place[0]), str(place[1])
    except (ValueError, TypeError, IndexError, KeyError):
        raise Refusal(400, '"cursor" is invalid') from None


ROUTES = [
    Route("GET", "/api/spaces", _list),
    Route("GET", "/api/spaces/semantic-search", _search),
    Route("GET", "/api/spaces/by-subdomain/{subdomain}", _by_subdomain),
    Route("GET", "/api/{route:spaces|datasets|models}/{name}", _no_owner),
    Route("GET", "/api/{route:spaces|datasets|models}/{name}/revision/{revision:rest}", _no_owner),
    Route("GET", REPOSITORY, _info),
    Route("GET", f"{REPOSITORY}/revision/{{revision:rest}}", _info),
]
