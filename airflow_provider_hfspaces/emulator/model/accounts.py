"""Who there is on an emulated Hub: users, organizations, tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["KINDS", "PLANS", "ROLES", "TOKEN_ROLES", "Organization", "Token", "User"]

PLANS = ("team", "enterprise", "plus", "academia")
"""The plans of an organization; ``None`` is a free one."""

ROLES = ("admin", "write", "contributor", "read", "no_access")
TOKEN_ROLES = ("read", "write", "god", "fineGrained")
KINDS = ("access_token", "oauth")


@dataclass
class User:
    """An account.

    :ivar plan: ``free`` or ``pro``, or an organization's, for its quota of requests.
    :ivar can_pay: whether there is a payment method.
    """

    name: str
    object_id: str
    is_pro: bool = False
    can_pay: bool = True
    plan: str = "free"


@dataclass
class Organization:
    """An organization, with the role of each member."""

    name: str
    object_id: str
    plan: str | None = "team"
    members: dict[str, str] = field(default_factory=dict)
    can_pay: bool = True


@dataclass(frozen=True)
class Token:
    """What a client shows.

    :ivar role: ``read``, ``write``, ``god`` or ``fineGrained``.
    :ivar kind: ``access_token`` or ``oauth``.
    :ivar scopes: of a fine-grained token: permissions such as ``repo.write``, by the name of a user,
        an organization or a Space.
    """

    value: str
    user: str
    name: str
    created: float
    role: str = "write"
    kind: str = "access_token"
    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
