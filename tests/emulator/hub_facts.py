"""Facts about the answers of the Hugging Face Hub, as of November 2026.

The exchanges were observed on the production Hub in March 2025; the schemas say what its OpenAPI document
promises. Times, ids and texts are placeholders of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "EXCHANGES",
    "PRICES_MICRO_USD_PER_MINUTE",
    "RUNTIME",
    "SCHEMAS",
    "SPACE",
    "STATIC_SPACE",
    "TIME",
    "Exchange",
]

SPACE = "user/demo"
STATIC_SPACE = "victor/static-space"
TIME = "2025-03-07T12:00:00.000Z"
"""Stands for any time."""

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Exchange:
    """A request to the Hub and its answer."""

    method: str
    path: str
    body: dict[str, Any] | None
    answer: Any
    status: int = 200
    content_type: str = JSON


def _runtime(stage: str) -> dict[str, Any]:
    return {
        "stage": stage,
        "hardware": {"current": None, "requested": "cpu-basic"},
        "gcTimeout": 172800,
        "replicas": {"requested": 1},
        "devMode": False,
        "domains": [{"domain": "user-demo.hf.space", "stage": "READY"}],
    }


def _variable(key: str, value: str, description: str | None = None) -> dict[str, dict[str, str]]:
    entry = {"key": key, "value": value, "updatedAt": TIME}
    return {key: entry if description is None else {**entry, "description": description}}


_API = f"/api/spaces/{SPACE}"
_CREATE = {"name": "demo", "organization": "user", "private": True, "type": "space", "sdk": "gradio"}
_ALREADY_CREATED = Exchange(
    "POST",
    "/api/repos/create",
    _CREATE,
    {"error": "You already created this space repo", "url": f"/spaces/{SPACE}"},
    409,
)
_DELETE = Exchange(
    "DELETE",
    "/api/repos/delete",
    {"name": "demo", "organization": "user", "type": "space"},
    "OK",
    content_type=TEXT,
)
_ONE = _variable("LIMIT", "1")
_TWO = {**_ONE, **_variable("MODEL", "user/model", "from the Hub")}
_CHANGED = {**_TWO, **_variable("LIMIT", "2", "per minute")}

EXCHANGES: dict[str, list[Exchange]] = {
    "secrets are never shown, and deleting a missing one succeeds": [
        _ALREADY_CREATED,
        Exchange("POST", f"{_API}/secrets", {"key": "S", "value": "1"}, {}),
        Exchange("POST", f"{_API}/secrets", {"key": "S", "value": "2", "description": "changed"}, {}),
        Exchange("DELETE", f"{_API}/secrets", {"key": "S"}, {}),
        Exchange("DELETE", f"{_API}/secrets", {"key": "MISSING"}, {}),
        _DELETE,
    ],
    "every answer about variables lists all of them": [
        Exchange("GET", f"{_API}/variables", None, {}),
        Exchange("POST", f"{_API}/variables", {"key": "LIMIT", "value": "1"}, _ONE),
        Exchange(
            "POST",
            f"{_API}/variables",
            {"key": "MODEL", "value": "user/model", "description": "from the Hub"},
            _TWO,
        ),
        Exchange(
            "POST",
            f"{_API}/variables",
            {"key": "LIMIT", "value": "2", "description": "per minute"},
            _CHANGED,
        ),
        Exchange("DELETE", f"{_API}/variables", {"key": "MISSING"}, _CHANGED),
        Exchange("GET", f"{_API}/variables", None, _CHANGED),
        _DELETE,
    ],
    "a building Space is paused and restarted": [
        Exchange("GET", f"{_API}/runtime", None, _runtime("BUILDING")),
        Exchange("POST", f"{_API}/pause", None, _runtime("PAUSED")),
        Exchange("POST", f"{_API}/restart", None, _runtime("BUILDING")),
        Exchange("GET", f"{_API}/runtime", None, _runtime("BUILDING")),
        _DELETE,
    ],
    "a static Space has no hardware": [
        Exchange(
            "GET",
            f"/api/spaces/{STATIC_SPACE}/runtime",
            None,
            {
                "stage": "RUNNING",
                "hardware": {"current": None, "requested": None},
                "replicas": {"requested": 1, "current": 1},
            },
        ),
        Exchange(
            "POST",
            f"/api/spaces/{STATIC_SPACE}/restart",
            None,
            {"error": "Can't restart a static Space"},
            400,
        ),
    ],
}
"""Requests in their order, by what they show."""


Schema = dict[str, Any]


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _map(entry: Schema) -> Schema:
    return {"type": "object", "additionalProperties": entry}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _one_of(*values: Any) -> Schema:
    return {"enum": list(values)}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_FLAG: Schema = {"type": "boolean"}
_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
_DATE: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
_FLAVORS = (
    *("cpu-basic", "cpu-upgrade", "cpu-performance", "cpu-xl", "sprx8", "zero-a10g", "t4-small", "t4-medium"),
    *("l4x1", "l4x4", "l40sx1", "l40sx4", "l40sx8", "a10g-small", "a10g-large", "a10g-largex2"),
    *("a10g-largex4", "a100-large", "a100x4", "a100x8", "h200", "h200x2", "h200x4", "h200x8"),
    *("rtx-pro-6000", "rtx-pro-6000x2", "rtx-pro-6000x4", "rtx-pro-6000x8", "inf2x6"),
)
_STAGES = (
    *("NO_APP_FILE", "CONFIG_ERROR", "BUILDING", "BUILD_ERROR", "APP_STARTING", "RUNNING"),
    *("RUNNING_BUILDING", "RUNNING_APP_STARTING", "RUNTIME_ERROR", "DELETING", "STOPPED", "PAUSED"),
    "SLEEPING",
)
_ROLES = _one_of("admin", "write", "contributor", "read", "no_access")

RUNTIME = _object(
    {
        "stage": _one_of(*_STAGES),
        "hardware": _object({"current": _one_of(*_FLAVORS, None), "requested": _one_of(*_FLAVORS, None)}),
        "replicas": _object(
            {"requested": {"anyOf": [_NUMBER, {"const": "auto"}]}}, {"current": _or_null(_NUMBER)}
        ),
    },
    {
        "errorMessage": _TEXT,
        "gcTimeout": _or_null(_NUMBER),
        "devMode": _FLAG,
        "domains": _list(
            _object(
                {
                    "domain": _TEXT,
                    "stage": _one_of(
                        "READY", "PENDING", "PENDING_CHALLENGE", "EXPIRED_CHALLENGE", "MISCONFIGURED"
                    ),
                },
                {"isCustom": _or_null(_FLAG)},
            )
        ),
        "sha": _TEXT,
        "hotReloading": {"type": "object"},
    },
)
"""The runtime of a Space."""

_ACCELERATOR = _object(
    {
        "type": _one_of("gpu", "neuron"),
        "model": _TEXT,
        "quantity": _TEXT,
        "vram": _TEXT,
        "manufacturer": _one_of("Nvidia", "AWS"),
    }
)
_ACCOUNT = {"id": _TEXT, "name": _TEXT, "fullname": _TEXT, "avatarUrl": _TEXT}
_PAYER = {
    "email": _or_null(_TEXT),
    "canPay": _FLAG,
    "billingMode": _one_of("prepaid", "postpaid"),
    "periodEnd": _or_null(_NUMBER),
}
_FINE_GRAINED = _object(
    {
        "scoped": _list(
            _object(
                {
                    "entity": _object(
                        {"_id": _ID, "type": _one_of("dataset", "model", "space", "org", "user")},
                        {"name": _TEXT},
                    ),
                    "permissions": _list(_TEXT),
                }
            )
        )
    },
    {"global": _list(_TEXT), "canReadGatedRepos": _FLAG},
)
_WHOAMI = _object(
    {
        "type": {"const": "user"},
        **_ACCOUNT,
        "isPro": _FLAG,
        "orgs": _list(
            _object(
                {"type": {"const": "org"}, **_ACCOUNT},
                {
                    **_PAYER,
                    "plan": _one_of("team", "enterprise", "plus", "academia"),
                    "roleInOrg": _ROLES,
                    "securityRestrictions": _list(_TEXT),
                    "resourceGroups": _list(_object({"id": _ID, "name": _TEXT, "role": _ROLES})),
                },
            )
        ),
        "auth": _object(
            {"type": _TEXT},
            {
                "accessToken": _object(
                    {
                        "displayName": _TEXT,
                        "role": _one_of("read", "write", "god", "fineGrained"),
                        "createdAt": _DATE,
                    },
                    {"fineGrained": _FINE_GRAINED},
                ),
                "expiresAt": _DATE,
                "resource": _object({"sub": _TEXT}),
            },
        ),
    },
    {**_PAYER, "emailVerified": _FLAG},
)
_BILLING = _object(
    {
        "usage": _map(
            _list(
                _object(
                    {
                        "entityId": _ID,
                        "label": _or_null(_TEXT),
                        "product": _one_of(*(f"spaces/{flavor}/minutes" for flavor in _FLAVORS)),
                        "quantity": _NUMBER,
                        "productPrettyName": _TEXT,
                        "unitLabel": _or_null(_TEXT),
                        "totalCostMicroUSD": _NUMBER,
                        "unitCostMicroUSD": _NUMBER,
                        "active": _FLAG,
                    },
                    {"startedAt": _DATE, "stoppedAt": _or_null(_DATE), "freeGrant": _FLAG},
                )
            )
        ),
        "period": _object(
            {
                "_id": _ID,
                "entityId": _ID,
                "entityType": _one_of("user", "org"),
                "entityName": _TEXT,
                "periodStart": _DATE,
                "periodEnd": _DATE,
            },
            {
                "invoice": _object({"type": {"const": "no-invoice"}, "id": {"const": "no-invoice"}}),
                "charges": _list({"type": "object"}),
            },
        ),
    }
)

SCHEMAS: dict[str, Schema] = {
    "hardware": _list(
        _object(
            {
                "name": _TEXT,
                "prettyName": _TEXT,
                "cpu": _TEXT,
                "ram": _TEXT,
                "accelerator": _or_null(_ACCELERATOR),
                "unitCostMicroUSD": _NUMBER,
                "unitCostUSD": _NUMBER,
                "unitLabel": _TEXT,
            }
        )
    ),
    "templates": _object(
        {
            "templates": _list(
                _object(
                    {
                        "name": _TEXT,
                        "repoId": _TEXT,
                        "sdk": _one_of("docker", "static", "gradio"),
                        "preferredPrivate": _FLAG,
                    }
                )
            )
        }
    ),
    "zero_gpu_quota": _object(
        {"base": _NUMBER, "current": _NUMBER, "resetsAt": _or_null(_DATE)},
        {
            "overquotaUsed": _NUMBER,
            "runs": _object(
                {"used": _NUMBER, "limit": _NUMBER, "remaining": _NUMBER, "resetsAt": _or_null(_DATE)}
            ),
        },
    ),
    "whoami": _WHOAMI,
    "secrets": _map(_object({"key": _TEXT}, {"description": _TEXT, "updatedAt": _DATE})),
    "variables": _map(_object({"key": _TEXT, "value": _TEXT}, {"description": _TEXT, "updatedAt": _DATE})),
    "jwt": _object(
        {"accessToken": _TEXT, "token": _TEXT},
        {"exp": {"type": "integer"}, "encryptedToken": {"type": "object"}},
    ),
    "settings": _object(
        {},
        {
            "private": _FLAG,
            "visibility": _one_of("private", "public", "protected"),
            "discussionsDisabled": _FLAG,
            "gated": _one_of(False, "auto", "manual"),
        },
    ),
    "duplicate": _object({"url": _TEXT}),
    "create": _object({"url": _TEXT, "name": _TEXT, "id": _ID}),
    "billing": _BILLING,
}
"""What the Hub's OpenAPI document promises of other answers."""

PRICES_MICRO_USD_PER_MINUTE = {
    "cpu-basic": 0,
    "cpu-upgrade": 500,
    "zero-a10g": 0,
    "t4-small": 6_667,
    "t4-medium": 10_000,
    "l4x1": 13_333,
    "l4x4": 63_333,
    "l40sx1": 30_000,
    "l40sx4": 138_333,
    "l40sx8": 391_667,
    "a10g-small": 16_667,
    "a10g-large": 25_000,
    "a10g-largex2": 50_000,
    "a10g-largex4": 83_333,
    "a100-large": 41_667,
    "a100x4": 166_667,
    "a100x8": 333_333,
    "rtx-pro-6000": 45_833,
    "rtx-pro-6000x2": 91_667,
    "rtx-pro-6000x4": 183_333,
    "rtx-pro-6000x8": 366_667,
}
"""List prices of the hardware that the Hub offers publicly."""
