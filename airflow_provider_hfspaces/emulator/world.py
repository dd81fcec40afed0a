"""The emulated Hub itself: who there is, what they may do, which Spaces there are."""

from __future__ import annotations

import secrets as randomness
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.emulator.clock import Clock, iso
from airflow_provider_hfspaces.emulator.limits import Limits
from airflow_provider_hfspaces.emulator.settings import Settings
from airflow_provider_hfspaces.emulator.space import Space

__all__ = ["Organization", "RecordedRequest", "Token", "User", "World"]

_MOST_REQUESTS = 200_000
_WRITERS = frozenset({"admin", "write", "contributor"})


@dataclass
class User:
    """An account."""

    name: str
    is_pro: bool = False
    can_pay: bool = True
    plan: str = "free"
    object_id: str = field(default_factory=lambda: randomness.token_hex(12))


@dataclass
class Organization:
    """An organization, with the role of each member."""

    name: str
    plan: str = "team"
    members: dict[str, str] = field(default_factory=dict)
    can_pay: bool = True
    object_id: str = field(default_factory=lambda: randomness.token_hex(12))


@dataclass(frozen=True)
class Token:
    """What a client shows.

    :ivar role: ``read``, ``write``, ``god`` or ``fineGrained``.
    :ivar kind: ``access_token`` or ``oauth``.
    :ivar scopes: of a fine-grained token: permissions by the name of a user, organization or Space.
    """

    value: str
    user: str
    name: str
    role: str = "write"
    kind: str = "access_token"
    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class RecordedRequest:
    """A request as the Hub saw it; the token's value is not kept.

    :ivar time: emulated seconds since 1970.
    :ivar effect: whether it was let through to take effect, whatever was answered.
    """

    time: float
    method: str
    path: str
    query: str
    headers: dict[str, str]
    json: Any
    user: str | None
    token_name: str | None
    status: int = 0
    effect: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**self.__dict__, "at": iso(self.time)}


class World:
    """All there is on an emulated Hub. Its lock guards it against the threads of a test.

    :param clock: the emulated time.
    """

    def __init__(self, *, clock: Clock, settings: Settings | None = None) -> None:
        self.clock = clock
        self.settings = settings or Settings()
        self.lock = threading.RLock()
        self.users: dict[str, User] = {}
        self.organizations: dict[str, Organization] = {}
        self.tokens: dict[str, Token] = {}
        self.spaces: dict[str, Space] = {}
        self.moved: dict[str, str] = {}
        self.deleted: list[Space] = []
        self.requests: deque[RecordedRequest] = deque(maxlen=_MOST_REQUESTS)
        self.limits = Limits()
        self.endpoint = ""
        self.started = clock.now()

    # Accounts

    def add_user(
        self, name: str, *, is_pro: bool = False, can_pay: bool = True, plan: str | None = None
    ) -> User:
        """Add an account; ``plan`` is ``free``, ``pro``, ``team``, ``enterprise``, … for its quota."""
        user = User(name, is_pro, can_pay, plan or ("pro" if is_pro else "free"))
        self.users[name] = user
        return user

    def add_organization(
        self, name: str, *, plan: str = "team", members: Mapping[str, str] | None = None
    ) -> Organization:
        """Add an organization.

        :param members: user names with their role: ``admin``, ``write``, ``contributor`` or ``read``.
        """
        organization = Organization(name, plan, dict(members or {}))
        self.organizations[name] = organization
        return organization

    def add_token(
        self,
        user: str,
        role: str = "write",
        *,
        name: str | None = None,
        kind: str = "access_token",
        scopes: Mapping[str, Iterable[str]] | None = None,
        value: str | None = None,
    ) -> str:
        """Add a token and return its value."""
        if user not in self.users:
            self.add_user(user)
        value = value or f"hf_{randomness.token_hex(17)}"
        self.tokens[value] = Token(
            value,
            user,
            name or f"{role} token of {user}",
            role,
            kind,
            {entity: tuple(permissions) for entity, permissions in (scopes or {}).items()},
        )
        return value

    def roles(self, user: str) -> dict[str, str]:
        """The organizations of a user, with its role."""
        return {each.name: each.members[user] for each in self.organizations.values() if user in each.members}

    def may_read(self, token: Token | None, space: Space) -> bool:
        """Whether a token sees a Space."""
        if not space.private:
            return True
        if token is None or not self._belongs(token.user, space.owner):
            return False
        return token.role != "fineGrained" or bool(self._scope(token, space))

    def may_write(self, token: Token | None, owner: str, space: Space | None = None) -> bool:
        """Whether a token changes an owner's Spaces."""
        if token is None or token.role == "read":
            return False
        if token.user != owner and self.roles(token.user).get(owner) not in _WRITERS:
            return False
        if token.role != "fineGrained":
            return True
        return "repo.write" in self._scope(token, space, owner)

    def _belongs(self, user: str, owner: str) -> bool:
        return user == owner or owner in self.roles(user)

    def _scope(self, token: Token, space: Space | None, owner: str | None = None) -> set[str]:
        names = [space.owner, space.repo_id] if space else [owner or ""]
        return {permission for name in names for permission in token.scopes.get(name, ())}

    # Spaces

    def add_space(self, repo_id: str, *, admin: str | None = None, **options: Any) -> Space:
        """Add a Space; an owner that there is not becomes an organization with ``admin`` in it.

        :raises ValueError: if there is one of this id, or no owner in it.
        """
        owner, slash, name = repo_id.partition("/")
        if not (slash and owner and name):
            raise ValueError(f"A Space's id is 'owner/name'; got {repo_id!r}.")
        if repo_id.lower() in self.spaces:
            raise ValueError(f"There is a Space {repo_id} already.")
        if owner not in self.users and owner not in self.organizations:
            self.add_organization(owner, members={admin: "admin"} if admin else {})
        space = Space(owner, name, clock=self.clock, settings=self.settings, **options)
        self.spaces[repo_id.lower()] = space
        self.moved.pop(repo_id.lower(), None)
        return space

    def space(self, repo_id: str) -> Space:
        """A Space, up to date.

        :raises KeyError: if there is none.
        """
        return self.spaces[repo_id.lower()].catch_up()

    def rename_space(self, old: str, new: str) -> Space:
        """Move a Space; the old id leads to the new one from now on."""
        space = self.spaces.pop(old.lower())
        space.owner, _, space.name = new.partition("/")
        self.spaces[new.lower()] = space
        self.moved[old.lower()] = new
        return space

    def delete_space(self, repo_id: str) -> None:
        """Delete a Space; what it cost stays on the bill."""
        space = self.spaces.pop(repo_id.lower())
        space.do("delete")
        self.deleted.append(space)

    def all_spaces(self) -> Iterator[Space]:
        """Those that there are and those that there were."""
        yield from self.spaces.values()
        yield from self.deleted

    def quota_key(self, token: Token | None, address: str) -> tuple[str, str]:
        """Whom a request counts for, and on which plan."""
        if token is None:
            return f"ip:{address}", "anonymous"
        user = self.users[token.user]
        plans = [user.plan, *(self.organizations[name].plan for name in self.roles(user.name))]
        return f"user:{user.name}", max(plans, key=self.limits.quota)
