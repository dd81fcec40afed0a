"""The commits of a repository."""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import check_branch, check_revision
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, answer
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, Route
from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.git import Commit, StaleParent
from airflow_provider_hfspaces.emulator.model.repository import Repository

__all__ = ["ROUTES"]

_LARGEST_FILE_BYTES = 10 * 1024 * 1024
"""The Hub keeps larger files outside git, which the emulator does not."""


def _commit(request: HubRequest) -> Response:
    """Commit to a branch.

    With ``parentCommit`` in the header line, only if that commit is still the branch's last one.
    """
    repository, branch = request.writable_repository(), request.parts["revision"]
    last = check_branch(repository, branch)
    if request.query.get("create_pr", "").lower() in ("1", "true"):
        raise Refusal(400, "This emulated Hub opens no pull requests")
    header, changes = _operations(request, last)
    parent = header.get("parentCommit")
    _check_commit_limit(request, repository)
    try:
        commit = repository.commit(
            changes,
            branch,
            parent=None if parent is None else str(parent),
            title=str(header.get("summary") or "Update"),
            message=str(header.get("description") or ""),
            author=request.require_token().user,
        )
    except StaleParent:
        raise Refusal(412, "A commit has happened since. Please refresh and try again.") from None
    return answer(
        {
            "success": True,
            "commitOid": commit.oid,
            "commitUrl": f"{request.origin}{repository.page}/commit/{commit.oid}",
            "hookOutput": "",
        }
    )


def _check_commit_limit(request: HubRequest, repository: Repository) -> None:
    """429 if the repository has had as many commits within an hour as the settings allow."""
    most, clock = request.world.settings.commits_per_hour, request.world.clock
    seconds = repository.git.seconds_until_allowed(most, clock.now())
    if seconds > 0:
        retry_after = max(math.ceil(seconds / clock.speed if clock.speed else seconds), 1)
        raise Refusal(
            429,
            f"You have exceeded the rate limit for repository commits ({most} per hour).",
            headers={"Retry-After": str(retry_after)},
        )


def _operations(request: HubRequest, last: Commit) -> tuple[dict[str, Any], dict[str, bytes | None]]:
    """The header of a commit and the files that it changes."""
    header: dict[str, Any] = {}
    changes: dict[str, bytes | None] = {}
    for line in request.content.decode(errors="replace").splitlines():
        if not line.strip():
            continue
        try:
            operation = json.loads(line)
            key, value = operation["key"], operation["value"]
            if key == "header":
                header = dict(value)
            else:
                _read_operation(key, value, last, changes)
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise Refusal(400, "Invalid line in the commit") from None
    return header, changes


def _read_operation(key: str, value: dict[str, Any], last: Commit, changes: dict[str, bytes | None]) -> None:
    path = str(value["path"])
    if key == "file":
        encoded = value.get("encoding") == "base64"
        content = str(value["content"])
        changes[path] = decoded = base64.b64decode(content, validate=True) if encoded else content.encode()
        if len(decoded) > _LARGEST_FILE_BYTES:
            raise Refusal(400, f"{path} is too large for a commit: use LFS")
    elif key == "deletedFile":
        if path not in last.files:
            raise Refusal(404, "A file with this name doesn't exist", code="EntryNotFound")
        changes[path] = None
    elif key == "deletedFolder":
        folder = f"{path.rstrip('/')}/"
        changes.update({each: None for each in last.files if each.startswith(folder)})
    else:
        raise Refusal(400, f"This emulated Hub keeps no {key}: commit small files only")


def _list_commits(request: HubRequest) -> Response:
    repository = request.readable_repository()
    commit = check_revision(repository, request.parts["revision"])
    return answer([_listed(each, repository) for each in repository.git.history(commit)])


def _listed(commit: Commit, repository: Repository) -> dict[str, Any]:
    return {
        "id": commit.oid,
        "title": commit.title,
        "message": commit.message,
        "authors": [{"user": commit.author or repository.owner}],
        "date": iso(commit.time),
    }


ROUTES = [
    Route("POST", f"{REPOSITORY}/commit/{{revision:rest}}", _commit),
    Route("GET", f"{REPOSITORY}/commits/{{revision:rest}}", _list_commits),
]
