"""AppCoroutines: the methods of ``SpaceApp`` for coroutines."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.hub.closing import AsyncClosing
from airflow_provider_hfspaces.hub.collector import quiet_collector
from airflow_provider_hfspaces.hub.http.sequence import Steps, aexecute
from airflow_provider_hfspaces.space_app.base import (
    CALL_SECONDS,
    CANCEL_SECONDS,
    DOWNLOAD_SECONDS,
    PATIENCE_SECONDS,
    PROBE_SECONDS,
    REQUEST_SECONDS,
    SHARED_CONNECTIONS,
    AppBase,
)
from airflow_provider_hfspaces.space_app.core import Deadline
from airflow_provider_hfspaces.space_app.errors import AppUnavailable, SpaceAppError
from airflow_provider_hfspaces.space_app.gradio.call import cancel
from airflow_provider_hfspaces.space_app.gradio.description import AppDescription
from airflow_provider_hfspaces.space_app.gradio.session import SharedSession
from airflow_provider_hfspaces.space_app.health import AppHealth
from airflow_provider_hfspaces.space_app.health_check import HealthCheck
from airflow_provider_hfspaces.space_app.listener import AcceptedCall, AppListener
from airflow_provider_hfspaces.space_app.plain import AppResponse, Poll
from airflow_provider_hfspaces.space_app.result import AppResult

__all__ = ["AppCoroutines"]


class AppCoroutines(AppBase, AsyncClosing):
    """The methods of :class:`~airflow_provider_hfspaces.space_app.app.SpaceApp` for coroutines."""

    async def acall(
        self,
        api: str | int,
        inputs: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        timeout: float = CALL_SECONDS,
        listener: AppListener | None = None,
        recover: Callable[[AppUnavailable], Any] | None = None,
        patience: float = PATIENCE_SECONDS,
        allow_unlisted: bool = False,
    ) -> AppResult:
        """Call an endpoint of a Gradio app, see :meth:`call`.

        Cancelling the coroutine cancels the call in the app.
        """
        call = self._asking.call(
            api, inputs, timeout, listener, recover, patience, allow_unlisted=allow_unlisted
        )
        with quiet_collector.counting():
            turns = await self._begin_turn(call)
            try:
                return await self._arun(call.steps())
            except BaseException:
                if call.accepted is not None:
                    with contextlib.suppress(SpaceAppError):
                        await self.acancel(call.accepted)
                raise
            finally:
                self._calls.discard(call)
                turns.release()

    async def arequest(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        timeout: float = REQUEST_SECONDS,
        answer: str = "json",
        poll: Poll | Mapping[str, Any] | float | bool | None = None,
    ) -> AppResponse:
        """Send a plain HTTP request to the app, see :meth:`request`."""
        steps = self._asking.request(method, path, json, content, headers, query, timeout, answer, poll)
        with quiet_collector.counting():
            return await self._arun(steps)

    async def adescribe(self, *, timeout: float = REQUEST_SECONDS) -> AppDescription:
        """Return the declaration of a Gradio app, see :meth:`describe`."""
        return await self._arun(self._asking.describe(timeout))

    async def acheck(
        self,
        api: str | int,
        inputs: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        allow_unlisted: bool = False,
        timeout: float = REQUEST_SECONDS,
    ) -> None:
        """Compare a call with the app's declaration, see :meth:`check`."""
        await self._arun(self._asking.check(api, inputs, allow_unlisted, timeout))

    async def ahealth(
        self, path: str | HealthCheck = "/", *, expect: Any = None, timeout: float = PROBE_SECONDS
    ) -> AppHealth:
        """Return whether the app answered as expected, see :meth:`health`."""
        return await self._arun(self._asking.health(path, expect, timeout))

    async def aupload(self, *sources: Any, timeout: float = DOWNLOAD_SECONDS) -> list[dict[str, Any]]:
        """Upload files for several calls, see :meth:`upload`."""
        return await self._arun(self._asking.upload(sources, timeout))

    async def adownload(
        self,
        file: Mapping[str, Any] | str,
        target: Any,
        *,
        replica: str | None = None,
        timeout: float = DOWNLOAD_SECONDS,
    ) -> int:
        """Download a file of an answer, see :meth:`download`."""
        return await self._arun(self._asking.download(file, target, replica, timeout))

    async def acancel(self, call: AcceptedCall | None = None, *, timeout: float = CANCEL_SECONDS) -> int:
        """Cancel one call in the app, or all calls in flight, see :meth:`cancel`."""
        calls = [call] if call is not None else self.in_flight
        deadline = Deadline(timeout, self._core.clock)
        for each in calls:
            await self._arun(cancel(self._core, each, deadline))
        return len(calls)

    def shared_session(self) -> SharedSession:
        """Return a session that reads the answers to many calls over one connection, see its limits."""
        transport = self._new_loop_transport(connections=SHARED_CONNECTIONS)

        def run(steps: Steps[Any]) -> Awaitable[Any]:
            return aexecute(steps, transport.send, sleep=self._async_sleep)

        return SharedSession(self._core, run, transport.aclose)

    async def aclose(self) -> None:
        """Close all connections."""
        self.close()
        if self._loop_transport is not None:
            await self._loop_transport.aclose()
            self._loop_transport = None
