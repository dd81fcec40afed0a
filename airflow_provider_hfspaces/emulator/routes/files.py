"""The files of a Space: what the official client asks for when it uploads and reads a few small ones."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.routes.checks import check_revision
from airflow_provider_hfspaces.emulator.routes.request import Call
from airflow_provider_hfspaces.emulator.routes.responses import Refusal, answer, rights
from airflow_provider_hfspaces.emulator.routes.routing import Route

__all__ = ["ROUTES"]

_SPACE = "/api/spaces/{owner}/{name}"
_LARGEST = 10 * 1024 * 1024
"""Bytes; the Hub keeps what is larger elsewhere, which the emulator does not."""


def _preupload(call: Call) -> Response:
    space = _writable(call)
    check_revision(space, call.parts.get("revision", "main"))
    files = call.body().get("files")
    if not isinstance(files, list):
        raise Refusal(400, '"files" must be an array')
    modes = []
    for each in files:
        path = str(each.get("path"))
        there = space.files.get(path)
        known = {} if there is None else {"oid": _oid(there)}
        modes.append({"path": path, "uploadMode": "regular", "shouldIgnore": False, **known})
    return answer({"files": modes})


def _commit(call: Call) -> Response:
    space = _writable(call)
    check_revision(space, call.parts.get("revision", "main"))
    changes: dict[str, bytes | None] = {}
    for line in call.content.decode(errors="replace").splitlines():
        if line.strip():
            _read_operation(space, line, changes)
    sha = space.commit(changes)
    return answer(
        {
            "success": True,
            "commitOid": sha,
            "commitUrl": f"{call.origin}/spaces/{space.repo_id}/commit/{sha}",
            "hookOutput": "",
        }
    )


def _read_operation(space: Space, line: str, changes: dict[str, bytes | None]) -> None:
    try:
        operation = json.loads(line)
        key, value = operation["key"], operation["value"]
        if key == "header":
            return
        path = str(value["path"])
        if key == "file":
            content = str(value["content"])
            encoded = value.get("encoding") == "base64"
            changes[path] = base64.b64decode(content, validate=True) if encoded else content.encode()
            if len(changes[path] or b"") > _LARGEST:
                raise Refusal(400, f"{path} is too large for a commit: use LFS")
        elif key == "deletedFile":
            if path not in space.files:
                raise Refusal(404, "A file with this name doesn't exist", code="EntryNotFound")
            changes[path] = None
        elif key == "deletedFolder":
            folder = f"{path.rstrip('/')}/"
            changes.update({each: None for each in space.files if each.startswith(folder)})
        else:
            raise Refusal(400, f"This emulated Hub keeps no {key}: commit small files only")
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise Refusal(400, "Invalid line in the commit") from None


def _tree(call: Call) -> Response:
    space = call.space()
    check_revision(space, call.parts.get("revision", "main"))
    folder = call.parts.get("path", "").strip("/")
    prefix = f"{folder}/" if folder else ""
    recursive = call.query.get("recursive", "").lower() in ("true", "1")
    entries: dict[str, Any] = {}
    for path, content in sorted(space.files.items()):
        if not path.startswith(prefix):
            continue
        inner, slash, _ = path[len(prefix) :].partition("/")
        if slash:
            entries.setdefault(
                f"{prefix}{inner}",
                {
                    "type": "directory",
                    "path": f"{prefix}{inner}",
                    "oid": _oid(f"{prefix}{inner}".encode()),
                    "size": 0,
                },
            )
        if not slash or recursive:
            entries[path] = _file(path, content)
    if folder and not entries:
        raise Refusal(404, f"{folder} does not exist on {call.parts['revision']!r}", code="EntryNotFound")
    return answer([entries[path] for path in sorted(entries)])


def _paths_info(call: Call) -> Response:
    space = call.space()
    check_revision(space, call.parts.get("revision", "main"))
    if "json" in call.headers.get("content-type", ""):
        asked = call.body().get("paths") or []
    else:
        asked = call.form().getlist("paths")
    wanted = [asked] if isinstance(asked, str) else asked
    return answer([_file(path, space.files[path]) for path in wanted if path in space.files])


def _file(path: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "oid": _oid(content), "size": len(content), "path": path}


def _refs(call: Call) -> Response:
    space = call.space()
    main = {"name": "main", "ref": "refs/heads/main", "targetCommit": space.sha}
    return answer({"branches": [main], "converts": [], "tags": []})


def _commits(call: Call) -> Response:
    space = call.space()
    check_revision(space, call.parts.get("revision", "main"))
    last = {
        "id": space.sha,
        "title": "Update the Space",
        "message": "",
        "authors": [{"user": space.creator or space.owner}],
        "date": iso(space.modified),
    }
    return answer([last])


def _resolve(call: Call) -> Response:
    space = call.ungated_space()
    check_revision(space, call.parts.get("revision", "main"))
    content = space.files.get(call.parts["path"])
    if content is None:
        raise Refusal(404, "Entry not found", code="EntryNotFound")
    headers = {
        "X-Repo-Commit": space.sha,
        "ETag": f'"{_oid(content)}"',
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'inline; filename="{call.parts["path"].rpartition("/")[2]}"',
        "Content-Type": "text/plain; charset=utf-8",
    }
    if call.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(len(content))})
    return Response(content, headers=headers)


def _writable(call: Call) -> Space:
    space = call.space()
    if not call.world.may_write(call.known(), space.owner, space):
        raise rights("commit to this repository")
    return space


def _oid(content: bytes) -> str:
    """As git names a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


ROUTES = [
    Route("POST", f"{_SPACE}/preupload/{{revision}}", _preupload),
    Route("POST", f"{_SPACE}/commit/{{revision}}", _commit),
    Route("GET", f"{_SPACE}/tree/{{revision}}", _tree),
    Route("GET", f"{_SPACE}/tree/{{revision}}/{{path:rest}}", _tree),
    Route("POST", f"{_SPACE}/paths-info/{{revision}}", _paths_info),
    Route("GET", f"{_SPACE}/refs", _refs),
    Route("GET", f"{_SPACE}/commits/{{revision}}", _commits),
    Route("GET HEAD", "/spaces/{owner}/{name}/resolve/{revision}/{path:rest}", _resolve),
]
