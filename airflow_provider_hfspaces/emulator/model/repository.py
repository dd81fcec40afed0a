"""Repository, the base of Spaces, datasets and models on the emulated Hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_hfspaces.emulator.model.clock import Clock
from airflow_provider_hfspaces.emulator.model.first_files import GITATTRIBUTES
from airflow_provider_hfspaces.emulator.model.git import MAIN, Commit, GitRepository, digest

__all__ = ["REPO_TYPES", "Repository"]

REPO_TYPES = ("space", "dataset", "model")


class Repository:
    """A repository: a dataset, a model, or the files and settings of a :class:`Space`.

    :param owner: user or organization.
    :param repo_type: ``space``, ``dataset`` or ``model``.
    :param visibility: ``public``, ``private`` or, for Spaces, ``protected``.
    :param creator: name of the user who created the repository.
    :param files: content of the first commit by path; by default only ``.gitattributes``.
    :ivar created: emulated seconds since 1970.
    :ivar modified: time of the last commit to ``main``, in emulated seconds since 1970.
    :ivar object_id: the Hub's id of the repository, which a rename does not change.
    :ivar remarks: further settings by the Hub's names, such as ``gated``.
    """

    def __init__(
        self,
        owner: str,
        name: str,
        *,
        repo_type: str,
        clock: Clock,
        visibility: str = "public",
        creator: str | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self.owner, self.name, self.repo_type = owner, name, repo_type
        self._clock = clock
        self.visibility = visibility
        self.creator = creator
        self.created = self.modified = clock.now()
        parts = (
            (owner, name, self.created) if repo_type == "space" else (repo_type, owner, name, self.created)
        )
        self.object_id = digest(*parts)[:24]
        self.remarks: dict[str, Any] = {}
        content = {".gitattributes": GITATTRIBUTES} if files is None else files
        self.git = GitRepository(digest(self.object_id)[:40], self.created, content, creator)

    @property
    def repo_id(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    @property
    def route(self) -> str:
        """The first part of the repository's paths in the API: ``spaces``, ``datasets`` or ``models``."""
        return f"{self.repo_type}s"

    @property
    def page(self) -> str:
        """The path of the repository's web page."""
        return f"/{self.repo_id}" if self.repo_type == "model" else f"/{self.route}/{self.repo_id}"

    @property
    def scope(self) -> str:
        """The repository's name in the scopes of a fine-grained token."""
        return self.repo_id if self.repo_type == "space" else f"{self.route}/{self.repo_id}"

    @property
    def private(self) -> bool:
        """Whether only members of the owner can see the repository."""
        return self.visibility == "private"

    @property
    def sha(self) -> str:
        """Id of the last commit on ``main``."""
        return self.git.main.oid

    @property
    def files(self) -> Mapping[str, bytes]:
        """The files on ``main``."""
        return self.git.main.files

    def now(self) -> float:
        """The emulated time, in seconds since 1970."""
        return self._clock.now()

    def commit(self, changes: Mapping[str, bytes | None], branch: str = MAIN, **details: Any) -> Commit:
        """Commit files to a branch; see :meth:`GitRepository.commit`."""
        commit = self.git.commit(branch, changes, self.now(), **details)
        self._on_commit(commit)
        return commit

    def squash(self, branch: str, **details: Any) -> Commit:
        """Replace the history of a branch by one commit; see :meth:`GitRepository.squash`."""
        commit = self.git.squash(branch, self.now(), **details)
        self._on_commit(commit)
        return commit

    def _on_commit(self, commit: Commit) -> None:
        """React to a new commit on any branch."""
        if commit is self.git.main:
            self.modified = commit.time
