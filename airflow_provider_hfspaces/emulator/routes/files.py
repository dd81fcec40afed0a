"""The files of a repository: how to upload them (``preupload``), and their content (``resolve``)."""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import check_branch, check_path, check_revision
from airflow_provider_hfspaces.emulator.http.ranges import content_response, file_response
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response, repository_not_found
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, Route
from airflow_provider_hfspaces.emulator.model.git import LARGEST_FILE_BYTES, blob_oid
from airflow_provider_hfspaces.emulator.model.large_files import read_pointer
from airflow_provider_hfspaces.emulator.model.patterns import lfs_patterns, patterns
from airflow_provider_hfspaces.emulator.routes.commits import refuse_pull_requests

__all__ = ["ROUTES"]


def _preupload(request: HubRequest) -> Response:
    """Tell the client how to upload each file, and whether ``.gitignore`` excludes the file."""
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
    outside_git = lfs_patterns(last.files.get(".gitattributes", b"").decode(errors="replace"))
    modes = []
    for each in files:
        path, size = check_path(each.get("path")), each.get("size")
        is_large = isinstance(size, (int, float)) and size > LARGEST_FILE_BYTES
        modes.append(
            {
                "path": path,
                "uploadMode": "lfs" if is_large or outside_git.match_file(path) else "regular",
                "shouldIgnore": ignored.match_file(path),
                **_current_id(last.files.get(path)),
            }
        )
    return json_response({"files": modes, "commitOid": last.oid})


def _current_id(content: bytes | None) -> dict[str, str]:
    """The current id of a file, by which clients notice that the file has not changed."""
    if content is None:
        return {}
    pointer = read_pointer(content)
    return {"oid": pointer.oid if pointer else blob_oid(content)}


def _resolve(request: HubRequest) -> Response:
    """Send a file at a branch, a tag or a commit. A branch lags behind by ``timings.branch_lag`` seconds.

    Large files are read from the storage.
    """
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
        "Content-Disposition": _disposition(path.rpartition("/")[2]),
        "Content-Type": "text/plain; charset=utf-8",
    }
    pointer, requested = read_pointer(content), request.headers.get("range")
    large_files = request.world.large_files
    if pointer is not None and pointer.oid in large_files:
        # The Hub redirects to its storage on another host, and sends the size and the id of the file there in
        # these headers. The emulator does not redirect: the official client would follow a redirect to the
        # same host, and then miss the commit id.
        headers["X-Linked-Size"], headers["X-Linked-ETag"] = str(pointer.size), f'"{pointer.oid}"'
        headers["ETag"], headers["Content-Type"] = f'"{pointer.oid}"', "application/octet-stream"
        path_on_disk = large_files.path(pointer.oid)
        return file_response(path_on_disk, requested, headers, head=request.method == "HEAD")
    if request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(len(content))})
    return content_response(content, requested, headers)


def _disposition(name: str) -> str:
    """The Content-Disposition of a file, whose name may contain characters that headers cannot."""
    plain = re.sub(r"[^ !#-\[\]-~]", "_", name)
    return f"inline; filename*=UTF-8''{quote(name)}; filename=\"{plain}\""


def _resolve_model(request: HubRequest) -> Response:
    request.parts["route"] = "models"
    return _resolve(request)


def _no_owner(request: HubRequest) -> Response:
    raise request.unauthorized() if request.token is None else repository_not_found()


_RESOLVE = "resolve/{revision}/{path:rest}"
ROUTES = [
    Route("POST", f"{REPOSITORY}/preupload/{{revision:rest}}", _preupload),
    Route("GET HEAD", f"/{{route:spaces|datasets}}/{{owner}}/{{name}}/{_RESOLVE}", _resolve),
    Route("GET HEAD", f"/{{owner}}/{{name}}/{_RESOLVE}", _resolve_model),
    Route("GET HEAD", f"/{{name}}/{_RESOLVE}", _no_owner),
]
