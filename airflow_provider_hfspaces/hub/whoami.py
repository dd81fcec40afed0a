"""The Hub's answers about the owner of a token: identity, permissions and ZeroGPU quota."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Organization", "TokenScope", "WhoAmI", "ZeroGpuQuota"]


@dataclass(frozen=True)
class Organization:
    """An organization that the owner of a token belongs to.

    :ivar name: name of the organization on the Hub.
    :ivar role: the owner's role in it, such as ``admin`` or ``write``; ``None`` if the Hub does not say.
    :ivar plan: the plan of the organization; ``None`` if the Hub does not say.
    """

    name: str
    role: str | None = None
    plan: str | None = None


@dataclass(frozen=True)
class TokenScope:
    """The permissions of a fine-grained token on one user, organization or repository.

    :ivar entity: name of the user, organization or repository.
    :ivar entity_type: kind of the entity, such as ``user``, ``org`` or ``space``.
    :ivar permissions: the Hub's names of the permissions, such as ``repo.write``.
    """

    entity: str
    entity_type: str
    permissions: tuple[str, ...]


@dataclass(frozen=True)
class WhoAmI:
    """The owner of a token, and the permissions of the token: ``GET /api/whoami-v2``.

    :ivar name: name of the user or organization.
    :ivar type: ``user`` or ``org``.
    :ivar organizations: the organizations that the owner belongs to.
    :ivar token_name: name of the token in the owner's settings; ``None`` if the Hub does not say.
    :ivar token_role: role of the token, such as ``write`` or ``fineGrained``; ``None`` if the Hub does not
        say.
    :ivar auth_type: how the request was authenticated, such as ``access_token``.
    :ivar scopes: permissions of a fine-grained token; empty for other tokens.
    :ivar can_pay: whether the owner has a valid payment method; ``None`` if the Hub does not say.
    :ivar is_pro: whether the owner has a PRO subscription; ``None`` if the Hub does not say.
    :ivar raw: the Hub's answer, unchanged.
    """

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
        """Return the owner that the Hub's answer describes.

        :raises KeyError: without a name.
        """
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
    """The owner's quota of ZeroGPU time for today: ``GET /api/spaces/zero-gpu/quota``.

    :ivar base_seconds: the daily quota.
    :ivar remaining_seconds: unused part of the daily quota.
    :ivar resets_at: when the quota is full again, as ISO 8601; ``None`` if none of the quota is used.
    :ivar overquota_seconds: paid time beyond the quota.
    :ivar raw: the Hub's answer, unchanged.
    """

    base_seconds: float
    remaining_seconds: float
    resets_at: str | None = None
    overquota_seconds: float = 0
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> ZeroGpuQuota:
        """Return the quota that the Hub's answer describes.

        :raises KeyError: without the daily quota or its remaining part.
        """
        resets_at = payload.get("resetsAt")
        return cls(
            base_seconds=float(payload["base"]),
            remaining_seconds=float(payload["current"]),
            resets_at=resets_at if isinstance(resets_at, str) else None,
            overquota_seconds=float(payload.get("overquotaUsed") or 0),
            raw=dict(payload),
        )
