"""Calls for the branches of a repository and their files: one function per endpoint.

:mod:`~airflow_provider_hfspaces.hub.lease` keeps its record on a branch, because a commit that names its
parent is the only compare-and-set of the Hub.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.checks import InvalidInput, InvalidRepoId, checked_repo_id

__all__ = [
    "Branch",
    "commit_file",
    "create_branch",
    "get_file",
    "get_head",
    "list_branches",
    "parse_repository",
]

T = TypeVar("T")

_KINDS = ("spaces", "datasets", "models")
_COMMIT_DIGITS = 40


@dataclass(frozen=True)
class Branch:
    """One branch of one repository.

    :ivar kind: ``spaces``, ``datasets`` or ``models``.
    :ivar repo_id: the repository, as ``owner/name``.
    :ivar name: name of the branch.
    """

    kind: str
    repo_id: str
    name: str

    @property
    def api_path(self) -> str:
        """The path of the repository in the Hub's API."""
        return f"/api/{self.kind}/{self.repo_id}"

    @property
    def file_path(self) -> str:
        """The path under which the Hub serves the repository's files."""
        return f"/{self.repo_id}" if self.kind == "models" else f"/{self.kind}/{self.repo_id}"

    def __str__(self) -> str:
        prefix = "" if self.kind == "spaces" else f"{self.kind}/"
        return f"branch {self.name!r} of {prefix}{self.repo_id}"


def parse_repository(repository: str) -> tuple[str, str]:
    """Split ``datasets/owner/name`` into the kind ``datasets`` and the id ``owner/name``.

    :param repository: a repository, as in the URL of its page. ``owner/name`` alone is a model.
    :raises InvalidRepoId: for any other form.
    """
    text = repository.strip().strip("/") if isinstance(repository, str) else ""
    first, _, rest = text.partition("/")
    kind, repo_id = (first, rest) if first in _KINDS else ("models", text)
    if repo_id.count("/") != 1:
        raise InvalidRepoId(
            f"{repository!r} is not a valid repository: expected 'datasets/owner/name', 'spaces/owner/name' "
            f"or 'models/owner/name'."
        )
    return kind, checked_repo_id(repo_id)


def get_head(branch: Branch) -> Call[str]:
    """``GET /api/{kind}/{repo_id}/revision/{branch}``: the commit that the branch points to."""
    return _call(branch, "GET", f"{branch.api_path}/revision/{branch.name}", _sha)


def get_file(branch: Branch, commit: str, path: str) -> Call[str]:
    """``GET /{kind}/{repo_id}/resolve/{commit}/{path}``: the text of a file at a commit."""
    return _call(branch, "GET", f"{branch.file_path}/resolve/{commit}/{path}", str, answer="any")


def list_branches(branch: Branch) -> Call[dict[str, str]]:
    """``GET /api/{kind}/{repo_id}/refs``: the commit of each branch of the repository, by name."""

    def read(payload: Any) -> dict[str, str]:
        return {str(each["name"]): str(each["targetCommit"]) for each in payload["branches"]}

    return _call(branch, "GET", f"{branch.api_path}/refs", read)


def create_branch(branch: Branch) -> Call[None]:
    """``POST /api/{kind}/{repo_id}/branch/{branch}``: start a branch at the head of the default branch.

    The Hub answers 409 if the branch exists.
    """
    return _call(branch, "POST", f"{branch.api_path}/branch/{branch.name}", _nothing, body={}, answer="any")


def commit_file(branch: Branch, path: str, content: str, *, parent: str, summary: str) -> Call[str]:
    """``POST /api/{kind}/{repo_id}/commit/{branch}``: write one file if the branch is still at ``parent``.

    The Hub answers 412 if the branch has moved. The call is repeatable: after the first commit the branch has
    moved, so the Hub rejects the second.

    :param path: path of the file in the repository.
    :param content: text of the file.
    :param parent: SHA of the parent commit, 40 hexadecimal digits.
    :param summary: the first line of the commit message.
    :raises InvalidInput: if ``parent`` is not a full SHA.
    """
    if len(parent) != _COMMIT_DIGITS:
        raise InvalidInput(f"parent must be a commit of {_COMMIT_DIGITS} hexadecimal digits; got {parent!r}.")
    lines = (
        {"key": "header", "value": {"summary": summary, "description": "", "parentCommit": parent}},
        {
            "key": "file",
            "value": {
                "content": base64.b64encode(content.encode()).decode(),
                "path": path,
                "encoding": "base64",
            },
        },
    )
    return _call(
        branch,
        "POST",
        f"{branch.api_path}/commit/{branch.name}",
        lambda payload: str(payload["commitOid"]),
        lines=lines,
        repeatable=True,
    )


def _call(branch: Branch, method: str, path: str, read: Callable[[Any], T], **options: Any) -> Call[T]:
    return Call(
        method,
        path,
        read,
        repeatable=options.pop("repeatable", method == "GET"),
        repo_id=branch.repo_id,
        needs_token=method != "GET",
        **options,
    )


def _sha(payload: Any) -> str:
    sha = payload["sha"]
    if not isinstance(sha, str) or len(sha) != _COMMIT_DIGITS:
        raise ValueError("a commit")
    return sha


def _nothing(payload: Any) -> None:
    return None
