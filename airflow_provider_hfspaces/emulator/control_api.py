"""The emulator's own routes, under ``/_emulator``: what a test in another process needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_hfspaces.emulator.answers import answer, refuse
from airflow_provider_hfspaces.emulator.clock import iso
from airflow_provider_hfspaces.emulator.gate import masked
from airflow_provider_hfspaces.emulator.meter import bill
from airflow_provider_hfspaces.emulator.payloads import runtime_payload
from airflow_provider_hfspaces.emulator.space import Space
from airflow_provider_hfspaces.emulator.world import World

__all__ = ["control_routes"]


def control_routes(world: World) -> list[Route]:
    """All of them."""

    def route(path: str, handler: Callable[[Request], Any], *methods: str) -> Route:
        async def endpoint(request: Request) -> Response:
            content = await request.body()
            request.state.json = json.loads(content) if content else {}
            with world.lock:
                try:
                    return answer(handler(request))
                except KeyError as missing:
                    raise refuse(404, f"There is no {missing}") from None
                except (TypeError, ValueError) as problem:
                    raise refuse(400, str(problem)) from None

        return Route(f"/_emulator{path}", endpoint, methods=list(methods) or ["GET"])

    def of(request: Request) -> Space:
        return world.space(f"{request.path_params['owner']}/{request.path_params['name']}")

    def state(request: Request) -> Any:
        now = world.clock.now()
        return {
            "now": now,
            "at": iso(now),
            "started": world.started,
            "speed": world.clock.speed,
            "bill": bill(world.all_spaces()).to_dict(),
            "spaces": {space.repo_id: runtime_payload(space.catch_up()) for space in world.spaces.values()},
        }

    def whole_bill(request: Request) -> Any:
        return bill(world.all_spaces()).to_dict()

    def space_bill(request: Request) -> Any:
        return bill([of(request)]).to_dict()

    def history(request: Request) -> Any:
        return [moment.to_dict() for moment in of(request).history]

    def requests(request: Request) -> Any:
        return [{**each.to_dict(), "json": masked(each.json)} for each in world.requests]

    def advance(request: Request) -> Any:
        world.clock.advance(float(request.state.json["seconds"]))
        return {"now": world.clock.now()}

    def add(request: Request) -> Any:
        options = dict(request.state.json)
        space = world.add_space(options.pop("repo_id"), admin=options.pop("admin", None), **options)
        return runtime_payload(space)

    def fail(request: Request) -> Any:
        space, body = of(request), request.state.json
        if "build" in body:
            space.luck.build = (body["build"], list(body.get("log", ())))
        if "start" in body:
            space.luck.start = (body["start"], list(body.get("log", ())))
        if "no_capacity" in body:
            space.luck.no_capacity = set(body["no_capacity"])
        if "crash" in body:
            space.crash(body["crash"])
        return runtime_payload(space)

    def settings(request: Request) -> Any:
        world.settings.change(request.state.json)
        return {name: value for name, value in vars(world.settings).items() if name != "timings"}

    return [
        route("", state),
        route("/bill", whole_bill),
        route("/requests", requests),
        route("/advance", advance, "POST"),
        route("/settings", settings, "POST"),
        route("/spaces", add, "POST"),
        route("/spaces/{owner}/{name}/history", history),
        route("/spaces/{owner}/{name}/bill", space_bill),
        route("/spaces/{owner}/{name}/fail", fail, "POST"),
    ]
