"""Hardware, sleep time, pause, restart and what else makes a Space start anew."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.routes.checks import (
    check_cpu_basic,
    check_flavor,
    check_payment,
    check_seconds,
    check_zero_gpu,
    checked_volumes,
    refuse_static,
)
from airflow_provider_hfspaces.emulator.routes.request import Call
from airflow_provider_hfspaces.emulator.routes.responses import Refusal, answer, unknown_route
from airflow_provider_hfspaces.emulator.routes.routing import Route
from airflow_provider_hfspaces.emulator.routes.runtime import shown
from airflow_provider_hfspaces.hub.models import SpaceStorage
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["ROUTES"]

_SPACE = "/api/spaces/{owner}/{name}"


def _hardware(call: Call) -> Response:
    space = call.own_space("change the hardware of this Space")
    refuse_static(space, "change the hardware of")
    body = call.body()
    flavor, seconds = check_flavor(body.get("flavor"), "flavor"), body.get("sleepTimeSeconds")
    if seconds is not None:
        check_seconds(seconds, "sleepTimeSeconds")
    check_payment(call.world, space.owner, flavor)
    check_cpu_basic(call.world, flavor)
    check_zero_gpu(call.world, space.owner, space.sdk, flavor, space)
    before = space.actual_view()
    space.request_hardware(flavor, seconds)
    after = space.actual_view()
    if call.world.settings.hardware_answer == "before":
        after = before._replace(requested=flavor)
    return answer(shown(call, space, after))


def _sleep_time(call: Call) -> Response:
    space = call.own_space("change the sleep time of this Space")
    refuse_static(space, "change the sleep time of")
    seconds = check_seconds(call.body().get("seconds"), "seconds")
    status = call.world.settings.sleep_time_on_free
    if space.on_free_hardware and status != 200:
        raise Refusal(status, "The sleep time can't be configured on free hardware")
    space.set_sleep_time(seconds)
    return answer(shown(call, space))


def _pause(call: Call) -> Response:
    space = call.own_space("pause this Space")
    refuse_static(space, "pause")
    status = call.world.settings.pause_twice
    if space.stage == SpaceStage.PAUSED and status != 200:
        raise Refusal(status, "This Space is already paused")
    space.do("pause")
    return answer(shown(call, space))


def _restart(call: Call) -> Response:
    space = call.own_space("restart this Space")
    refuse_static(space, "restart")
    factory = call.query.get("factory") == "true"
    cold = space.is_serving and (factory or not call.world.settings.restart_serves)
    space.do("cold restart" if cold else "restart", lag=True)
    return answer(shown(call, space, space.actual_view()))


def _storage(call: Call) -> Response:
    space = call.own_space("change the storage of this Space")
    how = call.world.settings.storage
    if how == "retired":
        raise unknown_route()
    if how != "works":
        message = "Persistent storage is no longer available: attach a Storage Bucket as a volume instead"
        raise Refusal(410 if how == "gone" else 400, message)
    refuse_static(space, "attach storage to")
    tiers = [tier.value for tier in SpaceStorage]
    tier = call.body().get("tier") if call.method == "POST" else None
    if call.method == "POST" and tier not in tiers:
        raise Refusal(400, f'"tier" must be one of [{", ".join(tiers)}]')
    space.storage = tier
    space.do("change")
    return answer(shown(call, space))


def _volumes(call: Call) -> Response:
    space = call.own_space("change the volumes of this Space")
    refuse_static(space, "attach volumes to")
    if call.method == "DELETE":
        if not space.volumes:
            raise Refusal(400, "No volumes attached to this Space")
        space.volumes = []
    else:
        space.volumes = checked_volumes(call.body().get("volumes"))
    space.do("change")
    bodies: dict[str, Any] = {
        "volumes": {"volumes": space.volumes},
        "empty": {},
        "runtime": shown(call, space),
    }
    return answer(bodies[call.world.settings.volumes_body])


def _dev_mode(call: Call) -> Response:
    space = call.own_space("change the dev mode of this Space")
    refuse_static(space, "use dev mode on")
    enabled = call.body().get("enabled")
    if not isinstance(enabled, bool):
        raise Refusal(400, '"enabled" must be a boolean')
    if enabled and not (call.world.subscribed(space.owner) or call.world.subscribed(call.known().user)):
        raise Refusal(402, "Dev mode requires a PRO, Team or Enterprise subscription")
    if enabled != space.dev_mode:
        space.dev_mode = enabled
        space.do("change")
    return answer(shown(call, space))


def _replicas(call: Call) -> Response:
    space = call.own_space("scale this Space")
    replicas = call.body().get("replicas")
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 1:
        raise Refusal(400, '"replicas" must be a positive integer')
    if space.on_free_hardware:
        raise Refusal(400, "Replicas are only available on upgraded hardware")
    space.set_replicas(replicas)
    return answer({} if call.world.settings.replicas_body == "empty" else shown(call, space))


ROUTES = [
    Route("POST", f"{_SPACE}/hardware", _hardware),
    Route("POST", f"{_SPACE}/sleeptime", _sleep_time),
    Route("POST", f"{_SPACE}/pause", _pause),
    Route("POST", f"{_SPACE}/restart", _restart),
    Route("POST DELETE", f"{_SPACE}/storage", _storage),
    Route("PUT DELETE", f"{_SPACE}/volumes", _volumes),
    Route("POST", f"{_SPACE}/dev-mode", _dev_mode),
    Route("POST", f"{_SPACE}/replicas", _replicas),
]
