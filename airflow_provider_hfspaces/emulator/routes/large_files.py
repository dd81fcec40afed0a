"""The addresses for uploads and downloads of large files: the batch API of Git LFS, and the tokens of Xet."""

from __future__ import annotations

import math
import re
import time
from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import check_revision
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, Route
from airflow_provider_hfspaces.emulator.http.storage import download_path, part_path, upload_path, xet_path

__all__ = ["ROUTES"]

_OID = re.compile(r"[0-9a-f]{64}")
_TOKEN_SECONDS = 3600
"""Lifetime of a Xet token."""

_MAX_BYTES = 2**53
"""Maximum size of a large file."""


def _batch(request: HubRequest) -> Response:
    """The address for the upload or download of each object."""
    body = request.body()
    operation, objects = body.get("operation"), body.get("objects")
    if operation not in ("upload", "download"):
        raise Refusal(422, '"operation" must be one of [upload, download]')
    if not isinstance(objects, list):
        raise Refusal(422, '"objects" must be an array')
    if operation == "upload":
        request.writable_repository()
    else:
        request.readable_repository()
    transfers = body.get("transfers")
    may_split = isinstance(transfers, list) and "multipart" in transfers
    entries = [
        _upload(request, *_check_object(each), may_split=may_split)
        if operation == "upload"
        else _download(request, *_check_object(each))
        for each in objects
    ]
    return json_response({"transfer": "multipart" if may_split else "basic", "objects": entries})


def _check_object(each: Any) -> tuple[str, int]:
    """Return the SHA-256 and the size in bytes of an object; raise a 422 if they are not valid."""
    oid, size = (each.get("oid"), each.get("size")) if isinstance(each, dict) else (None, None)
    valid = isinstance(oid, str) and isinstance(size, int) and not isinstance(size, bool)
    if not valid or not _OID.fullmatch(str(oid)) or not 0 <= int(size or 0) <= _MAX_BYTES:
        raise Refusal(422, "Each object must have an oid, which is a SHA-256, and a size")
    return str(oid), int(size or 0)


def _upload(request: HubRequest, oid: str, size: int, *, may_split: bool) -> dict[str, Any]:
    files, origin = request.world.large_files, request.origin
    if oid in files:
        return {"oid": oid, "size": size}
    part_bytes = int(request.world.settings.lfs_part_bytes)
    header: dict[str, str] = {}
    if may_split and size > part_bytes:
        header["chunk_size"] = str(part_bytes)
        for number in range(1, math.ceil(size / part_bytes) + 1):
            header[f"{number:05}"] = f"{origin}{part_path(files, oid, number)}"
    verify = re.sub(r"/batch$", "/verify", f"{origin}{request.raw_path}")
    return {
        "oid": oid,
        "size": size,
        "authenticated": True,
        "actions": {
            "upload": {"href": f"{origin}{upload_path(files, oid, size)}", "header": header},
            "verify": {"href": verify},
        },
    }


def _download(request: HubRequest, oid: str, size: int) -> dict[str, Any]:
    files = request.world.large_files
    if oid not in files:
        return {"oid": oid, "size": size, "error": {"code": 404, "message": "Object does not exist"}}
    return {
        "oid": oid,
        "size": size,
        "authenticated": True,
        "actions": {"download": {"href": f"{request.origin}{download_path(files, oid)}"}},
    }


def _verify(request: HubRequest) -> Response:
    """Answer 200 if an object has been uploaded completely, 404 if not."""
    request.writable_repository()
    oid, size = _check_object(request.body())
    files = request.world.large_files
    if oid not in files or files.size(oid) != size:
        raise Refusal(404, f"The object {oid} has not been uploaded")
    return json_response({})


def _xet_write_token(request: HubRequest) -> Response:
    repository = request.writable_repository()
    return _xet_token(request, check_revision(repository, request.parts["revision"]).oid)


def _xet_read_token(request: HubRequest) -> Response:
    repository = request.readable_repository()
    return _xet_token(request, check_revision(repository, request.parts["revision"]).oid)


def _xet_token(request: HubRequest, oid: str) -> Response:
    files = request.world.large_files
    token, url = files.sign("xet", files.instance), f"{request.origin}{xet_path(files)}"
    expires = int(time.time()) + _TOKEN_SECONDS  # in real time, because clients compare it with their clock
    headers = {
        "X-Repo-Commit": oid,
        "X-Xet-Cas-Url": url,
        "X-Xet-Access-Token": token,
        "X-Xet-Token-Expiration": str(expires),
    }
    return json_response({"accessToken": token, "exp": expires, "casUrl": url}, headers=headers)


def _batch_of_a_model(request: HubRequest) -> Response:
    request.parts["route"] = "models"
    return _batch(request)


def _verify_of_a_model(request: HubRequest) -> Response:
    request.parts["route"] = "models"
    return _verify(request)


_LFS = "{owner}/{name}.git/info/lfs/objects"
ROUTES = [
    Route("POST", f"/{{route:spaces|datasets}}/{_LFS}/batch", _batch),
    Route("POST", f"/{{route:spaces|datasets}}/{_LFS}/verify", _verify),
    Route("POST", f"/{_LFS}/batch", _batch_of_a_model),
    Route("POST", f"/{_LFS}/verify", _verify_of_a_model),
    Route("GET", f"{REPOSITORY}/xet-write-token/{{revision:rest}}", _xet_write_token),
    Route("GET", f"{REPOSITORY}/xet-read-token/{{revision:rest}}", _xet_read_token),
]
