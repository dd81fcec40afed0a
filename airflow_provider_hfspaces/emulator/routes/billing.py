"""Billing: the usage of a user or an organization in the current month."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, forbidden, json_response
from airflow_provider_hfspaces.emulator.http.routing import Route
from airflow_provider_hfspaces.emulator.model.bill import BillItem
from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.prices import pretty_name, price_per_minute
from airflow_provider_hfspaces.emulator.model.world import World

__all__ = ["ROUTES"]


def _own_billing(request: HubRequest) -> Response:
    token = request.require_token()
    user = request.world.accounts.users[token.user]
    if not request.world.accounts.may_read_billing(token, user.name):
        raise forbidden("see your billing with this token")
    return json_response(_usage(request.world, user.name, user.object_id, "user"))


def _organization_billing(request: HubRequest) -> Response:
    token = request.require_token()
    organization = request.world.accounts.organizations.get(request.parts["organization"])
    if organization is None:
        raise Refusal(404, "Organization not found")
    if not request.world.accounts.may_read_billing(token, organization.name):
        raise forbidden("see the billing of this organization")
    return json_response(_usage(request.world, organization.name, organization.object_id, "org"))


def _usage(world: World, owner: str, object_id: str, kind: str) -> dict[str, Any]:
    """The bill of the current month. A session belongs to the month in which it ends."""
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
        "unitCostMicroUSD": price_per_minute(item.hardware, world.settings.prices),
        "active": item.stopped is None,
    }


def _month(now: float) -> tuple[float, float]:
    day = datetime.fromtimestamp(now, timezone.utc)
    start = day.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start.timestamp(), following.timestamp()


ROUTES = [
    Route("GET", "/api/settings/billing/usage", _own_billing),
    Route("GET", "/api/organizations/{organization}/billing/usage", _organization_billing),
]
