"""World, the state of an emulated Hub: accounts, Spaces and other repositories, faults and request log."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from airflow_provider_hfspaces.emulator.faults.rules import Faults, bad_day
from airflow_provider_hfspaces.emulator.model.accounts import Accounts
from airflow_provider_hfspaces.emulator.model.bill import Bill, bill
from airflow_provider_hfspaces.emulator.model.clock import Clock
from airflow_provider_hfspaces.emulator.model.large_files import LargeFiles
from airflow_provider_hfspaces.emulator.model.limits import QUOTAS, Limits
from airflow_provider_hfspaces.emulator.model.repository import REPO_TYPES, Repository
from airflow_provider_hfspaces.emulator.model.request_log import MAX_REQUESTS, RecordedRequest
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.settings import Settings

__all__ = ["World"]

_R = TypeVar("_R", bound=Repository)


class World:
    """The state of an emulated Hub.

    Hold :attr:`lock` while you use a world: the server's thread and a test's threads share it.

    :param clock: the emulated time.
    :param settings: the Hub's behaviour.
    :param user: the default user, who becomes the admin of organizations that are added with a repository.
    :ivar endpoint: address of the server, such as ``http://127.0.0.1:8900``; empty before it starts.
    :ivar closing: whether the server stops, which ends all streams.
    :ivar allowed_hosts: host names under which clients may use the control API.
    :ivar on_reset: adds the initial accounts and Spaces; :meth:`reset` calls it.
    :ivar app_url: returns the address of a Space's app for a client that knows the Hub by an address such
        as ``http://127.0.0.1:8900``; empty while no server for apps runs.
    :ivar open_app_url: returns the address if a client has requested it before; otherwise an empty text.
    :ivar ending: Spaces in DELETING.
    :ivar moved: current keys of renamed repositories by their former keys.
    :ivar deleted: deleted Spaces, which stay on the bill.
    """

    def __init__(self, *, clock: Clock, settings: Settings, user: str) -> None:
        self.clock = clock
        self.settings = settings
        self.accounts = Accounts(clock, user)
        self.lock = threading.RLock()
        self.endpoint = ""
        self.closing = False
        self.allowed_hosts: frozenset[str] = frozenset()
        self.faults = Faults()
        self.large_files = LargeFiles()
        self.on_reset: Callable[[], None] = lambda: None
        self.app_url: Callable[[Space, str], str] = lambda space, origin: ""
        self.open_app_url: Callable[[Space, str], str] = lambda space, origin: ""
        self.clear()

    def reset(self) -> None:
        """Restore the initial accounts and Spaces."""
        self.clear()
        self.large_files.clear()
        self.on_reset()

    def clear(self) -> None:
        """Remove everything except the clock, the settings and the address."""
        self.accounts.clear()
        self.spaces: dict[str, Space] = {}
        self.repositories: dict[str, Repository] = {}
        self.moved: dict[str, str] = {}
        self.deleted: list[Space] = []
        self.ending: list[Space] = []
        self._later: list[tuple[float, Callable[[], object]]] = []
        self.requests: deque[RecordedRequest] = deque(maxlen=MAX_REQUESTS)
        self.requests_seen = 0
        self.limits = Limits()
        self.faults.clear()

    def bad_day(self, seed: int = 0, quota: int | None = None, window: int | None = None) -> None:
        """Replace all faults and quotas by those of a bad day; see :meth:`HubEmulator.bad_day`."""
        self.faults.clear()
        self.faults.seed = seed
        for fault in bad_day():
            self.faults.add(fault)
        self.limits.tighten(quota or QUOTAS["free"][0] // 10, window or self.limits.window)

    # Spaces

    def add_space(self, repo_id: str, **options: Any) -> Space:
        """Add a Space. A missing owner is added as an organization of the default user.

        :param options: parameters of :class:`Space`.

        :raises ValueError: if the id is already taken or is not ``owner/name``.
        """
        owner, name = _split(repo_id)
        if repo_id.lower() in self.spaces:
            raise ValueError(f"repo_id {repo_id!r} is already taken. Choose another name.")
        self.accounts.ensure(owner)
        space = Space(owner, name, clock=self.clock, settings=self.settings, **options)
        self.spaces[repo_id.lower()] = space
        self.moved.pop(repo_id.lower(), None)
        return space

    def find_space(self, repo_id: str) -> Space | None:
        """A Space by its current id or a former one; ``None`` if it does not exist. Ignores case."""
        space = _follow(repo_id.lower(), self.spaces, self.moved)
        return space.catch_up() if space else None

    def space(self, repo_id: str) -> Space:
        """A Space by its current id or a former one. Ignores case.

        :raises KeyError: if the Space does not exist.
        """
        space = self.find_space(repo_id)
        if space is None:
            raise KeyError(repo_id)
        return space

    def rename_space(self, old: str, new: str) -> Space:
        """Rename a Space. Its old id redirects to the new one.

        :raises KeyError: if no Space has the old id.
        :raises ValueError: if the new id is already taken or is not ``owner/name``.
        """
        space = self.spaces[old.lower()]
        self._move(self.spaces, space, new)
        return space

    def delete_space(self, repo_id: str, *, after: float = 0) -> None:
        """Delete a Space. Its costs stay on the bill.

        :param after: emulated seconds that the Space stays in DELETING.
        :raises KeyError: if the Space does not exist.
        """
        space = self.spaces[repo_id.lower()]
        if space.end(after):
            self._remove(space)
        else:
            self.ending.append(space)

    def act_later(self, seconds: float, action: Callable[[], object]) -> None:
        """Run ``action`` after some emulated seconds, before the first request that arrives then.

        :param seconds: emulated seconds.
        """
        self._later.append((self.clock.now() + seconds, action))

    def catch_up(self) -> None:
        """Run the actions of :meth:`act_later` that are due, and remove Spaces whose DELETING is over."""
        if not (self._later or self.ending):
            return
        now = self.clock.now()
        due = sorted((each for each in self._later if each[0] <= now), key=lambda each: each[0])
        self._later = [each for each in self._later if each[0] > now]
        for _, action in due:
            action()
        for space in [each for each in self.ending if each.is_gone]:
            self.ending.remove(space)
            self._remove(space)

    def _remove(self, space: Space) -> None:
        if self.spaces.get(space.repo_id.lower()) is space:
            del self.spaces[space.repo_id.lower()]
        self.deleted.append(space)

    # Repositories of other types

    def add_repository(self, repo_id: str, repo_type: str, **options: Any) -> Repository:
        """Add a dataset or a model. A missing owner is added as an organization of the default user.

        :param options: parameters of :class:`Repository`.
        :raises ValueError: if the id is already taken or is not ``owner/name``, and for another type.
        """
        if repo_type not in REPO_TYPES or repo_type == "space":
            raise ValueError(f"repo_type must be 'dataset' or 'model'; got {repo_type!r}.")
        owner, name = _split(repo_id)
        key = f"{repo_type}s/{repo_id}".lower()
        if key in self.repositories:
            raise ValueError(f"repo_id {repo_id!r} is already taken by a {repo_type}. Choose another name.")
        self.accounts.ensure(owner)
        repository = Repository(owner, name, repo_type=repo_type, clock=self.clock, **options)
        self.repositories[key] = repository
        self.moved.pop(key, None)
        return repository

    def find_repository(self, repo_type: str, repo_id: str) -> Repository | None:
        """A repository by its current id or a former one; ``None`` if it does not exist. Ignores case."""
        if repo_type == "space":
            return self.find_space(repo_id)
        return _follow(f"{repo_type}s/{repo_id}".lower(), self.repositories, self.moved)

    def rename_repository(self, repository: Repository, new: str) -> None:
        """Rename a repository of any type. Its old id redirects to the new one.

        :raises ValueError: if the new id is already taken or is not ``owner/name``.
        """
        self._move(self._registry(repository), repository, new)

    def delete_repository(self, repository: Repository) -> None:
        """Delete a repository of any type."""
        if isinstance(repository, Space):
            self.delete_space(repository.repo_id, after=self.settings.timings.deleting)
        else:
            del self.repositories[_key(repository.repo_type, repository.repo_id)]

    def all_repositories(self) -> Iterator[Repository]:
        """Existing Spaces, then repositories of other types."""
        yield from self.spaces.values()
        yield from self.repositories.values()

    def is_taken(self, repo_type: str, repo_id: str) -> bool:
        """Whether a repository has this id now. Former ids of renamed repositories do not count."""
        return _key(repo_type, repo_id) in (self.spaces if repo_type == "space" else self.repositories)

    def _registry(self, repository: Repository) -> dict[str, Any]:
        return self.spaces if isinstance(repository, Space) else self.repositories

    def _move(self, registry: dict[str, Any], repository: Repository, new: str) -> None:
        owner, name = _split(new)
        before, after = _key(repository.repo_type, repository.repo_id), _key(repository.repo_type, new)
        if after in registry and after != before:
            raise ValueError(f"The new id {new!r} is already taken. Choose another name.")
        del registry[before]
        repository.owner, repository.name = owner, name
        registry[after] = repository
        self.moved.pop(after, None)
        if after != before:
            self.moved[before] = after

    def bill(self, repo_id: str | None = None, *, owner: str | None = None) -> Bill:
        """The bill of all Spaces, of one Space or of one owner's Spaces, deleted ones included."""

        def counts(space: Space) -> bool:
            if repo_id is not None and space.repo_id.lower() != repo_id.lower():
                return False
            return owner is None or space.owner == owner

        return bill(space for space in self.all_spaces() if counts(space))

    def all_spaces(self) -> Iterator[Space]:
        """Existing Spaces, then deleted ones."""
        yield from self.spaces.values()
        yield from self.deleted


def _split(repo_id: str) -> tuple[str, str]:
    owner, slash, name = repo_id.partition("/")
    if not (slash and owner and name) or "/" in name:
        raise ValueError(f"{repo_id!r} is not a valid repo_id: expected 'owner/name'.")
    return owner, name


def _key(repo_type: str, repo_id: str) -> str:
    return (repo_id if repo_type == "space" else f"{repo_type}s/{repo_id}").lower()


def _follow(key: str, registry: Mapping[str, _R], moved: Mapping[str, str]) -> _R | None:
    for _ in range(len(moved) + 1):
        if key in registry or key not in moved:
            break
        key = moved[key]
    return registry.get(key)
