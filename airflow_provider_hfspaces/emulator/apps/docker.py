"""PlainApp, the built-in app of Docker Spaces: JSON in and out, and jobs that callers poll."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from airflow_provider_hfspaces.emulator.apps.choice import DockerApp
from airflow_provider_hfspaces.emulator.apps.gradio.context import Host
from airflow_provider_hfspaces.emulator.apps.timing import AppTime

__all__ = ["PlainApp"]


@dataclass
class _Job:
    status: str
    seconds: float
    value: Any
    error: str | None = None
    work: asyncio.Task[None] | None = None


class PlainApp:
    """The plain HTTP app of one replica. docs/emulator.md lists its routes.

    :param app: the options.
    :param time: the time in which jobs run.
    :param host: the Space and the replica.
    """

    lives_in_emulated_time = True

    def __init__(self, app: DockerApp, *, time: AppTime, host: Host) -> None:
        self._app, self._time, self._host = app, time, host
        self._jobs: dict[str, _Job] = {}

    async def start(self) -> None:
        """Do nothing: the app serves at once."""

    async def stop(self) -> None:
        """Cancel and forget all jobs."""
        tasks = [job.work for job in self._jobs.values() if job.work is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        assert scope["type"] == "http"
        await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        parts = request.url.path.strip("/").split("/")
        if method == "GET" and parts == [""]:
            return HTMLResponse(
                f"<!doctype html><title>{self._host.repo_id}</title><h1>A plain HTTP app</h1>"
            )
        if method == "GET" and parts == ["health"]:
            return JSONResponse({"ok": True})
        if method == "GET" and parts == ["machine"]:
            host = self._host
            return JSONResponse({"space": host.repo_id, "replica": host.replica, "hardware": host.hardware()})
        if method == "GET" and parts == ["headers"]:
            return JSONResponse(dict(request.headers))
        if parts[:2] == ["v1", "jobs"] and len(parts) == 3:
            return self._job(method, parts[2])
        if method == "POST" and len(parts) == 2 and parts[0] == "v1":
            return await self._answer_post(request, parts[1])
        return JSONResponse({"error": "not found"}, 404)

    async def _answer_post(self, request: Request, what: str) -> Response:
        content = await request.body()
        if what == "files":
            return JSONResponse({"size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
        try:
            body = json.loads(content)
        except ValueError:
            return JSONResponse({"error": "the body is not JSON"}, 400)
        if what == "echo":
            await self._time.sleep(self._app.seconds)
            return JSONResponse(body)
        if not isinstance(body, dict):
            return JSONResponse({"error": "the body must be a JSON object"}, 422)
        if what == "slow":
            await self._time.sleep(self._app.seconds + float(body.get("seconds", 1)))
            return JSONResponse(body)
        if what == "jobs":
            return self._new_job(body)
        return JSONResponse({"error": "not found"}, 404)

    def _new_job(self, body: dict[str, Any]) -> Response:
        job_id = uuid.uuid4().hex
        job = _Job(
            "queued", self._app.seconds + float(body.get("seconds", 1)), body.get("value"), body.get("error")
        )
        job.work = asyncio.ensure_future(self._work(job))
        self._jobs[job_id] = job
        return self._job_response(job_id, job)

    async def _work(self, job: _Job) -> None:
        job.status = "running"
        await self._time.sleep(job.seconds)
        job.status = "done" if job.error is None else "failed"

    def _job(self, method: str, job_id: str) -> Response:
        job = self._jobs.get(job_id)
        if job is None:
            return JSONResponse({"error": "no such job"}, 404)
        if method == "DELETE":
            if job.work is not None:
                job.work.cancel()
            job.status = "cancelled"
            return Response(status_code=204)
        return self._job_response(job_id, job)

    def _job_response(self, job_id: str, job: _Job) -> Response:
        address = f"/v1/jobs/{job_id}"
        body: dict[str, Any] = {"id": job_id, "status": job.status, "status_url": address}
        if job.status in ("queued", "running"):
            return JSONResponse(body, 202, {"Location": address, "Retry-After": "1"})
        if job.status == "done":
            body["result"] = job.value
        elif job.error is not None:
            body["error"] = job.error
        return JSONResponse(body)
