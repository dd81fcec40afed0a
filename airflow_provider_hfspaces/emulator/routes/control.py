"""The emulator's control API, under ``/_emulator``: for tests and demos in other processes.

The control API asks for no token. Every program that reaches the emulator may use it, but web pages of other
sites may not; see :func:`check_caller`. docs/emulator.md lists the routes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from airflow_provider_hfspaces.emulator import state_file
from airflow_provider_hfspaces.emulator.apps.choice import saved_app
from airflow_provider_hfspaces.emulator.handle import SpaceHandle
from airflow_provider_hfspaces.emulator.http.payloads import runtime_payload
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response
from airflow_provider_hfspaces.emulator.http.routing import Route
from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.creation import make_space
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.routes import start_page

__all__ = ["ROUTES", "check_caller"]

_SPACE = "/spaces/{owner}/{name}"
_ARRANGEMENTS = (
    "commit",
    "visit",
    "serve",
    "kill_app",
    "crash",
    "crash_loop",
    "hang_next_start",
    "fail_next_build",
    "fail_next_start",
    "no_capacity",
    "over_quota",
)


def check_caller(request: HubRequest) -> None:
    """Refuse requests from web pages of other sites, which run in a browser on this computer.

    Such a page sends its own ``Origin``. A page whose host name resolves to this computer (DNS rebinding)
    sends this name as ``Host``. So only IP addresses, ``localhost`` and the host names that the emulator was
    started with are accepted as ``Host``.

    :raises Refusal: 403 for such a request.
    """
    host = _host_name(request.headers.get("host", ""))
    if not (_is_local_or_address(host) or host in request.world.allowed_hosts):
        raise Refusal(
            403,
            f"The control API does not accept the host name {host!r}. Use an IP address, or start the "
            f"emulator with --allow-host {host}.",
        )
    origin = request.headers.get("origin")
    if origin is not None and origin != request.origin:
        raise Refusal(
            403,
            f"The control API does not accept requests from web pages of {origin}. Call it from a program "
            "outside the browser.",
        )
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refusal(
            403,
            "The control API does not accept requests from web pages of other sites. Call it from a program "
            "outside the browser.",
        )


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return host


def _is_local_or_address(host: str) -> bool:
    if host in ("", "localhost") or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _overview(request: HubRequest) -> Any:
    world = request.world
    return {
        **_time(request),
        "speed": world.clock.speed,
        "url": request.origin,
        "user": world.accounts.default_user,
        "users": sorted(world.accounts.users),
        "organizations": sorted(world.accounts.organizations),
        "spaces": len(world.spaces),
        "requests": world.requests_seen,
        "settings": world.settings.to_dict(),
    }


def _time(request: HubRequest) -> dict[str, Any]:
    now = request.world.clock.now()
    return {"now": now, "at": iso(now)}


def _bill(request: HubRequest) -> Any:
    return request.world.bill(request.query.get("space")).to_dict()


def _requests(request: HubRequest) -> Any:
    """The recorded requests.

    Query parameters: ``since`` (only requests with a higher number), ``method``, ``path`` (a part of the
    path) and ``limit`` (only the last ones).
    """
    query = request.query
    since, method, path = int(query.get("since", "0")), query.get("method"), query.get("path", "")
    matching = [
        each.to_dict()
        for each in request.world.requests
        if each.number > since and method in (None, each.method) and path in each.path
    ]
    limit = query.get("limit")
    return {
        "requests": matching if limit is None else matching[-int(limit) :],
        "seen": request.world.requests_seen,
    }


def _advance(request: HubRequest) -> Any:
    request.world.clock.advance(float(request.body()["seconds"]))
    return _time(request)


def _reset(request: HubRequest) -> Any:
    request.world.reset()
    return {"spaces": len(request.world.spaces)}


def _settings(request: HubRequest) -> Any:
    if request.method == "POST":
        request.world.settings.change(request.body())
    return request.world.settings.to_dict()


def _add_user(request: HubRequest) -> Any:
    return {"name": request.world.accounts.add_user(**request.body()).name}


def _add_organization(request: HubRequest) -> Any:
    return {"name": request.world.accounts.add_organization(**request.body()).name}


def _add_token(request: HubRequest) -> Any:
    return {"token": request.world.accounts.add_token(**request.body())}


def _add_repository(request: HubRequest) -> Any:
    repository = request.world.add_repository(**request.body())
    return {"repo_id": repository.repo_id, "repo_type": repository.repo_type}


def _spaces(request: HubRequest) -> Any:
    if request.method == "POST":
        return _space_payload(request, make_space(request.world, **request.body()))
    return {"spaces": [_space_payload(request, space.catch_up()) for space in request.world.spaces.values()]}


def _space(request: HubRequest) -> Any:
    space = _requested_space(request)
    if request.method == "DELETE":
        request.world.delete_space(space.repo_id)
    return _space_payload(request, space)


def _history(request: HubRequest) -> Any:
    moments = [{"at": iso(moment.time), **moment._asdict()} for moment in _requested_space(request).history]
    return {"repo_id": _requested_space(request).repo_id, "history": moments}


def _values(request: HubRequest) -> Any:
    """Variables, volumes, and secrets with their values, which the Hub's own API does not show."""
    space = SpaceHandle(request.world, _requested_space(request))
    return {"secrets": space.secrets, "variables": space.variables, "volumes": space.volumes}


def _app_requests(request: HubRequest) -> Any:
    """The requests that reached the app. Query parameters: ``method`` and ``path`` (a part of the path)."""
    method, path = request.query.get("method"), request.query.get("path", "")
    requests = _requested_space(request).app.requests
    return {
        "requests": [
            each.to_dict() for each in requests if method in (None, each.method) and path in each.path
        ]
    }


def _rename(request: HubRequest) -> Any:
    return _space_payload(
        request, request.world.rename_space(_requested_space(request).repo_id, request.body()["to"])
    )


def _arrangement(name: str) -> Callable[[HubRequest], Any]:
    """Return a handler that calls a method of :class:`SpaceHandle` with the body as keyword arguments."""

    def arrange(request: HubRequest) -> Any:
        space, body = SpaceHandle(request.world, _requested_space(request)), request.body()
        if name in ("no_capacity", "over_quota"):
            hardware = body.pop("hardware", [])
            getattr(space, name)(*([hardware] if isinstance(hardware, str) else hardware), **body)
        else:
            getattr(space, name)(**body)
        return _space_payload(request, _requested_space(request))

    return arrange


def _faults(request: HubRequest) -> Any:
    """Add a fault (``POST``) or remove all faults (``DELETE``), and list the faults."""
    faults = request.world.faults
    if request.method == "POST":
        body = request.body()
        if "seed" in body:
            faults.seed = int(body.pop("seed"))
        faults.add(body)
    elif request.method == "DELETE":
        faults.clear()
    return faults.to_dict()


def _bad_day(request: HubRequest) -> Any:
    request.world.bad_day(**request.body())
    return request.world.faults.to_dict()


def _quota(request: HubRequest) -> Any:
    request.world.limits.tighten(**request.body())
    return {"quotas": request.world.limits.quotas, "window": request.world.limits.window}


def _state(request: HubRequest) -> Any:
    if request.method == "PUT":
        state_file.load(request.world, request.body())
        return _overview(request)
    return state_file.state_of(request.world)


def _requested_space(request: HubRequest) -> Space:
    return request.world.space(f"{request.parts['owner']}/{request.parts['name']}")


def _space_payload(request: HubRequest, space: Space) -> dict[str, Any]:
    return {
        "repo_id": space.repo_id,
        "sdk": space.sdk,
        "private": space.private,
        "stage": space.stage,
        "hardware": space.hardware,
        "requested_hardware": space.requested,
        "running_sha": space.running_sha,
        "sleep_time": space.sleep_time,
        "visits": space.visits,
        "app": saved_app(space.app.choice),
        "app_url": request.world.app_url(space, request.origin),
        "runtime": runtime_payload(space),
    }


def _route(methods: str, path: str, handler: Callable[[HubRequest], Any]) -> Route:
    def answered(request: HubRequest) -> Response:
        try:
            return json_response(handler(request))
        except KeyError as missing:
            raise Refusal(404, f"{missing} was not found") from None
        except (TypeError, ValueError, AttributeError, OverflowError) as problem:
            raise Refusal(400, str(problem)) from None

    return Route(methods, f"/_emulator{path}", answered)


ROUTES = [
    _route("GET", "", _overview),
    _route("GET", "/fleet", start_page.fleet),
    _route("GET", "/bill", _bill),
    _route("GET", "/requests", _requests),
    _route("POST", "/advance", _advance),
    _route("POST", "/reset", _reset),
    _route("GET POST", "/settings", _settings),
    _route("GET POST DELETE", "/faults", _faults),
    _route("POST", "/bad-day", _bad_day),
    _route("POST", "/quota", _quota),
    _route("GET PUT", "/state", _state),
    _route("POST", "/users", _add_user),
    _route("POST", "/organizations", _add_organization),
    _route("POST", "/tokens", _add_token),
    _route("POST", "/repositories", _add_repository),
    _route("GET POST", "/spaces", _spaces),
    _route("GET DELETE", _SPACE, _space),
    _route("GET", f"{_SPACE}/history", _history),
    _route("GET", f"{_SPACE}/values", _values),
    _route("GET", f"{_SPACE}/app-requests", _app_requests),
    _route("POST", f"{_SPACE}/rename", _rename),
    *(_route("POST", f"{_SPACE}/{name.replace('_', '-')}", _arrangement(name)) for name in _ARRANGEMENTS),
]
