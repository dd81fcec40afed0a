"""AppHandover: the methods of ``SpaceApp`` to send a call in one process and read its answer in another."""

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
    """The methods of :class:`~airflow_provider_hfspaces.space_app.app.SpaceApp` for calls of two processes.

    One process sends a call with :meth:`start` or :meth:`start_request`, and another process reads the answer
    with :meth:`result` or :meth:`aresult`.
    """

    def start(
        self,
        api: str | int,
        inputs: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        timeout: float = REQUEST_SECONDS,
        allow_unlisted: bool = False,
    ) -> StartedCall:
        """Send a call to a Gradio app without reading its answer. The call is sent at most once.

        :param api: as for :meth:`call`.
        :param inputs: as for :meth:`call`.
        :param timeout: seconds for the uploads and until the app accepts the call; by default 60.
        :param allow_unlisted: as for :meth:`call`.
        :returns: the call, for :meth:`result` in this or another process.
        :raises AppQueueFull: if the queue is full. Nothing ran.
        :raises AppUnavailable: if the app does not answer. Nothing ran.
        :raises AppCallLost: if the app may have accepted the call, but did not confirm it.
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

        :returns: the call, for :meth:`result` in this or another process; the answer if the app has already
            done the work.
        :raises InvalidInput: for an argument that is not valid.
        :raises SpaceAppError: a subclass for each other cause.
        """
        if answer not in ANSWERS:
            raise InvalidInput(f"answer must be one of {', '.join(ANSWERS)}; got {answer!r:.50}.")
        follow = Poll.from_value(poll)
        if follow is None:
            raise InvalidInput(f"poll must be True, a number of seconds or a mapping; got {poll!r:.50}.")
        request = checked_request(
            self._core, method, path, json_body=json, content=content, headers=headers, query=query
        )
        steps = start_steps(self._core, request, path, self._deadline(timeout), answer=answer, poll=follow)
        return self._run(steps)

    def result(
        self, started: StartedCall, *, timeout: float, listener: AppListener | None = None
    ) -> AppResult | AppResponse:
        """Read the answer to a call that this or another process has started.

        :param started: the call, from :meth:`start` or :meth:`start_request`.
        :param timeout: seconds after which the read ends with an error.
        :param listener: receives the queue position, progress and messages of the call.
        :raises AppCallLost: if another reader has begun to read the answer, or the app was restarted.
        :raises SpaceAppError: a subclass for each other cause, as for :meth:`call`.
        """
        return self._run(self._finish(started, self._deadline(timeout), listener))

    async def aresult(
        self, started: StartedCall, *, timeout: float, listener: AppListener | None = None
    ) -> AppResult | AppResponse:
        """Read the answer to a started call, see :meth:`result`.

        At most ``connections`` answers are read at a time, and the app keeps the other answers. Cancelling
        the coroutine does not cancel the call in the app, but the answer is lost: an app drops a call whose
        reader disconnects.
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
        """Return the number of calls in the queue of a Gradio app.

        :param timeout: seconds for the request; by default 60.
        :raises SpaceAppError: if the app does not answer, or is not a Gradio app.
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
