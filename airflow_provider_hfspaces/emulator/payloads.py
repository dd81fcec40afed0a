"""What the Hub says about Spaces, key for key."""

from __future__ import annotations

from typing import Any

from airflow_provider_hfspaces.emulator.clock import iso
from airflow_provider_hfspaces.emulator.meter import bill
from airflow_provider_hfspaces.emulator.prices import FLAVORS, price_per_minute
from airflow_provider_hfspaces.emulator.space import Space
from airflow_provider_hfspaces.emulator.world import Token, World

__all__ = [
    "EXPANDABLE",
    "billing_payload",
    "expanded_payload",
    "info_payload",
    "runtime_payload",
    "secrets_payload",
    "variables_payload",
    "whoami_payload",
]

_PERIOD = 30 * 24 * 3600.0


def runtime_payload(space: Space, *, masked: bool = False) -> dict[str, Any]:
    """The answer of ``/runtime``.

    :param masked: hide the sources of volumes from a token that may not see them.
    """
    replicas = space.replicas
    if space.is_static:
        return {
            "stage": "RUNNING",
            "hardware": {"current": None, "requested": None},
            "replicas": {"requested": 1, "current": 1},
        }
    stage, hardware = space.shown()
    serving = hardware is not None
    payload: dict[str, Any] = {
        "stage": stage,
        "hardware": {"current": hardware, "requested": space.requested},
        "gcTimeout": space.sleep_time,
        "replicas": {"current": space.replica_count, "requested": replicas}
        if serving
        else {"requested": replicas},
        "devMode": space.dev_mode,
        "domains": [{"domain": f"{space.subdomain}.hf.space", "stage": "READY"}],
    }
    if space.running_sha is not None and serving:
        payload["sha"] = space.running_sha
    if space.error_message is not None:
        payload["errorMessage"] = space.error_message
    if space.storage is not None:
        payload["storage"] = space.storage
    if space.volumes:
        payload["volumes"] = [
            {**volume, "source": "****/******"} if masked else volume for volume in space.volumes
        ]
    return payload


def variables_payload(space: Space) -> dict[str, Any]:
    """The answer of ``/variables``: always all of them."""
    return {key: dict(value) for key, value in space.variables.items()}


def secrets_payload(space: Space) -> dict[str, Any]:
    """The answer of ``/secrets``: never a value."""
    return {
        key: {name: part for name, part in value.items() if name != "value"}
        for key, value in space.secrets.items()
    }


_INFO: dict[str, Any] = {
    "author": lambda space, world: space.owner,
    "cardData": lambda space, world: {"title": space.name, "sdk": space.sdk},
    "createdAt": lambda space, world: iso(space.created),
    "datasets": lambda space, world: [],
    "disabled": lambda space, world: space.disabled,
    "lastModified": lambda space, world: iso(space.modified),
    "likes": lambda space, world: space.likes,
    "models": lambda space, world: [],
    "private": lambda space, world: space.private,
    "region": lambda space, world: "us",
    "resourceGroup": lambda space, world: None,
    "runtime": lambda space, world: runtime_payload(space),
    "sdk": lambda space, world: space.sdk,
    "sha": lambda space, world: space.sha,
    "siblings": lambda space, world: [{"rfilename": path} for path in sorted(space.files)],
    "subdomain": lambda space, world: space.subdomain,
    "tags": lambda space, world: list(space.tags),
    "trendingScore": lambda space, world: 0,
    "usedStorage": lambda space, world: sum(len(content) for content in space.files.values()),
}

EXPANDABLE = tuple(_INFO)
"""What ``expand`` may name."""

_NOT_BY_DEFAULT = {"datasets", "resourceGroup", "trendingScore"}


def info_payload(space: Space, world: World) -> dict[str, Any]:
    """The answer of ``/api/spaces/{id}`` without ``expand``."""
    return {
        "_id": space.object_id,
        "id": space.repo_id,
        **{key: make(space, world) for key, make in _INFO.items() if key not in _NOT_BY_DEFAULT},
        "gated": space.gated,
        "host": f"{world.endpoint}/apps/{space.repo_id}",
    }


def expanded_payload(space: Space, world: World, names: list[str]) -> dict[str, Any]:
    """The same with ``expand``: these and nothing else."""
    return {
        "_id": space.object_id,
        "id": space.repo_id,
        **{name: _INFO[name](space, world) for name in names},
    }


def whoami_payload(token: Token, world: World) -> dict[str, Any]:
    """The answer of ``/api/whoami-v2``."""
    user = world.users[token.user]
    access: dict[str, Any] = {
        "displayName": token.name,
        "role": token.role,
        "createdAt": iso(world.started),
    }
    if token.role == "fineGrained":
        access["fineGrained"] = {
            "global": [],
            "canReadGatedRepos": True,
            "scoped": [
                {
                    "entity": {
                        "_id": f"{index:024x}",
                        "type": "space" if "/" in name else "org" if name in world.organizations else "user",
                        "name": name,
                    },
                    "permissions": list(permissions),
                }
                for index, (name, permissions) in enumerate(token.scopes.items(), start=1)
            ],
        }
    auth: dict[str, Any] = {"type": token.kind}
    if token.kind == "access_token":
        auth["accessToken"] = access
    return {
        "type": "user",
        "id": user.object_id,
        "name": user.name,
        "fullname": user.name.title(),
        "email": f"{user.name}@example.com",
        "emailVerified": True,
        "canPay": user.can_pay,
        "billingMode": "prepaid",
        "isPro": user.is_pro,
        "periodEnd": None,
        "avatarUrl": f"/avatars/{user.object_id}.svg",
        "orgs": [
            {
                "type": "org",
                "id": world.organizations[name].object_id,
                "name": name,
                "fullname": name.title(),
                "email": None,
                "canPay": world.organizations[name].can_pay,
                "billingMode": "postpaid",
                "avatarUrl": f"/avatars/{world.organizations[name].object_id}.svg",
                "periodEnd": None,
                "plan": world.organizations[name].plan,
                "roleInOrg": role,
            }
            for name, role in world.roles(user.name).items()
        ],
        "auth": auth,
    }


_PRETTY = {flavor["name"]: flavor["prettyName"] for flavor in FLAVORS}


def billing_payload(owner: str, world: World) -> dict[str, Any]:
    """The answer of the billing routes for one owner."""
    spaces = [space for space in world.all_spaces() if space.owner == owner]
    by_id = {space.repo_id: space.object_id for space in spaces}
    account: Any = world.organizations.get(owner) or world.users[owner]
    return {
        "usage": {
            "Spaces": [
                {
                    "entityId": by_id[item.repo_id],
                    "label": item.repo_id,
                    "product": f"spaces/{item.hardware}/minutes",
                    "quantity": item.minutes,
                    "startedAt": iso(item.started),
                    "stoppedAt": iso(item.stopped) if item.stopped is not None else None,
                    "freeGrant": False,
                    "productPrettyName": f"Spaces {_PRETTY.get(item.hardware, item.hardware)}",
                    "unitLabel": "minute",
                    "totalCostMicroUSD": round(item.usd * 1_000_000),
                    "unitCostMicroUSD": price_per_minute(item.hardware),
                    "active": item.stopped is None,
                }
                for item in bill(spaces).items
            ]
        },
        "period": {
            "_id": account.object_id,
            "entityId": account.object_id,
            "entityType": "org" if owner in world.organizations else "user",
            "entityName": owner,
            "periodStart": iso(world.started),
            "periodEnd": iso(world.started + _PERIOD),
            "invoice": {"type": "no-invoice", "id": "no-invoice"},
            "charges": [],
        },
    }
