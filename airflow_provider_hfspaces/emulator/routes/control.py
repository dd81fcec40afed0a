"""The emulator's control API, under ``/_emulator``: for tests and demos in other processes.

It asks for no token. Every program that reaches the emulator may use it; a web page in a browser may not,
see :func:`check_caller`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from airflow_provider_hfspaces.emulator import start_page, state
from airflow_provider_hfspaces.emulator.handle import SpaceHandle
from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.creation import make_space
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.routes.payloads import runtime_payload
from airflow_provider_hfspaces.emulator.routes.request import Call
from airflow_provider_hfspaces.emulator.routes.responses import Refusal, answer
from airflow_provider_hfspaces.emulator.routes.routing import Route

__all__ = ["ROUTES", "check_caller"]

_SPACE = "/spaces/{owner}/{name}"
_ARRANGEMENTS = (
    "visit",
    "crash",
    "crash_loop",
    "hang_next_start",
    "fail_next_build",
    "fail_next_start",
    "no_capacity",
    "over_quota",
)


def check_caller(call: Call) -> None:
    """Refuse requests that a web page of another site has made a browser send.

    A page of another site sends its ``Origin``. A page whose own host name has been made to resolve to
    this computer sends that name as ``Host``: only addresses, ``localhost`` and the names that the
    emulator was started with are accepted.

    :raises Refusal: 403.
    """
    host = _host_name(call.headers.get("host", ""))
    if not (_is_local_or_address(host) or host in call.world.allowed_hosts):
        raise Refusal(
            403,
            f"The control API does not answer to the host name {host!r}: use an IP address, or start the "
            f"emulator with --allow-host {host}",
        )
    origin = call.headers.get("origin")
    if origin is not None and origin != call.origin:
        raise Refusal(403, f"The control API does not answer to web pages of {origin}")
    if call.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refusal(403, "The control API does not answer to web pages of other sites")


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


def _overview(call: Call) -> Any:
    world = call.world
    return {
        **_time(call),
        "speed": world.clock.speed,
        "url": call.origin,
        "user": world.default_user,
        "users": sorted(world.users),
        "organizations": sorted(world.organizations),
        "spaces": len(world.spaces),
        "requests": world.requests_seen,
        "settings": world.settings.to_dict(),
    }


def _time(call: Call) -> dict[str, Any]:
    now = call.world.clock.now()
    return {"now": now, "at": iso(now)}


def _bill(call: Call) -> Any:
    return call.world.bill(call.query.get("space")).to_dict()


def _requests(call: Call) -> Any:
    """With ``since`` (a number), ``method``, ``path`` (a part of it) and ``limit`` (the last ones)."""
    query = call.query
    since, method, path = int(query.get("since", "0")), query.get("method"), query.get("path", "")
    found = [
        each.to_dict()
        for each in call.world.requests
        if each.number > since and method in (None, each.method) and path in each.path
    ]
    limit = query.get("limit")
    return {"requests": found if limit is None else found[-int(limit) :], "seen": call.world.requests_seen}


def _advance(call: Call) -> Any:
    call.world.clock.advance(float(call.body()["seconds"]))
    return _time(call)


def _reset(call: Call) -> Any:
    call.world.reset()
    return {"spaces": len(call.world.spaces)}


def _settings(call: Call) -> Any:
    if call.method == "POST":
        call.world.settings.change(call.body())
    return call.world.settings.to_dict()


def _add_user(call: Call) -> Any:
    return {"name": call.world.add_user(**call.body()).name}


def _add_organization(call: Call) -> Any:
    return {"name": call.world.add_organization(**call.body()).name}


def _add_token(call: Call) -> Any:
    return {"token": call.world.add_token(**call.body())}


def _add_repository(call: Call) -> Any:
    repository = call.world.add_repository(**call.body())
    return {"repo_id": repository.repo_id, "repo_type": repository.repo_type}


def _spaces(call: Call) -> Any:
    if call.method == "POST":
        return _described(make_space(call.world, **call.body()))
    return {"spaces": [_described(space.catch_up()) for space in call.world.spaces.values()]}


def _space(call: Call) -> Any:
    space = _found(call)
    if call.method == "DELETE":
        call.world.delete_space(space.repo_id)
    return _described(space)


def _history(call: Call) -> Any:
    moments = [{"at": iso(moment.time), **moment._asdict()} for moment in _found(call).history]
    return {"repo_id": _found(call).repo_id, "history": moments}


def _values(call: Call) -> Any:
    """Secrets with their values, which the Hub's own API never gives."""
    space = SpaceHandle(call.world, _found(call))
    return {"secrets": space.secrets, "variables": space.variables, "volumes": space.volumes}


def _rename(call: Call) -> Any:
    return _described(call.world.rename_space(_found(call).repo_id, call.body()["to"]))


def _arrangement(name: str) -> Callable[[Call], Any]:
    """A handler that calls one method of :class:`SpaceHandle`, with the body as its arguments."""

    def arrange(call: Call) -> Any:
        space, body = SpaceHandle(call.world, _found(call)), call.body()
        if name in ("no_capacity", "over_quota"):
            hardware = body.get("hardware", [])
            getattr(space, name)(*([hardware] if isinstance(hardware, str) else hardware))
        else:
            getattr(space, name)(**body)
        return _described(_found(call))

    return arrange


def _faults(call: Call) -> Any:
    """All faults; ``POST`` adds one, ``DELETE`` takes all away."""
    faults = call.world.faults
    if call.method == "POST":
        body = call.body()
        if "seed" in body:
            faults.seed = int(body.pop("seed"))
        faults.add(body)
    elif call.method == "DELETE":
        faults.clear()
    return faults.to_dict()


def _bad_day(call: Call) -> Any:
    call.world.bad_day(**call.body())
    return call.world.faults.to_dict()


def _quota(call: Call) -> Any:
    call.world.limits.tighten(**call.body())
    return {"quotas": call.world.limits.quotas, "window": call.world.limits.window}


def _state(call: Call) -> Any:
    if call.method == "PUT":
        state.load(call.world, call.body())
        return _overview(call)
    return state.taken(call.world)


def _found(call: Call) -> Space:
    return call.world.space(f"{call.parts['owner']}/{call.parts['name']}")


def _described(space: Space) -> dict[str, Any]:
    return {
        "repo_id": space.repo_id,
        "sdk": space.sdk,
        "private": space.private,
        "stage": space.stage,
        "hardware": space.hardware,
        "requested_hardware": space.requested,
        "sleep_time": space.sleep_time,
        "visits": space.visits,
        "runtime": runtime_payload(space),
    }


def _route(methods: str, path: str, handler: Callable[[Call], Any]) -> Route:
    def answered(call: Call) -> Response:
        try:
            return answer(handler(call))
        except KeyError as missing:
            raise Refusal(404, f"There is no {missing}") from None
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
    _route("POST", f"{_SPACE}/rename", _rename),
    *(_route("POST", f"{_SPACE}/{name.replace('_', '-')}", _arrangement(name)) for name in _ARRANGEMENTS),
]
