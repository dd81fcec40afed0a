"""The repository of a Space as a deployment sees it, through the official client.

The official client uploads large and binary files as the Hub wants them. It is imported only here, when a
task runs.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.error_responses import error_from_response, unavailable
from airflow_provider_hfspaces.hub.errors import HubBadRequest, HubError
from airflow_provider_hfspaces.hub.masking import brief
from airflow_provider_hfspaces.operators.deploy.source import Source, SourceFile, matches_patterns

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

__all__ = ["Changes", "RemoteFile", "SpaceRepository", "StaleParent", "compared"]

_MAIN = "main"
_KEPT = (".gitattributes", "README.md")
"""Files that the Hub itself adds to a repository, and that configure it: ``delete`` keeps them."""

_STALE_STATUS = 412
_NETWORK_MODULES = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"})
_REQUEST_LOGGERS = ("httpx", "httpx2")
"""Loggers that list the requests of the official client."""

_CHUNK_BYTES = 1024 * 1024
_MAX_REASON_CHARACTERS = 500
_COMMITS_SEARCHED = 50
"""Newest commits among which a task looks for its own, which it made a moment ago."""


class StaleParent(HubBadRequest):
    """412: somebody has pushed to the branch since it was read. Nothing was committed."""

    permanent = False


@dataclass(frozen=True)
class RemoteFile:
    """A file in the repository.

    :ivar size: in bytes.
    :ivar oid: the id that git gives to its content.
    :ivar sha256: digest of its content, for a file that the Hub keeps outside git; ``None`` for others.
    """

    size: int
    oid: str
    sha256: str | None = None


@dataclass(frozen=True)
class Changes:
    """What a deployment changes in the repository.

    :ivar added: files that the repository does not have.
    :ivar modified: files with other content.
    :ivar deleted: paths to delete.
    :ivar stale: paths that are not in the source and stay.
    """

    added: tuple[SourceFile, ...] = ()
    modified: tuple[SourceFile, ...] = ()
    deleted: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.modified or self.deleted)

    @property
    def sent(self) -> tuple[SourceFile, ...]:
        """The files whose content is sent."""
        return (*self.added, *self.modified)

    def lines(self) -> Iterator[str]:
        """Describe each change in a line."""
        for sign, files in (("added", self.added), ("changed", self.modified)):
            yield from (f"{sign:8} {file.path} ({file.size:,} bytes)" for file in files)
        yield from (f"deleted  {path}" for path in self.deleted)


def compared(source: Source, remote: Mapping[str, RemoteFile], delete: bool | Iterable[str]) -> Changes:
    """Return what has to change so that the repository holds the source.

    :param remote: the files of the repository by their paths.
    :param delete: True deletes every file that is not in the source, patterns those that match.
    """
    added = tuple(file for path, file in source.files.items() if path not in remote)
    modified = tuple(
        file for path, file in source.files.items() if path in remote and not _is_same(file, remote[path])
    )
    extra = [path for path in remote if path not in source.files]
    patterns = ["*"] if delete is True else list(delete or ())
    deleted = tuple(path for path in extra if path not in _KEPT and matches_patterns(patterns, path))
    stale = tuple(path for path in extra if path not in _KEPT and path not in deleted)
    return Changes(added, modified, deleted, stale)


def _is_same(file: SourceFile, remote: RemoteFile) -> bool:
    if file.size != remote.size:
        return False
    digest = hashlib.sha256() if remote.sha256 else hashlib.sha1(usedforsecurity=False)
    if not remote.sha256:
        digest.update(b"blob %d\0" % file.size)
    with file.local.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest() == (remote.sha256 or remote.oid)


class SpaceRepository:
    """The branch ``main`` of a Space's repository.

    :param hook: the connection to the Hub.
    :param repo_id: the Space, as ``owner/name``.
    :raises InvalidConnection: if the official client is not installed.
    """

    def __init__(self, hook: HfSpacesHook, repo_id: str) -> None:
        self.repo_id = repo_id
        self._hook = hook
        self._api = hook.hf_api()

    @property
    def _secret(self) -> str | None:
        return str(self._api.token) if self._api.token else None

    def head(self) -> str:
        """Return the last commit of ``main``."""
        head = self._hook.get_space(self.repo_id, expand="sha").sha
        if head is None:
            raise HubBadRequest(
                f"The Hub does not report the last commit of Space {self.repo_id}.", repo_id=self.repo_id
            )
        return head

    def files(self, revision: str) -> dict[str, RemoteFile]:
        """Return the files at a commit by their paths."""
        from huggingface_hub.hf_api import RepoFile

        with self._translated("GET", f"/tree/{revision}"):
            tree = self._api.list_repo_tree(
                self.repo_id, repo_type="space", revision=revision, recursive=True
            )
            return {
                each.path: RemoteFile(each.size, each.blob_id, each.lfs.sha256 if each.lfs else None)
                for each in tree
                if isinstance(each, RepoFile)
            }

    def find(self, marker: str) -> str | None:
        """Return the commit whose description holds a marker, ``None`` if no recent commit does."""
        commits = self._hook.list_commits(self.repo_id, limit=_COMMITS_SEARCHED)
        return next((each.sha for each in commits if marker in each.message), None)

    def commit(self, changes: Changes, *, title: str, description: str, parent: str) -> str:
        """Make the changes in one commit and return it.

        :param parent: the last commit of ``main`` that the changes are made for.
        :raises StaleParent: if somebody has pushed since.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations: list[Any] = [CommitOperationAdd(file.path, str(file.local)) for file in changes.sent]
        operations += [CommitOperationDelete(path, is_folder=False) for path in changes.deleted]
        return self._commit(operations, title, description, parent)

    def restore(self, revision: str, *, over: str, title: str, description: str) -> str:
        """Give ``main`` the content of an earlier commit, in a new commit.

        :param revision: the earlier commit.
        :param over: the last commit of ``main``, which is undone.
        :raises StaleParent: if somebody has pushed since.
        """
        from huggingface_hub import CommitOperationCopy, CommitOperationDelete

        earlier, present = self.files(revision), self.files(over)
        operations: list[Any] = [
            CommitOperationCopy(path, path, src_revision=revision)
            for path, file in earlier.items()
            if present.get(path) != file
        ]
        operations += [
            CommitOperationDelete(path, is_folder=False) for path in present if path not in earlier
        ]
        return self._commit(operations, title, description, over)

    def _commit(self, operations: list[Any], title: str, description: str, parent: str) -> str:
        with self._translated("POST", f"/commit/{_MAIN}"):
            commit = self._api.create_commit(
                self.repo_id,
                operations,
                commit_message=title,
                commit_description=description,
                repo_type="space",
                revision=_MAIN,
                parent_commit=parent,
            )
        return str(commit.oid)

    @contextmanager
    def _translated(self, method: str, suffix: str) -> Iterator[None]:
        """Raise the errors of the official client as those of this package."""
        from huggingface_hub.errors import HfHubHTTPError

        call: calls.Call[None] = calls.Call(
            method, f"/api/spaces/{self.repo_id}{suffix}", lambda _: None, repo_id=self.repo_id
        )
        try:
            with _quiet_client():
                yield
        except HfHubHTTPError as error:
            raise self._http_error(call, error) from None
        except ValueError as error:
            reason = brief(str(error), [self._secret], longest=_MAX_REASON_CHARACTERS)
            # Some versions of the client fail to read the answer after the Hub has made the commit.
            raise HubBadRequest.from_call(
                call,
                f"The commit to Space {self.repo_id} was refused by the official client: {reason}",
                outcome_unknown=True,
            ) from None
        except Exception as error:
            if not (isinstance(error, OSError) or type(error).__module__.split(".")[0] in _NETWORK_MODULES):
                raise
            reason = f"{type(error).__name__}: {error}"
            raise unavailable(call, reason, sent=True, token=self._secret) from None

    def _http_error(self, call: calls.Call[Any], error: Any) -> HubError:
        response = error.response
        status, headers, text = response.status_code, response.headers, response.text
        if status == _STALE_STATUS:
            return StaleParent.from_call(
                call,
                f"Space {self.repo_id}: somebody has pushed since this task read it. Nothing was committed.",
                status=status,
            )
        return error_from_response(call, status, headers, text, token=self._secret)


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Keep the official client's progress bars and its list of requests out of the task's log.

    The bars need a terminal, and the addresses of uploads are signed: nobody else may use them.
    """
    utils = import_module("huggingface_hub.utils")
    was_disabled = utils.are_progress_bars_disabled()
    utils.disable_progress_bars()
    loggers = [logging.getLogger(name) for name in _REQUEST_LOGGERS]
    for each in loggers:
        each.addFilter(_is_problem)
    try:
        yield
    finally:
        for each in loggers:
            each.removeFilter(_is_problem)
        if not was_disabled:
            utils.enable_progress_bars()


def _is_problem(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
