"""The sleep time of a Space."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import check_seconds, refuse_static
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response
from airflow_provider_hfspaces.emulator.http.routing import SPACE, Route
from airflow_provider_hfspaces.emulator.routes.runtime import visible_runtime

__all__ = ["ROUTES"]


def _set_sleep_time(request: HubRequest) -> Response:
    space = request.own_space("change the sleep time of this Space")
    refuse_static(space, "change the sleep time of")
    seconds = check_seconds(request.body().get("seconds"), "seconds")
    status = request.world.settings.sleep_time_on_free
    if space.on_free_hardware and status != 200:
        raise Refusal(status, "The sleep time can't be configured on free hardware")
    space.set_sleep_time(seconds)
    return json_response(visible_runtime(request, space))


ROUTES = [Route("POST", f"{SPACE}/sleeptime", _set_sleep_time)]
