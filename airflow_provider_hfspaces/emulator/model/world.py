"""The emulated Hub itself: who there is, what they may do, which Spaces there are."""

from __future__ import annotations

import hashlib
import secrets as randomness
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_hfspaces.emulator.faults.rules import Faults, bad_day
from airflow_provider_hfspaces.emulator.model.accounts import (
    KINDS,
    PLANS,
    ROLES,
    TOKEN_ROLES,
    Organization,
    Token,
    User,
)
from airflow_provider_hfspaces.emulator.model.bill import Bill, bill
from airflow_provider_hfspaces.emulator.model.clock import Clock
from airflow_provider_hfspaces.emulator.model.limits import QUOTAS, Limits
from airflow_provider_hfspaces.emulator.model.request_log import MOST_REQUESTS, RecordedRequest
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.settings import Settings

__all__ = ["World"]


class World:
    """All there is on an emulated Hub.

    Its lock guards it: the server's thread and those of a test may use it at the same time.

    :param clock: the emulated time.
    :param settings: its behaviour.
    :param user: whoever becomes the first admin of an organization that is made along with a Space.
    """

    def __init__(self, *, clock: Clock, settings: Settings, user: str) -> None:
        self.clock = clock
        self.settings = settings
        self.default_user = user
        self.lock = threading.RLock()
        self.endpoint = ""
        self.closing = False
        self.faults = Faults()
        self.on_reset: Callable[[], None] = lambda: None
        self.clear()

    def reset(self) -> None:
        """Begin anew, with what there was in the beginning."""
        self.clear()
        self.on_reset()

    def clear(self) -> None:
        """Forget everything but clock, settings and address."""
        self.users: dict[str, User] = {}
        self.organizations: dict[str, Organization] = {}
        self.tokens: dict[str, Token] = {}
        self.spaces: dict[str, Space] = {}
        self.moved: dict[str, str] = {}
        self.deleted: list[Space] = []
        self.ending: list[Space] = []
        self.requests: deque[RecordedRequest] = deque(maxlen=MOST_REQUESTS)
        self.requests_seen = 0
        self.limits = Limits()
        self.faults.clear()

    # Accounts

    def add_user(
        self, name: str, *, is_pro: bool = False, can_pay: bool = True, plan: str | None = None
    ) -> User:
        """Add an account, or change it."""
        plan = plan or ("pro" if is_pro else "free")
        if plan not in QUOTAS:
            raise ValueError(f"A plan is one of {', '.join(QUOTAS)}; got {plan!r}.")
        if name in self.organizations:
            raise ValueError(f"{name} is an organization.")
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
        """Add an organization, or change it; members that there are not become users."""
        if plan is not None and plan not in PLANS:
            raise ValueError(f"The plan of an organization is one of {', '.join(PLANS)}; got {plan!r}.")
        if name in self.users:
            raise ValueError(f"{name} is a user.")
        for user, role in (members or {}).items():
            if role not in ROLES:
                raise ValueError(f"A member's role is one of {', '.join(ROLES)}; got {role!r}.")
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
        """Add a token and return its value."""
        if role not in TOKEN_ROLES:
            raise ValueError(f"A token's role is one of {', '.join(TOKEN_ROLES)}; got {role!r}.")
        if kind not in KINDS:
            raise ValueError(f"A token's kind is one of {', '.join(KINDS)}; got {kind!r}.")
        if user not in self.users:
            self.add_user(user)
        value = value or f"hf_{randomness.token_hex(17)}"
        permissions = {entity: tuple(each) for entity, each in (scopes or {}).items()}
        name = name or f"{user}-{role}"
        self.tokens[value] = Token(value, user, name, self.clock.now(), role, kind, permissions)
        return value

    def roles(self, user: str) -> dict[str, str]:
        """The organizations of a user, with the role there."""
        return {each.name: each.members[user] for each in self.organizations.values() if user in each.members}

    def role_at(self, user: str, owner: str) -> str | None:
        """What a user is to the owner of Spaces."""
        if user == owner:
            return "admin"
        organization = self.organizations.get(owner)
        return organization.members.get(user) if organization else None

    def entity(self, name: str) -> dict[str, str]:
        """A user, organization or Space, as the scope of a token names it."""
        if "/" in name:
            space = self.find_space(name)
            return {
                "_id": space.object_id if space else _object_id("space", name),
                "type": "space",
                "name": name,
            }
        kind = "org" if name in self.organizations else "user"
        return {"_id": _object_id(kind, name), "type": kind, "name": name}

    def may_read(self, token: Token | None, space: Space) -> bool:
        """Whether a token sees a Space."""
        if not space.private:
            return True
        if token is None or self.role_at(token.user, space.owner) in (None, "no_access"):
            return False
        return token.role != "fineGrained" or bool(_permissions(token, space.owner, space.repo_id))

    def may_write(self, token: Token, owner: str, space: Space | None = None) -> bool:
        """Whether a token may change a Space, or make one for this owner."""
        role = self.role_at(token.user, owner)
        allowed = role in ("admin", "write") or (
            role == "contributor" and (space is None or space.creator == token.user)
        )
        if not allowed or token.role == "read":
            return False
        if token.role != "fineGrained":
            return True
        names = [owner] if space is None else [owner, space.repo_id]
        return "repo.write" in _permissions(token, *names)

    def may_read_billing(self, token: Token, owner: str) -> bool:
        """Whether a token sees what an owner of Spaces is billed."""
        if owner != token.user and self.role_at(token.user, owner) != "admin":
            return False
        # What the Hub calls the permission is not known but for its words, "Read billing usage".
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

    def quota_key(self, token: Token | None, address: str) -> tuple[str, str]:
        """Whom a request counts for, and on which plan."""
        if token is None:
            return f"ip:{address}", "anonymous"
        user = self.users[token.user]
        plans = [user.plan, *(self.organizations[name].plan or "free" for name in self.roles(user.name))]
        return f"user:{user.name}", max(plans, key=self.limits.quota)

    def bad_day(self, seed: int = 0, quota: int | None = None, window: int | None = None) -> None:
        """A tenth of all requests end in a 5xx, three in a hundred answers are lost, and the quota is tight.

        :param quota: API requests per window and account; by default a tenth of a free account's.
        :param window: seconds; by default the Hub's.
        """
        self.faults.clear()
        self.faults.seed = seed
        for fault in bad_day():
            self.faults.add(fault)
        self.limits.tighten(quota or QUOTAS["free"][0] // 10, window or self.limits.window)

    # Spaces

    def add_space(self, repo_id: str, **options: Any) -> Space:
        """Add a Space; an owner that there is not becomes an organization of the default user.

        :raises ValueError: if there is one of this id, or no owner in it.
        """
        owner, slash, name = repo_id.partition("/")
        if not (slash and owner and name) or "/" in name:
            raise ValueError(f"A Space's id is 'owner/name'; got {repo_id!r}.")
        if repo_id.lower() in self.spaces:
            raise ValueError(f"There is a Space {repo_id} already.")
        if owner not in self.users and owner not in self.organizations:
            self.add_organization(owner, members={self.default_user: "admin"})
        space = Space(owner, name, clock=self.clock, settings=self.settings, **options)
        self.spaces[repo_id.lower()] = space
        self.moved.pop(repo_id.lower(), None)
        return space

    def find_space(self, repo_id: str) -> Space | None:
        """A Space by its present id or by one that it had, in whatever case, up to date."""
        key = repo_id.lower()
        hops = 0
        while key not in self.spaces and key in self.moved and hops <= len(self.moved):
            key = self.moved[key].lower()
            hops += 1
        space = self.spaces.get(key)
        return space.catch_up() if space else None

    def space(self, repo_id: str) -> Space:
        """The same.

        :raises KeyError: if there is none.
        """
        space = self.find_space(repo_id)
        if space is None:
            raise KeyError(repo_id)
        return space

    def rename_space(self, old: str, new: str) -> Space:
        """Move a Space; the old id leads to the new one from now on.

        :raises KeyError: if there is none.
        :raises ValueError: if the new id is taken, or has no owner in it.
        """
        owner, slash, name = new.partition("/")
        if not (slash and owner and name) or "/" in name:
            raise ValueError(f"A Space's id is 'owner/name'; got {new!r}.")
        if new.lower() in self.spaces and new.lower() != old.lower():
            raise ValueError(f"There is a Space {new} already.")
        space = self.spaces.pop(old.lower())
        space.owner, space.name = owner, name
        self.spaces[new.lower()] = space
        self.moved.pop(new.lower(), None)
        if new.lower() != old.lower():
            self.moved[old.lower()] = new
        return space

    def delete_space(self, repo_id: str, *, after: float = 0) -> None:
        """Delete a Space; what it has cost stays on the bill.

        :param after: emulated seconds for which it is still there, in DELETING.
        :raises KeyError: if there is none.
        """
        space = self.spaces[repo_id.lower()]
        if space.end(after):
            self._bury(space)
        else:
            self.ending.append(space)

    def bury_the_dead(self) -> None:
        """Take away the Spaces whose time of being deleted is over."""
        for space in [each for each in self.ending if each.is_gone]:
            self.ending.remove(space)
            self._bury(space)

    def _bury(self, space: Space) -> None:
        if self.spaces.get(space.repo_id.lower()) is space:
            del self.spaces[space.repo_id.lower()]
        self.deleted.append(space)

    def bill(self, repo_id: str | None = None, *, owner: str | None = None) -> Bill:
        """What all Spaces, one of them or those of one owner have cost, deleted ones included."""

        def counts(space: Space) -> bool:
            if repo_id is not None and space.repo_id.lower() != repo_id.lower():
                return False
            return owner is None or space.owner == owner

        return bill(space for space in self.all_spaces() if counts(space))

    def all_spaces(self) -> Iterator[Space]:
        """Those that there are and those that there were."""
        yield from self.spaces.values()
        yield from self.deleted


def _permissions(token: Token, *names: str) -> set[str]:
    return {permission for name in names for permission in token.scopes.get(name, ())}


def _object_id(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}/{name}".encode()).hexdigest()[:24]
