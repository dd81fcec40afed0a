"""The emulator's own routes, under ``/_emulator``: what tests and demos in another process need.

They ask for no token: whoever reaches the emulator may do anything with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.emulator import state
from airflow_provider_hfspaces.emulator.handle import SpaceHandle
from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.creation import make_space
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.routes.payloads import runtime_payload
from airflow_provider_hfspaces.emulator.routes.request import Call
from airflow_provider_hfspaces.emulator.routes.responses import Refusal, answer
from airflow_provider_hfspaces.emulator.routes.routing import Route

__all__ = ["ROUTES"]

_SPACE = "/spaces/{owner}/{name}"
_ARRANGEMENTS = ("visit", "crash", "crash-loop", "hang-next-start", "fail-next-build", "fail-next-start")


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


def _arrange(call: Call) -> Any:
    """Do one of the things that a test can do to a Space, with the body as its arguments."""
    space = SpaceHandle(call.world, _found(call))
    what, body = call.parts["what"], call.body()
    if what == "no-capacity":
        given = body.get("hardware", [])
        space.no_capacity(*([given] if isinstance(given, str) else given))
    elif what in _ARRANGEMENTS:
        getattr(space, what.replace("-", "_"))(**body)
    else:
        raise KeyError(what)
    return _described(_found(call))


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
        except (TypeError, ValueError) as problem:
            raise Refusal(400, str(problem)) from None

    return Route(methods, f"/_emulator{path}", answered)


ROUTES = [
    _route("GET", "", _overview),
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
    _route("GET POST", "/spaces", _spaces),
    _route("GET DELETE", _SPACE, _space),
    _route("GET", f"{_SPACE}/history", _history),
    _route("GET", f"{_SPACE}/values", _values),
    _route("POST", f"{_SPACE}/rename", _rename),
    _route("POST", f"{_SPACE}/{{what}}", _arrange),
]
