"""The users, organizations and tokens of an emulated Hub, and the permissions of each token."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from airflow_provider_hfspaces.emulator.model.clock import Clock
from airflow_provider_hfspaces.emulator.model.limits import QUOTAS
from airflow_provider_hfspaces.emulator.model.repository import Repository

__all__ = ["Accounts", "Organization", "Token", "User"]

PLANS = ("team", "enterprise", "plus", "academia")
"""The paid plans of an organization; ``None`` stands for a free organization."""

ROLES = ("admin", "write", "contributor", "read", "no_access")
TOKEN_ROLES = ("read", "write", "god", "fineGrained")
TOKEN_KINDS = ("access_token", "oauth")


@dataclass
class User:
    """A user.

    :ivar plan: the plan that sets the request quota: ``free``, ``pro`` or a plan of organizations.
    :ivar can_pay: whether the user has a payment method.
    """

    name: str
    object_id: str
    is_pro: bool = False
    can_pay: bool = True
    plan: str = "free"


@dataclass
class Organization:
    """An organization.

    :ivar plan: one of :data:`PLANS`; ``None`` for a free organization.
    :ivar members: role of each member by user name.
    :ivar can_pay: whether the organization has a payment method.
    """

    name: str
    object_id: str
    plan: str | None = "team"
    members: dict[str, str] = field(default_factory=dict)
    can_pay: bool = True


@dataclass(frozen=True)
class Token:
    """An access token.

    :ivar user: name of the owner.
    :ivar name: display name, which the request log shows in place of the value.
    :ivar created: emulated seconds since 1970.
    :ivar role: ``read``, ``write``, ``god`` or ``fineGrained``.
    :ivar kind: ``access_token`` or ``oauth``.
    :ivar scopes: for a fine-grained token, permissions such as ``repo.write`` by the name of a user, an
        organization or a Space, or by ``datasets/owner/name``.
    """

    value: str
    user: str
    name: str
    created: float
    role: str = "write"
    kind: str = "access_token"
    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Accounts:
    """All users, organizations and tokens.

    :param default_user: the user who becomes the admin of organizations that are created implicitly.
    """

    def __init__(self, clock: Clock, default_user: str) -> None:
        self._clock = clock
        self.default_user = default_user
        self.clear()

    def clear(self) -> None:
        """Remove all users, organizations and tokens."""
        self.users: dict[str, User] = {}
        self.organizations: dict[str, Organization] = {}
        self.tokens: dict[str, Token] = {}

    def ensure(self, owner: str) -> None:
        """Add an organization of the default user, unless an account with this name exists."""
        if owner not in self.users and owner not in self.organizations:
            self.add_organization(owner, members={self.default_user: "admin"})

    def add_user(
        self, name: str, *, is_pro: bool = False, can_pay: bool = True, plan: str | None = None
    ) -> User:
        """Add a user, or replace the user of this name.

        :raises ValueError: for an unknown plan, and for the name of an organization.
        """
        plan = plan or ("pro" if is_pro else "free")
        if plan not in QUOTAS:
            raise ValueError(f"plan must be one of {', '.join(QUOTAS)}; got {plan!r}.")
        if name in self.organizations:
            raise ValueError(f"name {name!r} is already taken by an organization. Choose another name.")
        user = User(name, _object_id("user", name), is_pro, can_pay, plan)
        self.users[name] = user
        return user

    def add_organization(
        self,
        name: str,
        *,
        plan: str | None = "team",
        members: Mapping[str, str] | None = None,
        can_pay: bool = True,
    ) -> Organization:
        """Add an organization, or replace the organization of this name. Unknown members are added as users.

        :raises ValueError: for an unknown plan or role, and for the name of a user.
        """
        if plan is not None and plan not in PLANS:
            raise ValueError(f"plan must be None or one of {', '.join(PLANS)}; got {plan!r}.")
        if name in self.users:
            raise ValueError(f"name {name!r} is already taken by a user. Choose another name.")
        for user, role in (members or {}).items():
            if role not in ROLES:
                raise ValueError(f"members[{user!r}] must be one of {', '.join(ROLES)}; got {role!r}.")
            if user not in self.users:
                self.add_user(user)
        organization = Organization(name, _object_id("org", name), plan, dict(members or {}), can_pay)
        self.organizations[name] = organization
        return organization

    def add_token(
        self,
        user: str,
        role: str = "write",
        *,
        scopes: Mapping[str, Iterable[str]] | None = None,
        kind: str = "access_token",
        name: str | None = None,
        value: str | None = None,
    ) -> str:
        """Add a token and return its value. An unknown user is added.

        :param value: a random value by default.
        :raises ValueError: for an unknown role or kind.
        """
        if role not in TOKEN_ROLES:
            raise ValueError(f"role must be one of {', '.join(TOKEN_ROLES)}; got {role!r}.")
        if kind not in TOKEN_KINDS:
            raise ValueError(f"kind must be one of {', '.join(TOKEN_KINDS)}; got {kind!r}.")
        if user not in self.users:
            self.add_user(user)
        value = value or f"hf_{secrets.token_hex(17)}"
        permissions = {entity: tuple(each) for entity, each in (scopes or {}).items()}
        name = name or f"{user}-{role}"
        self.tokens[value] = Token(value, user, name, self._clock.now(), role, kind, permissions)
        return value

    def roles(self, user: str) -> dict[str, str]:
        """The roles of a user, by organization."""
        return {each.name: each.members[user] for each in self.organizations.values() if user in each.members}

    def role_at(self, user: str, owner: str) -> str | None:
        """The role of a user at an owner of repositories; ``None`` for a user who is not a member."""
        if user == owner:
            return "admin"
        organization = self.organizations.get(owner)
        return organization.members.get(user) if organization else None

    def object_id(self, kind: str, name: str) -> str:
        """The Hub's id of a user (``user``), an organization (``org``) or a repository."""
        return _object_id(kind, name)

    def may_read(self, token: Token | None, repository: Repository) -> bool:
        """Whether a token may see a Space or another repository."""
        if not repository.private:
            return True
        if token is None or self.role_at(token.user, repository.owner) in (None, "no_access"):
            return False
        return token.role != "fineGrained" or bool(_permissions(token, repository.owner, repository.scope))

    def may_write(self, token: Token, owner: str, repository: Repository | None = None) -> bool:
        """Whether a token may change a repository, or without one, create repositories of this owner."""
        role = self.role_at(token.user, owner)
        allowed = role in ("admin", "write") or (
            role == "contributor" and (repository is None or repository.creator == token.user)
        )
        if not allowed or token.role == "read":
            return False
        if token.role != "fineGrained":
            return True
        names = [owner] if repository is None else [owner, repository.scope]
        return "repo.write" in _permissions(token, *names)

    def may_read_billing(self, token: Token, owner: str) -> bool:
        """Whether a token may read the bill of an owner of Spaces."""
        if owner != token.user and self.role_at(token.user, owner) != "admin":
            return False
        # The Hub shows this permission as "Read billing usage"; its id is not documented.
        return token.role != "fineGrained" or any(
            permission.endswith("billing.read") for permission in _permissions(token, owner)
        )

    def can_pay(self, owner: str) -> bool:
        """Whether an owner of Spaces has a payment method."""
        account = self.users.get(owner) or self.organizations.get(owner)
        return account is not None and account.can_pay

    def subscribed(self, owner: str) -> bool:
        """Whether an owner of Spaces has a paid plan."""
        user = self.users.get(owner)
        if user is not None:
            return user.is_pro or user.plan != "free"
        organization = self.organizations.get(owner)
        return organization is not None and organization.plan is not None

    def quota_key(self, token: Token | None, address: str, quota: Callable[[str], int]) -> tuple[str, str]:
        """The key of the account whose quota a request counts against, and the plan that sets this quota.

        :param address: IP address of the client, which stands for the account of an anonymous request.
        :param quota: returns the requests per window on a plan. Of the plans of the user and of the user's
            organizations, the one with the highest quota applies.
        """
        if token is None:
            return f"ip:{address}", "anonymous"
        user = self.users[token.user]
        plans = [user.plan, *(self.organizations[name].plan or "free" for name in self.roles(user.name))]
        return f"user:{user.name}", max(plans, key=quota)


def _permissions(token: Token, *names: str) -> set[str]:
    return {permission for name in names for permission in token.scopes.get(name, ())}


def _object_id(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}/{name}".encode()).hexdigest()[:24]
