"""Hardware: the list with prices, requests for hardware, and the ZeroGPU quota."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import (
    check_cpu_basic,
    check_flavor,
    check_payment,
    check_seconds,
    check_zero_gpu,
    refuse_static,
)
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import json_response
from airflow_provider_hfspaces.emulator.http.routing import SPACE, Route
from airflow_provider_hfspaces.emulator.model.prices import price_list
from airflow_provider_hfspaces.emulator.routes.runtime import visible_runtime

__all__ = ["ROUTES"]

_FREE_MINUTES, _PAYING_MINUTES, _ENTERPRISE_MINUTES = 5, 40, 60


def _list_hardware(request: HubRequest) -> Response:
    return json_response(price_list(request.world.settings.prices))


def _request_hardware(request: HubRequest) -> Response:
    space = request.own_space("change the hardware of this Space")
    refuse_static(space, "change the hardware of")
    body = request.body()
    flavor, seconds = check_flavor(body.get("flavor"), "flavor"), body.get("sleepTimeSeconds")
    if seconds is not None:
        check_seconds(seconds, "sleepTimeSeconds")
    check_payment(request.world, space.owner, flavor)
    check_cpu_basic(request.world, flavor)
    check_zero_gpu(request.world, space.owner, space.sdk, flavor, space)
    before = space.actual_view()
    space.request_hardware(flavor, seconds)
    after = space.actual_view()
    if request.world.settings.hardware_answer == "before":
        after = before._replace(requested=flavor)
    return json_response(visible_runtime(request, space, after))


def _zero_gpu_quota(request: HubRequest) -> Response:
    """The seconds of ZeroGPU per day, by plan. The emulator never uses up any of them."""
    accounts = request.world.accounts
    user = accounts.users[request.require_token().user]
    plans = {accounts.organizations[name].plan for name in accounts.roles(user.name)}
    if plans & {"enterprise", "plus"}:
        minutes = _ENTERPRISE_MINUTES
    elif user.is_pro or any(plans):
        minutes = _PAYING_MINUTES
    else:
        minutes = _FREE_MINUTES
    runs = {"used": 0, "limit": 50, "remaining": 50, "resetsAt": None}
    base = 60 * minutes
    return json_response({"base": base, "current": base, "resetsAt": None, "overquotaUsed": 0, "runs": runs})


ROUTES = [
    Route("GET", "/api/spaces/hardware", _list_hardware),
    Route("GET", "/api/spaces/zero-gpu/quota", _zero_gpu_quota),
    Route("POST", f"{SPACE}/hardware", _request_hardware),
]
