"""The storage behind the Hub: uploads and downloads of large files, which never pass through memory.

The real Hub stores large files on other hosts. Requests to the storage need a signed address instead of a
token, count against no quota, and are not in the request log. Faults strike them like requests to the Hub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_hfspaces.emulator.faults.kinds import Delivery, deliver, replacement
from airflow_provider_hfspaces.emulator.http.ranges import file_response
from airflow_provider_hfspaces.emulator.http.responses import Refusal, json_response
from airflow_provider_hfspaces.emulator.model.large_files import Draft, LargeFiles, WrongContent
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.emulator.model.xet import read_shard, rebuild, xorb_name

__all__ = ["STORAGE", "Storage", "download_path", "part_path", "upload_path", "xet_path"]

STORAGE = "/_storage/"
"""The prefix of the storage's paths."""

_OID = "(?P<oid>[0-9a-f]{64})"
_XET = "xet/(?P<instance>[0-9a-f]+)/v1"
_MAX_PARTS = 10_000
"""Number of parts of one upload."""


def download_path(files: LargeFiles, oid: str) -> str:
    """The signed path from which a large file can be downloaded."""
    return f"{STORAGE}lfs/{oid}?signature={files.sign('get', oid)}"


def upload_path(files: LargeFiles, oid: str, size: int) -> str:
    """The signed path for the upload of a large file, and for completing an upload in parts."""
    return f"{STORAGE}lfs/{oid}?size={size}&signature={files.sign('put', oid, size)}"


def part_path(files: LargeFiles, oid: str, number: int) -> str:
    """The signed path to which one part of a large file can be uploaded."""
    return f"{STORAGE}lfs/{oid}/{number}?signature={files.sign('part', oid, number)}"


def xet_path(files: LargeFiles) -> str:
    """The path of the Xet storage.

    The path is another one after each start, because clients remember by it which chunks a storage has.
    """
    return f"{STORAGE}xet/{files.instance}"


class Storage:
    """Answers the requests of one emulator's storage."""

    def __init__(self, world: World) -> None:
        self._world, self._files = world, world.large_files
        routes: list[tuple[str, str, Callable[[Request, dict[str, str]], Awaitable[Response]]]] = [
            ("GET HEAD", f"lfs/{_OID}", self._download),
            ("PUT", f"lfs/{_OID}", self._upload),
            ("PUT", f"lfs/{_OID}/(?P<part>[0-9]+)", self._upload_part),
            ("POST", f"lfs/{_OID}", self._join_parts),
            ("POST", f"{_XET}/xorbs/[^/]+/(?P<xorb>[0-9a-f]{{64}})", self._upload_xorb),
            ("POST", f"{_XET}/shards", self._upload_shard),
        ]
        self._routes = [(methods.split(), re.compile(path), handler) for methods, path, handler in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with self._world.lock:
            fault = self._world.faults.strike(request.method, request.url.path)
        # A fault that lets the Hub act later lets the storage act at once.
        acts = fault is None or fault.acts_at_once or fault.acts_later
        try:
            response = await self._answer(request) if acts else Response()
        except ClientDisconnect:
            return
        if fault is None:
            await response(scope, receive, send)
        else:
            response = replacement(fault) or response
            await deliver(Delivery(fault, response, self._world, scope, receive, send))

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._route(request)
        except Refusal as refusal:
            return refusal.response()
        except WrongContent as problem:
            return Refusal(400, f"The storage rejects the upload: {problem}").response()

    async def _route(self, request: Request) -> Response:
        path = request.url.path.removeprefix(STORAGE)
        for methods, pattern, handler in self._routes:
            match = pattern.fullmatch(path)
            if match and request.method in methods:
                parts = match.groupdict()
                if "instance" in parts:
                    self._check_xet_token(request, parts["instance"])
                return await handler(request, parts)
        # Clients query known chunks, and probe newer ways to upload. After a 404 they upload without either.
        raise Refusal(404, f"This storage does not know {request.method} {request.url.path}")

    def _check(self, request: Request, *parts: object) -> None:
        if not self._files.is_signed(request.query_params.get("signature"), *parts):
            raise Refusal(403, "The signature of this address is not valid")

    def _check_xet_token(self, request: Request, instance: str) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if instance != self._files.instance or not self._files.is_signed(token, "xet", instance):
            raise Refusal(401, "The token for this storage is not valid")

    async def _download(self, request: Request, parts: dict[str, str]) -> Response:
        oid = parts["oid"]
        self._check(request, "get", oid)
        if oid not in self._files:
            raise Refusal(404, "The storage does not have this file")
        headers = {"ETag": f'"{oid}"', "Content-Type": "application/octet-stream"}
        requested = request.headers.get("range")
        return file_response(self._files.path(oid), requested, headers, head=request.method == "HEAD")

    async def _upload(self, request: Request, parts: dict[str, str]) -> Response:
        oid, size = parts["oid"], _size(request)
        self._check(request, "put", oid, size)
        draft = await self._receive(request)
        self._files.keep(draft, oid=oid, size=size)
        return Response(headers={"ETag": f'"{oid}"'})

    async def _upload_part(self, request: Request, parts: dict[str, str]) -> Response:
        oid, number = parts["oid"], int(parts["part"])
        self._check(request, "part", oid, number)
        draft = await self._receive(request)
        digest = draft.close()
        draft.path.replace(self._files.path(f"part-{oid}-{number}"))
        return Response(headers={"ETag": f'"{digest}"'})

    async def _join_parts(self, request: Request, parts: dict[str, str]) -> Response:
        oid, size = parts["oid"], _size(request)
        self._check(request, "put", oid, size)
        body = await self._json(request)
        listed = body.get("parts")
        if not isinstance(listed, list) or not 0 < len(listed) <= _MAX_PARTS:
            raise Refusal(400, '"parts" must be an array')
        paths = [self._files.path(f"part-{oid}-{number}") for number in range(1, len(listed) + 1)]
        if not all(path.exists() for path in paths):
            raise Refusal(400, "A part has not been uploaded")
        await run_in_threadpool(self._files.join, paths, oid=oid, size=size)
        for path in paths:
            path.unlink(missing_ok=True)
        return json_response({"oid": oid})

    async def _upload_xorb(self, request: Request, parts: dict[str, str]) -> Response:
        path = self._files.path(xorb_name(parts["xorb"]))
        inserted = not path.exists()
        draft = await self._receive(request)
        draft.close()
        draft.path.replace(path)
        return json_response({"was_inserted": inserted})

    async def _upload_shard(self, request: Request, parts: dict[str, str]) -> Response:
        for file in read_shard(await request.body()):
            await run_in_threadpool(rebuild, file, self._files)
        return json_response({"result": 1})

    async def _receive(self, request: Request) -> Draft:
        draft = self._files.draft()
        try:
            async for content in request.stream():
                draft.write(content)
        except BaseException:
            draft.discard()
            raise
        return draft

    async def _json(self, request: Request) -> dict[str, Any]:
        try:
            body = json.loads(await request.body())
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise Refusal(400, "The body must be a JSON object")
        return body


def _size(request: Request) -> int:
    """The announced size of an upload."""
    size = request.query_params.get("size", "")
    return int(size) if size.isascii() and size.isdigit() else -1
