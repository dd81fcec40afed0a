"""The emulated Hub itself: who there is, what they may do, which Spaces there are."""

from __future__ import annotations

import hashlib
import secrets as randomness
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

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
from airflow_provider_hfspaces.emulator.model.repository import REPO_TYPES, Repository
from airflow_provider_hfspaces.emulator.model.request_log import MOST_REQUESTS, RecordedRequest
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.settings import Settings

__all__ = ["World"]

_R = TypeVar("_R", bound=Repository)


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
        self.allowed_hosts: frozenset[str] = frozenset()
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
        self.repositories: dict[str, Repository] = {}
        self.moved: dict[str, str] = {}
        self.deleted: list[Space] = []
        self.ending: list[Space] = []
        self._later: list[tuple[float, Callable[[], object]]] = []
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
        route, slash, rest = name.partition("/")
        if slash and "/" in rest:
            repository = self.find_repository(route.removesuffix("s"), rest)
            object_id = repository.object_id if repository else _object_id(*name.split("/", 1))
            return {"_id": object_id, "type": route.removesuffix("s"), "name": rest}
        if slash:
            space = self.find_space(name)
            return {
                "_id": space.object_id if space else _object_id("space", name),
                "type": "space",
                "name": name,
            }
        kind = "org" if name in self.organizations else "user"
        return {"_id": _object_id(kind, name), "type": kind, "name": name}

    def may_read(self, token: Token | None, repository: Repository) -> bool:
        """Whether a token may see a Space or another repository."""
        if not repository.private:
            return True
        if token is None or self.role_at(token.user, repository.owner) in (None, "no_access"):
            return False
        return token.role != "fineGrained" or bool(_permissions(token, repository.owner, repository.scope))

    def may_write(self, token: Token, owner: str, repository: Repository | None = None) -> bool:
        """Whether a token may change a repository, or create one for this owner."""
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
        owner, name = _split(repo_id)
        if repo_id.lower() in self.spaces:
            raise ValueError(f"There is a Space {repo_id} already.")
        self._ensure_owner(owner)
        space = Space(owner, name, clock=self.clock, settings=self.settings, **options)
        self.spaces[repo_id.lower()] = space
        self.moved.pop(repo_id.lower(), None)
        return space

    def find_space(self, repo_id: str) -> Space | None:
        """A Space by its present id or by one that it had, in whatever case, up to date."""
        space = _follow(repo_id.lower(), self.spaces, self.moved)
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
        """Move a Space; the old id redirects to the new one from now on.

        :raises KeyError: if there is no Space with the old id.
        :raises ValueError: if the new id is taken or is not ``owner/name``.
        """
        space = self.spaces[old.lower()]
        self._move(self.spaces, space, new)
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

    def act_later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something once so many emulated seconds have passed: before the next request after that."""
        self._later.append((self.clock.now() + seconds, action))

    def catch_up(self) -> None:
        """Do what is due: requests that take effect late, and the end of Spaces in DELETING."""
        if not (self._later or self.ending):
            return
        now = self.clock.now()
        due = sorted((each for each in self._later if each[0] <= now), key=lambda each: each[0])
        self._later = [each for each in self._later if each[0] > now]
        for _, action in due:
            action()
        for space in [each for each in self.ending if each.is_gone]:
            self.ending.remove(space)
            self._bury(space)

    def _bury(self, space: Space) -> None:
        if self.spaces.get(space.repo_id.lower()) is space:
            del self.spaces[space.repo_id.lower()]
        self.deleted.append(space)

    # Repositories of other types

    def add_repository(self, repo_id: str, repo_type: str, **options: Any) -> Repository:
        """Add a dataset or a model. An unknown owner becomes an organization of the default user.

        :raises ValueError: if the id is taken or is not ``owner/name``.
        """
        if repo_type not in REPO_TYPES or repo_type == "space":
            raise ValueError(f"The repo_type is 'dataset' or 'model'; got {repo_type!r}.")
        owner, name = _split(repo_id)
        key = f"{repo_type}s/{repo_id}".lower()
        if key in self.repositories:
            raise ValueError(f"There is a {repo_type} {repo_id} already.")
        self._ensure_owner(owner)
        repository = Repository(owner, name, repo_type=repo_type, clock=self.clock, **options)
        self.repositories[key] = repository
        self.moved.pop(key, None)
        return repository

    def find_repository(self, repo_type: str, repo_id: str) -> Repository | None:
        """A repository by its current id or a former one, in any case."""
        if repo_type == "space":
            return self.find_space(repo_id)
        return _follow(f"{repo_type}s/{repo_id}".lower(), self.repositories, self.moved)

    def rename_repository(self, repository: Repository, new: str) -> None:
        """Move a repository of any type; the old id redirects to the new one from now on.

        :raises ValueError: if the new id is taken or is not ``owner/name``.
        """
        self._move(self._registry(repository), repository, new)

    def delete_repository(self, repository: Repository) -> None:
        """Delete a repository of any type."""
        if isinstance(repository, Space):
            self.delete_space(repository.repo_id, after=self.settings.timings.deleting)
        else:
            del self.repositories[_key(repository.repo_type, repository.repo_id)]

    def is_taken(self, repo_type: str, repo_id: str) -> bool:
        """Whether there is a repository with this id now."""
        return _key(repo_type, repo_id) in (self.spaces if repo_type == "space" else self.repositories)

    def _registry(self, repository: Repository) -> dict[str, Any]:
        return self.spaces if isinstance(repository, Space) else self.repositories

    def _move(self, registry: dict[str, Any], repository: Repository, new: str) -> None:
        owner, name = _split(new)
        before, after = _key(repository.repo_type, repository.repo_id), _key(repository.repo_type, new)
        if after in registry and after != before:
            raise ValueError(f"There is a {repository.repo_type.capitalize()} {new} already.")
        del registry[before]
        repository.owner, repository.name = owner, name
        registry[after] = repository
        self.moved.pop(after, None)
        if after != before:
            self.moved[before] = after

    def _ensure_owner(self, owner: str) -> None:
        if owner not in self.users and owner not in self.organizations:
            self.add_organization(owner, members={self.default_user: "admin"})

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


def _split(repo_id: str) -> tuple[str, str]:
    owner, slash, name = repo_id.partition("/")
    if not (slash and owner and name) or "/" in name:
        raise ValueError(f"A repository's id is 'owner/name'; got {repo_id!r}.")
    return owner, name


def _key(repo_type: str, repo_id: str) -> str:
    return (repo_id if repo_type == "space" else f"{repo_type}s/{repo_id}").lower()


def _follow(key: str, registry: Mapping[str, _R], moved: Mapping[str, str]) -> _R | None:
    for _ in range(len(moved) + 1):
        if key in registry or key not in moved:
            break
        key = moved[key]
    return registry.get(key)


def _permissions(token: Token, *names: str) -> set[str]:
    return {permission for name in names for permission in token.scopes.get(name, ())}


def _object_id(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}/{name}".encode()).hexdigest()[:24]
