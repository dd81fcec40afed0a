"""Secrets and variables. To change one starts the app anew."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.model.space import Entry, Space
from airflow_provider_hfspaces.emulator.routes.checks import check_key, entry
from airflow_provider_hfspaces.emulator.routes.payloads import secrets_payload, variables_payload
from airflow_provider_hfspaces.emulator.routes.request import Call
from airflow_provider_hfspaces.emulator.routes.responses import answer
from airflow_provider_hfspaces.emulator.routes.routing import Route

__all__ = ["ROUTES"]

_SPACE = "/api/spaces/{owner}/{name}"


def _secrets(call: Call) -> Response:
    space = call.own_space("manage the secrets of this Space")
    if call.method == "GET":
        return answer(secrets_payload(space))
    _change(call, space, space.secrets)
    return answer({})


def _variables(call: Call) -> Response:
    if call.method == "GET":
        return answer(variables_payload(call.space()))
    space = call.own_space("manage the variables of this Space")
    _change(call, space, space.variables)
    return answer(variables_payload(space))


def _change(call: Call, space: Space, entries: dict[str, Entry]) -> None:
    body = call.body()
    key = check_key(body.get("key"))
    if call.method == "DELETE":
        if entries.pop(key, None) is None:
            return
    else:
        entries[key] = entry(body, space.now())
    space.do("change")


ROUTES = [
    Route("GET POST DELETE", f"{_SPACE}/secrets", _secrets),
    Route("GET POST DELETE", f"{_SPACE}/variables", _variables),
]
