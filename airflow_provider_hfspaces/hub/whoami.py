"""The owner of a token: its permissions and its quota of ZeroGPU time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Organization", "TokenScope", "WhoAmI", "ZeroGpuQuota"]


@dataclass(frozen=True)
class Organization:
    """An organization that a token's owner belongs to."""

    name: str
    role: str | None = None
    plan: str | None = None


@dataclass(frozen=True)
class TokenScope:
    """The permissions of a fine-grained token on one user, organization or repository."""

    entity: str
    entity_type: str
    permissions: tuple[str, ...]


@dataclass(frozen=True)
class WhoAmI:
    """The owner of a token and its permissions: ``GET /api/whoami-v2``."""

    name: str
    type: str = "user"
    organizations: tuple[Organization, ...] = ()
    token_name: str | None = None
    token_role: str | None = None
    auth_type: str | None = None
    scopes: tuple[TokenScope, ...] = ()
    can_pay: bool | None = None
    is_pro: bool | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> WhoAmI:
        auth = payload.get("auth") or {}
        token = auth.get("accessToken") or {}
        scoped = (token.get("fineGrained") or {}).get("scoped") or ()
        return cls(
            name=str(payload["name"]),
            type=str(payload.get("type") or "user"),
            organizations=tuple(
                Organization(each["name"], each.get("roleInOrg"), each.get("plan"))
                for each in payload.get("orgs") or ()
                if each.get("name")
            ),
            token_name=token.get("displayName"),
            token_role=token.get("role"),
            auth_type=auth.get("type"),
            scopes=tuple(
                TokenScope(
                    entity=str((each.get("entity") or {}).get("name", "")),
                    entity_type=str((each.get("entity") or {}).get("type", "")),
                    permissions=tuple(each.get("permissions") or ()),
                )
                for each in scoped
            ),
            can_pay=payload.get("canPay"),
            is_pro=payload.get("isPro"),
            raw=dict(payload),
        )


@dataclass(frozen=True)
class ZeroGpuQuota:
    """The time on ZeroGPU hardware that a token's owner has today.

    :ivar base_seconds: the daily quota.
    :ivar remaining_seconds: what is left of it.
    :ivar resets_at: when the quota is full again, as ISO 8601; ``None`` if nothing of it is used.
    :ivar overquota_seconds: what was used, and paid for, beyond the quota.
    :ivar raw: the answer as the Hub sent it.
    """

    base_seconds: float
    remaining_seconds: float
    resets_at: str | None = None
    overquota_seconds: float = 0
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> ZeroGpuQuota:
        """Return the quota as the Hub describes it."""
        resets_at = payload.get("resetsAt")
        return cls(
            base_seconds=float(payload["base"]),
            remaining_seconds=float(payload["current"]),
            resets_at=resets_at if isinstance(resets_at, str) else None,
            overquota_seconds=float(payload.get("overquotaUsed") or 0),
            raw=dict(payload),
        )
