"""Lists of the files and folders of a repository."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import check_revision
from airflow_provider_hfspaces.emulator.http.payloads import file_payload
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, Route
from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.git import Commit, blob_oid, digest, folders_of

__all__ = ["ROUTES"]

_ON_A_PAGE, _ON_AN_EXPANDED_PAGE = 1000, 50


def _tree(request: HubRequest) -> Response:
    """List a folder, page by page. With ``recursive``, also the content of its subfolders."""
    repository = request.readable_repository()
    commit = check_revision(repository, request.parts["revision"])
    folder, expand = request.parts.get("path", "").strip("/"), _is_true(request.query.get("expand"))
    recursive = _is_true(request.query.get("recursive"))
    paths = sorted(_inside(commit.files, folder, recursive=recursive))
    if folder and not paths:
        raise Refusal(404, f"{folder} does not exist on {request.parts['revision']!r}", code="EntryNotFound")
    after, limit = request.query.get("cursor"), _limit(request, expand)
    remaining = [path for path in paths if after is None or path > after]
    page = remaining[:limit]
    headers = {}
    if len(remaining) > limit:
        query = [(name, value) for name, value in request.query.multi_items() if name != "cursor"]
        following = urlencode([*query, ("cursor", page[-1])])
        headers["Link"] = f'<{request.origin}{request.raw_path}?{following}>; rel="next"'
    changes = repository.git.last_changes(commit) if expand else None
    return json_response([_entry(path, commit, changes) for path in page], headers=headers)


def _paths_info(request: HubRequest) -> Response:
    """List the requested files and folders. Paths that do not exist are left out."""
    repository = request.readable_repository()
    commit = check_revision(repository, request.parts["revision"])
    if "json" in request.headers.get("content-type", ""):
        body = request.body()
        paths, expand = body.get("paths") or [], body.get("expand")
    else:
        form = request.form()
        paths, expand = form.getlist("paths"), form.get("expand")
    existing = {*commit.files, *(folder for path in commit.files for folder in folders_of(path))}
    changes = repository.git.last_changes(commit) if _is_true(expand) else None
    requested = (str(path).strip("/") for path in (paths if isinstance(paths, list) else [paths]))
    return json_response(
        [_entry(path, commit, changes) for path in dict.fromkeys(requested) if path in existing]
    )


def _inside(paths: Iterable[str], folder: str, *, recursive: bool) -> set[str]:
    """The paths in a folder. An empty name stands for the whole repository."""
    prefix = f"{folder}/" if folder else ""
    inside = {
        each
        for path in paths
        if path.startswith(prefix)
        for each in (path, *folders_of(path))
        if len(each) > len(prefix) and each.startswith(prefix)
    }
    return inside if recursive else {path for path in inside if "/" not in path[len(prefix) :]}


def _entry(path: str, commit: Commit, changes: Mapping[str, Commit] | None) -> dict[str, Any]:
    if path in commit.files:
        entry = file_payload(path, commit.files[path])
    else:
        content = sorted(
            (each, blob_oid(data)) for each, data in commit.files.items() if each.startswith(f"{path}/")
        )
        entry = {"type": "directory", "oid": digest(*content)[:40], "size": 0, "path": path}
    if changes is not None:
        last = changes[path]
        entry["lastCommit"] = {"id": last.oid, "title": last.title, "date": iso(last.time)}
    return entry


def _limit(request: HubRequest, expand: bool) -> int:
    most = _ON_AN_EXPANDED_PAGE if expand else _ON_A_PAGE
    limit = request.query.get("limit")
    if limit is None:
        return most
    if not (limit.isascii() and limit.isdigit()) or int(limit) < 1:
        raise Refusal(400, '"limit" must be a positive number')
    return min(int(limit), most)


def _is_true(value: Any) -> bool:
    return str(value).lower() in ("true", "1")


ROUTES = [
    Route("GET", f"{REPOSITORY}/tree/{{revision}}", _tree),
    Route("GET", f"{REPOSITORY}/tree/{{revision}}/{{path:rest}}", _tree),
    Route("POST", f"{REPOSITORY}/paths-info/{{revision}}", _paths_info),
]
