"""What is about no single Space: prices, who a token is, what its owner has spent."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.model.bill import BillItem
from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.prices import FLAVORS, pretty_name, price_per_minute
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.emulator.routes.payloads import whoami_payload
from airflow_provider_hfspaces.emulator.routes.request import Call
from airflow_provider_hfspaces.emulator.routes.responses import Refusal, answer, rights
from airflow_provider_hfspaces.emulator.routes.routing import Route

__all__ = ["ROUTES"]


def _whoami(call: Call) -> Response:
    return answer(whoami_payload(call.world, call.known()))


def _hardware(call: Call) -> Response:
    return answer(FLAVORS)


def _zero_gpu_quota(call: Call) -> Response:
    """Seconds of GPU a day by plan. Nothing here uses any of them."""
    user = call.world.users[call.known().user]
    roles = call.world.roles(user.name)
    enterprise = any(call.world.organizations[name].plan in ("enterprise", "plus") for name in roles)
    paying = user.is_pro or any(call.world.organizations[name].plan for name in roles)
    base = 60 * (60 if enterprise else 40 if paying else 5)
    runs = {"used": 0, "limit": 50, "remaining": 50, "resetsAt": None}
    return answer({"base": base, "current": base, "resetsAt": None, "overquotaUsed": 0, "runs": runs})


def _jwt(call: Call) -> Response:
    """A token for a Space alone. It opens nothing here."""
    space, now = call.space(), call.world.clock.now()
    call.known()
    write = "write" in call.query
    expires = int(call.query.get("expires_in") or (600 if write else 86_400))
    token = f"eyJ-emulated.{space.object_id}.{int(now)}"
    return answer({"accessToken": token, "token": token, "exp": int(now) + expires})


def _own_billing(call: Call) -> Response:
    token = call.known()
    user = call.world.users[token.user]
    if not call.world.may_read_billing(token, user.name):
        raise rights("see your billing with this token")
    return answer(_usage(call.world, user.name, user.object_id, "user"))


def _organization_billing(call: Call) -> Response:
    token = call.known()
    organization = call.world.organizations.get(call.parts["organization"])
    if organization is None:
        raise Refusal(404, "Organization not found")
    if not call.world.may_read_billing(token, organization.name):
        raise rights("see the billing of this organization")
    return answer(_usage(call.world, organization.name, organization.object_id, "org"))


def _usage(world: World, owner: str, object_id: str, kind: str) -> dict[str, Any]:
    """The bill of the present month: a time that began before it counts where it ended."""
    start, end = _month(world.clock.now())
    items = [item for item in world.bill(owner=owner).items if item.stopped is None or item.stopped >= start]
    return {
        "usage": {"Spaces": [_item(world, item) for item in items]},
        "period": {
            "_id": f"{object_id[:16]}{int(start):08x}",
            "entityId": object_id,
            "entityType": kind,
            "entityName": owner,
            "periodStart": iso(start),
            "periodEnd": iso(end),
            "invoice": {"type": "no-invoice", "id": "no-invoice"},
            "charges": [],
        },
    }


def _item(world: World, item: BillItem) -> dict[str, Any]:
    return {
        "entityId": item.object_id,
        "label": item.repo_id,
        "product": f"spaces/{item.hardware}/minutes",
        "quantity": item.minutes,
        "startedAt": iso(item.started),
        "stoppedAt": iso(item.stopped) if item.stopped is not None else None,
        "freeGrant": False,
        "productPrettyName": f"Spaces {pretty_name(item.hardware)}",
        "unitLabel": "minute",
        "totalCostMicroUSD": round(item.usd * 1_000_000),
        "unitCostMicroUSD": price_per_minute(item.hardware),
        "active": item.stopped is None,
    }


def _month(now: float) -> tuple[float, float]:
    day = datetime.fromtimestamp(now, timezone.utc)
    start = day.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start.timestamp(), following.timestamp()


def _auth_check(call: Call) -> Response:
    call.readable_repository()
    return answer({})


def _write_check(call: Call) -> Response:
    call.own_space("change this Space")
    return answer({})


ROUTES = [
    Route("GET", "/api/spaces/zero-gpu/quota", _zero_gpu_quota),
    Route("GET", "/api/spaces/{owner}/{name}/jwt", _jwt),
    Route("GET", "/api/whoami-v2", _whoami),
    Route("GET", "/api/spaces/hardware", _hardware),
    Route("GET", "/api/settings/billing/usage", _own_billing),
    Route("GET", "/api/organizations/{organization}/billing/usage", _organization_billing),
    Route("GET", "/api/spaces/{owner}/{name}/auth-check", _auth_check),
    Route("GET", "/api/spaces/{owner}/{name}/auth-check/write", _write_check),
]
