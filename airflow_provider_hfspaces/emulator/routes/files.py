"""The files of a repository."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import check_branch, check_revision
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, answer
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, Route
from airflow_provider_hfspaces.emulator.model.git import blob_oid

__all__ = ["ROUTES"]


def _preupload(request: HubRequest) -> Response:
    """How each file is to be uploaded. Here, all of them are regular files."""
    last = check_branch(request.writable_repository(), request.parts["revision"])
    files = request.body().get("files")
    if not isinstance(files, list) or not all(isinstance(each, dict) for each in files):
        raise Refusal(400, '"files" must be an array')
    modes = []
    for each in files:
        path = str(each.get("path"))
        known = {"oid": blob_oid(last.files[path])} if path in last.files else {}
        modes.append({"path": path, "uploadMode": "regular", "shouldIgnore": False, **known})
    return answer({"files": modes, "commitOid": last.oid})


def _tree(request: HubRequest) -> Response:
    commit = check_revision(request.readable_repository(), request.parts["revision"])
    folder = request.parts.get("path", "").strip("/")
    prefix = f"{folder}/" if folder else ""
    recursive = request.query.get("recursive", "").lower() in ("true", "1")
    entries: dict[str, Any] = {}
    for path, content in sorted(commit.files.items()):
        if not path.startswith(prefix):
            continue
        inner, slash, _ = path[len(prefix) :].partition("/")
        if slash:
            entries.setdefault(f"{prefix}{inner}", _directory(f"{prefix}{inner}"))
        if not slash or recursive:
            entries[path] = _file(path, content)
    if folder and not entries:
        raise Refusal(404, f"{folder} does not exist on {request.parts['revision']!r}", code="EntryNotFound")
    return answer([entries[path] for path in sorted(entries)])


def _paths_info(request: HubRequest) -> Response:
    files = check_revision(request.readable_repository(), request.parts["revision"]).files
    if "json" in request.headers.get("content-type", ""):
        paths = request.body().get("paths") or []
    else:
        paths = request.form().getlist("paths")
    wanted = paths if isinstance(paths, list) else [paths]
    return answer([_file(path, files[path]) for path in wanted if isinstance(path, str) and path in files])


def _file(path: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "oid": blob_oid(content), "size": len(content), "path": path}


def _directory(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "oid": blob_oid(path.encode()), "size": 0}


def _resolve(request: HubRequest) -> Response:
    """A file at a branch or a commit. A branch may be behind by ``timings.branch_lag``."""
    repository, revision = request.readable_repository(), request.parts["revision"]
    check_revision(repository, revision)
    time = repository.now() - request.world.settings.timings.branch_lag
    commit = repository.git.find(revision, branches_at=time)
    path = request.parts["path"]
    if commit is None or path not in commit.files:
        raise Refusal(404, "Entry not found", code="EntryNotFound")
    content = commit.files[path]
    headers = {
        "X-Repo-Commit": commit.oid,
        "ETag": f'"{blob_oid(content)}"',
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'inline; filename="{path.rpartition("/")[2]}"',
        "Content-Type": "text/plain; charset=utf-8",
    }
    if request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(len(content))})
    return Response(content, headers=headers)


def _resolve_model(request: HubRequest) -> Response:
    request.parts["route"] = "models"
    return _resolve(request)


_RESOLVE = "resolve/{revision}/{path:rest}"
ROUTES = [
    Route("POST", f"{REPOSITORY}/preupload/{{revision:rest}}", _preupload),
    Route("GET", f"{REPOSITORY}/tree/{{revision}}", _tree),
    Route("GET", f"{REPOSITORY}/tree/{{revision}}/{{path:rest}}", _tree),
    Route("POST", f"{REPOSITORY}/paths-info/{{revision}}", _paths_info),
    Route("GET HEAD", f"/{{route:spaces|datasets}}/{{owner}}/{{name}}/{_RESOLVE}", _resolve),
    Route("GET HEAD", f"/{{owner}}/{{name}}/{_RESOLVE}", _resolve_model),
]
