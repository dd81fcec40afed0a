"""AppHandover: the methods of ``SpaceApp`` that send a call in one process and read its answer in another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.hub.errors import InvalidInput
from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.hub.seconds import checked_seconds
from airflow_provider_hfspaces.space_app.asking import ANSWERS, checked_api
from airflow_provider_hfspaces.space_app.base import REQUEST_SECONDS
from airflow_provider_hfspaces.space_app.core import Deadline
from airflow_provider_hfspaces.space_app.coroutines import AppCoroutines
from airflow_provider_hfspaces.space_app.gradio.describing import describe
from airflow_provider_hfspaces.space_app.gradio.handover import ReadingCall, SendingCall
from airflow_provider_hfspaces.space_app.listener import AppListener
from airflow_provider_hfspaces.space_app.plain import (
    AppResponse,
    Poll,
    follow_steps,
    start_steps,
)
from airflow_provider_hfspaces.space_app.plain_checks import checked_request
from airflow_provider_hfspaces.space_app.result import AppResult
from airflow_provider_hfspaces.space_app.started import StartedCall

__all__ = ["AppHandover"]


class AppHandover(AppCoroutines):
    """The methods of :class:`~airflow_provider_hfspaces.space_app.app.SpaceApp` for calls in two halves."""

    def start(
        self,
        api: str | int,
        inputs: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        timeout: float = REQUEST_SECONDS,
        allow_unlisted: bool = False,
    ) -> StartedCall:
        """Send a call of a Gradio app once, without reading its answer.

        :param inputs: as for :meth:`call`.
        :param timeout: seconds until the app has accepted the call, with uploads; by default 60.
        :raises AppQueueFull: if the queue is full; nothing ran.
        :raises AppUnavailable: if the app does not answer; nothing ran.
        :raises AppCallLost: if the app may have accepted the call, and its answer is lost.
        :raises SpaceAppError: a subclass for each other cause.
        """
        call = SendingCall(
            core=self._core,
            api=checked_api(api),
            inputs=inputs,
            deadline=self._deadline(timeout),
            allow_unlisted=allow_unlisted or isinstance(api, int),
        )
        return self._run(call.start())

    def start_request(
        self,
        method: str,
        path: str,
        *,
        poll: Poll | Mapping[str, Any] | float | bool,
        json: Any = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        timeout: float = REQUEST_SECONDS,
        answer: str = "json",
    ) -> StartedCall | AppResponse:
        """Send a plain request to an app that answers 202, without following the status of the work.

        The parameters are those of :meth:`request`.

        :returns: the whole answer if the app has worked at once.
        """
        if answer not in ANSWERS:
            raise InvalidInput(f"answer must be one of {', '.join(ANSWERS)}; got {answer!r:.50}.")
        follow = Poll.from_value(poll)
        if follow is None:
            raise InvalidInput(f"poll must say how to follow the status; got {poll!r:.50}.")
        request = checked_request(
            self._core, method, path, json_body=json, content=content, headers=headers, query=query
        )
        steps = start_steps(self._core, request, path, self._deadline(timeout), answer=answer, poll=follow)
        return self._run(steps)

    def result(
        self, started: StartedCall, *, timeout: float, listener: AppListener | None = None
    ) -> AppResult | AppResponse:
        """Read the answer of a call that was started, here or in another process.

        :param timeout: seconds until the call has to end.
        :param listener: hears of queue, progress and messages.
        :raises AppCallLost: if another reader has begun to read it, or the app has started again.
        :raises SpaceAppError: a subclass for each other cause, as for :meth:`call`.
        """
        return self._run(self._finish(started, self._deadline(timeout), listener))

    async def aresult(
        self, started: StartedCall, *, timeout: float, listener: AppListener | None = None
    ) -> AppResult | AppResponse:
        """Read the answer of a call that was started, see :meth:`result`.

        At most ``connections`` calls are read at a time; the app keeps the answers of the others.
        Cancelling the coroutine does not cancel the call in the app, but an app drops a call whose reader is
        gone.
        """
        await self._on_loop()
        deadline, slots = self._deadline(timeout), self._loop_slots
        try:
            await asyncio.wait_for(slots.acquire(), timeout)
        except (asyncio.TimeoutError, TimeoutError):
            raise self._core.words.timeout(started.api, timeout, may_have_run=True) from None
        try:
            return await self._arun(self._finish(started, deadline, listener))
        finally:
            slots.release()

    async def aqueue_length(self, *, timeout: float = REQUEST_SECONDS) -> int:
        """Return how many calls wait in the queue of a Gradio app.

        :raises SpaceAppError: if the app does not answer.
        """
        return await self._arun(self._queue_length(self._deadline(timeout)))

    def _finish(
        self, started: StartedCall, deadline: Deadline, listener: AppListener | None
    ) -> Steps[AppResult | AppResponse]:
        if started.accepted is None:
            return (yield from follow_steps(self._core, started, deadline))
        call = ReadingCall(
            core=self._core,
            api=started.api,
            inputs=None,
            deadline=deadline,
            listener=listener or AppListener(),
            accepted=started.accepted,
            shown=started.shown,
        )
        return (yield from call.finish())

    def _queue_length(self, deadline: Deadline) -> Steps[int]:
        core, api = self._core, "the length of the queue"
        description = yield from describe(core, deadline)
        exchange = core.exchange(core.request("GET", f"{description.prefix}/queue/status"), deadline)
        yield from core.fetch(api, exchange, deadline)
        if exchange.status >= 400:
            raise core.words.refusal(api, exchange, work=False)
        answer = core.read_json(api, exchange, may_have_run=False)
        length = answer.get("queue_size") if isinstance(answer, dict) else None
        if isinstance(length, bool) or not isinstance(length, int):
            raise core.words.protocol(api, "sent no queue_size")
        return length

    def _deadline(self, timeout: float) -> Deadline:
        return Deadline(checked_seconds(timeout, "timeout"), self._core.clock)
