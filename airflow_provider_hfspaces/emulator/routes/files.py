"""The files of a repository."""

from __future__ import annotations

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import check_branch, check_path, check_revision
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, answer
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, Route
from airflow_provider_hfspaces.emulator.model.git import blob_oid
from airflow_provider_hfspaces.emulator.model.patterns import patterns
from airflow_provider_hfspaces.emulator.routes.commits import refuse_pull_requests

__all__ = ["ROUTES"]


def _preupload(request: HubRequest) -> Response:
    """How each file is to be uploaded, and whether ``.gitignore`` excludes it."""
    repository, branch = request.writable_repository(), request.parts["revision"]
    refuse_pull_requests(request, branch)
    last = check_branch(repository, branch)
    body = request.body()
    files, ignore = body.get("files"), body.get("gitIgnore")
    if not isinstance(files, list) or not all(isinstance(each, dict) for each in files):
        raise Refusal(400, '"files" must be an array')
    if not isinstance(ignore, str):
        ignore = last.files.get(".gitignore", b"").decode(errors="replace")
    ignored = patterns(ignore)
    modes = []
    for each in files:
        path = check_path(each.get("path"))
        known = {"oid": blob_oid(last.files[path])} if path in last.files else {}
        modes.append(
            {"path": path, "uploadMode": "regular", "shouldIgnore": ignored.match_file(path), **known}
        )
    return answer({"files": modes, "commitOid": last.oid})


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
    Route("GET HEAD", f"/{{route:spaces|datasets}}/{{owner}}/{{name}}/{_RESOLVE}", _resolve),
    Route("GET HEAD", f"/{{owner}}/{{name}}/{_RESOLVE}", _resolve_model),
]
