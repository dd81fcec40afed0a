"""Commits: committing files to a branch, listing commits, and squashing the history of a branch."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable
from html import escape
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import check_branch, check_path, check_revision
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response, not_emulated
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, Route
from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.git import LARGEST_FILE_BYTES, Commit, StaleParent
from airflow_provider_hfspaces.emulator.model.large_files import LargeFiles, pointer_to
from airflow_provider_hfspaces.emulator.model.repository import Repository

__all__ = ["ROUTES", "refuse_pull_requests"]

_COMMITS_ON_A_PAGE = 50

# The Hub has sent the first sentence since 2026, and the one in parentheses before. Clients match either.
_STALE = (
    "The branch was updated since you opened this page. Please refresh and try again. "
    "(A commit has happened since. Please refresh and try again.)"
)


def refuse_pull_requests(request: HubRequest, revision: str) -> None:
    """Raise a 501 for a request that would open a pull request or change one."""
    is_pull_request = request.query.get("create_pr", "").lower() in ("1", "true")
    if is_pull_request or revision.startswith("refs/pr/"):
        raise not_emulated("pull requests and discussions: commit to a branch instead")


def _commit(request: HubRequest) -> Response:
    """Commit to a branch. Answers 412 if ``parentCommit`` is not the branch's last commit any more."""
    repository, branch = request.writable_repository(), request.parts["revision"]
    refuse_pull_requests(request, branch)
    if request.query.get("hot_reload"):
        raise not_emulated("hot reload: commit without it, and the Space builds anew")
    last = check_branch(repository, branch)
    operations = _Operations(last, request.world.large_files)
    operations.read(request.content)
    parent = operations.header.get("parentCommit")
    _check_commit_limit(request, repository)
    try:
        commit = repository.commit(
            operations.changes,
            branch,
            parent=None if parent is None else str(parent),
            title=str(operations.header.get("summary") or "Update"),
            message=str(operations.header.get("description") or ""),
            author=request.require_token().user,
        )
    except StaleParent:
        raise Refusal(412, _STALE) from None
    return json_response(
        {
            "success": True,
            "commitOid": commit.oid,
            "commitUrl": f"{request.origin}{repository.page}/commit/{commit.oid}",
            "hookOutput": "",
        }
    )


def _check_commit_limit(request: HubRequest, repository: Repository) -> None:
    """Raise a 429 if the repository got ``commits_per_hour`` commits within the last emulated hour."""
    most, clock = request.world.settings.commits_per_hour, request.world.clock
    seconds = repository.git.seconds_until_allowed(most, clock.now())
    if seconds > 0:
        retry_after = max(math.ceil(seconds / clock.speed if clock.speed else seconds), 1)
        raise Refusal(
            429,
            f"You have exceeded the rate limit for repository commits ({most} per hour).",
            headers={"Retry-After": str(retry_after)},
        )


class _Operations:
    """Reads the lines of a commit request, and collects the changes to files.

    :param last: the last commit of the branch, to whose files the changes apply.
    :ivar header: values of the header line, such as ``summary``.
    :ivar changes: new content by path; ``None`` for a deleted file.
    """

    def __init__(self, last: Commit, large_files: LargeFiles) -> None:
        self.header: dict[str, Any] = {}
        self.changes: dict[str, bytes | None] = {}
        self._files = dict(last.files)
        self._large_files = large_files
        self._apply: dict[str, Callable[[dict[str, Any]], None]] = {
            "header": self.header.update,
            "file": self._add,
            "lfsFile": self._add_large,
            "deletedFile": self._delete,
            "deletedFolder": self._delete_folder,
        }

    def read(self, content: bytes) -> None:
        """Read all lines. The repository does not change.

        :raises Refusal: 400, 404 or 422 for the first line that is not valid.
        """
        for line in content.split(b"\n"):
            if not line.strip():
                continue
            try:
                operation = json.loads(line)
                key, value = operation["key"], operation["value"]
                if key not in self._apply:
                    raise Refusal(400, f"Invalid key in the commit: {key!r}")
                self._apply[key](value)
            except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
                raise Refusal(400, "Invalid line in the commit") from None
        if not self.changes:
            raise Refusal(400, "Add a line with the key `lfsFile`, `file` or `deletedFile`")

    def _add(self, value: dict[str, Any]) -> None:
        path, text = check_path(value["path"]), str(value["content"])
        content = (
            base64.b64decode(text, validate=True) if value.get("encoding") == "base64" else text.encode()
        )
        if len(content) > LARGEST_FILE_BYTES:
            raise Refusal(400, f"{path} is too large for a commit: use LFS")
        self._change(path, content)

    def _add_large(self, value: dict[str, Any]) -> None:
        path, oid = check_path(value["path"]), str(value["oid"])
        if oid not in self._large_files:
            raise Refusal(400, f"{path}: the object {oid} has not been uploaded")
        size = self._large_files.size(oid)
        if value.get("size") not in (None, size):
            raise Refusal(400, f"{path}: the object {oid} has {size} bytes")
        self._change(path, pointer_to(oid, size))

    def _delete(self, value: dict[str, Any]) -> None:
        path = str(value["path"])
        if path in self._files:
            self._change(path, None)
        else:
            self._delete_folder(value)

    def _delete_folder(self, value: dict[str, Any]) -> None:
        folder = f"{str(value['path']).rstrip('/')}/"
        inside = [path for path in self._files if path.startswith(folder)]
        if not inside:
            raise Refusal(404, f"No file or folder of this name: {value['path']}", code="EntryNotFound")
        for path in inside:
            self._change(path, None)

    def _change(self, path: str, content: bytes | None) -> None:
        self.changes[path] = content
        if content is None:
            del self._files[path]
        else:
            self._files[path] = content


def _list_commits(request: HubRequest) -> Response:
    """The commits of a revision, newest first, page by page."""
    repository = request.readable_repository()
    commit = check_revision(repository, request.parts["revision"])
    if "cursor" in request.query:
        commit = check_revision(repository, request.query["cursor"])
    formatted = "formatted" in request.query.getlist("expand[]") + request.query.getlist("expand")
    history = list(repository.git.history(commit))
    page, rest = history[:_COMMITS_ON_A_PAGE], history[_COMMITS_ON_A_PAGE:]
    headers = {}
    if rest:
        query = [(name, value) for name, value in request.query.multi_items() if name != "cursor"]
        following = urlencode([*query, ("cursor", rest[0].oid)])
        headers["Link"] = f'<{request.origin}{request.raw_path}?{following}>; rel="next"'
    return json_response([_commit_payload(each, repository, formatted) for each in page], headers=headers)


def _commit_payload(commit: Commit, repository: Repository, formatted: bool) -> dict[str, Any]:
    html = {"title": escape(commit.title), "message": f"<p>{escape(commit.message)}</p>\n"}
    return {
        "id": commit.oid,
        "title": commit.title,
        "message": commit.message,
        "authors": [{"user": commit.author or repository.owner}],
        "date": iso(commit.time),
        **({"formatted": html} if formatted else {}),
    }


def _squash(request: HubRequest) -> Response:
    """Replace the history of a branch by one commit."""
    repository, branch = request.writable_repository(), request.parts["revision"]
    refuse_pull_requests(request, branch)
    check_branch(repository, branch)
    title = str(request.body().get("message") or "Super-squash branch")
    commit = repository.squash(branch, title=title, author=request.require_token().user)
    return json_response({"commitOid": commit.oid})


ROUTES = [
    Route("POST", f"{REPOSITORY}/commit/{{revision:rest}}", _commit),
    Route("GET", f"{REPOSITORY}/commits/{{revision:rest}}", _list_commits),
    Route("POST", f"{REPOSITORY}/super-squash/{{revision:rest}}", _squash),
]
