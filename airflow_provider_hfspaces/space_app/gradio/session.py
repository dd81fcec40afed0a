"""SharedSession: many calls of a Gradio app over one session and one stream of messages."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.hub.closing import AsyncClosing
from airflow_provider_hfspaces.hub.collector import quiet_collector
from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.hub.seconds import checked_seconds
from airflow_provider_hfspaces.space_app.core import AppCore, Deadline
from airflow_provider_hfspaces.space_app.errors import InvalidAppInput, SpaceAppError
from airflow_provider_hfspaces.space_app.gradio.call import AppCall
from airflow_provider_hfspaces.space_app.gradio.description import AppEndpoint
from airflow_provider_hfspaces.space_app.gradio.messages import CallMessages, Lost, Outcome, Unreadable
from airflow_provider_hfspaces.space_app.gradio.stream import MessageStream
from airflow_provider_hfspaces.space_app.listener import AcceptedCall, AppListener
from airflow_provider_hfspaces.space_app.result import AppResult

__all__ = ["SharedSession"]

_LONGEST_STREAM_SECONDS = 7 * 24 * 3600.0
"""Time after which the stream is opened again."""

_MOST_EARLY_EVENTS = 1_000
"""Number of calls whose messages are kept until the answer to their request arrives."""


class SharedSession(AsyncClosing):
    """Sends many calls in one session, and reads their answers over one connection.

    .. code-block:: python

        async with app.shared_session() as session:
            results = await asyncio.gather(*(session.call("/caption", [each]) for each in images))

    A shared session is the cheapest way to have thousands of calls in flight, with these limits:

    - If the stream breaks, all calls in flight are lost: each raises :class:`AppCallLost`.
    - A call that ends early is not cancelled in the app, because that would end other calls too.
    - Endpoints with a session state are not supported.
    - All calls of the session go to one replica.

    Use it for work that may be repeated.
    """

    def __init__(
        self, core: AppCore, run: Callable[[Steps[Any]], Awaitable[Any]], close: Callable[[], Awaitable[None]]
    ) -> None:
        self._core, self._run, self._close = core, run, close
        self._replica: str | None = None
        self._reader: asyncio.Task[None] | None = None
        self._start_over()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._core.repo_id!r}, in_flight={len(self._waiting)})"

    @property
    def in_flight(self) -> int:
        """Number of calls that the app has accepted and not yet answered."""
        return len(self._waiting)

    async def call(
        self,
        api: str,
        inputs: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        timeout: float = 3_600.0,
        listener: AppListener | None = None,
        recover: Callable[[Any], Any] | None = None,
        patience: float = 30.0,
        allow_unlisted: bool = False,
    ) -> AppResult:
        """Call an endpoint, see :meth:`SpaceApp.call
        <airflow_provider_hfspaces.space_app.app.SpaceApp.call>`.

        :raises InvalidAppInput: also for an endpoint with a session state.
        """
        call = _SharedCall(
            core=self._core,
            api=api,
            inputs=inputs,
            deadline=Deadline(checked_seconds(timeout, "timeout"), self._core.clock),
            listener=listener or AppListener(),
            allow_unlisted=allow_unlisted,
            patience=checked_seconds(patience, "patience", zero=True),
            recover=recover,
            shared=self,
        )
        with quiet_collector.counting():
            result: AppResult = await self._run(call.steps())
        return result

    async def aclose(self) -> None:
        """Close the session. Calls in flight are lost."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        self._lose("the session was closed")
        await self._close()

    @property
    def session_hash(self) -> str:
        """The id of the session in the app. It changes when the stream breaks."""
        return self._hash

    async def outcome(self, waiting: tuple[AcceptedCall, AppListener]) -> Outcome:
        """Wait for the outcome of an accepted call, and return it.

        :param waiting: the call and its listener.
        """
        accepted, listener = waiting
        if accepted.session_hash != self._hash:
            return Lost("the stream of its session broke")
        self._replica = accepted.replica
        messages = CallMessages(accepted.event_id, listener)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[accepted.event_id] = (messages, future)
        try:
            for early in self._early.pop(accepted.event_id, ()):
                self.feed(early)
            if not future.done() and (self._reader is None or self._reader.done()):
                self._reader = asyncio.create_task(self._read_streams(accepted))
            return await future
        finally:
            self._waiting.pop(accepted.event_id, None)

    def feed(self, message: Mapping[str, Any]) -> bool:
        """Pass one message of the stream to its call, and return True at the end of the stream."""
        event_id = message.get("event_id")
        if event_id is None:
            if message.get("msg") == "unexpected_error":
                self._lose(f"the app answered {str(message.get('message'))!r:.200}")
            return message.get("msg") in ("unexpected_error", "close_stream")
        if event_id not in self._waiting:
            # The answer to the POST with the id of this call has not arrived yet.
            if len(self._early) < _MOST_EARLY_EVENTS or event_id in self._early:
                self._early.setdefault(str(event_id), []).append(message)
            return False
        messages, future = self._waiting[event_id]
        try:
            has_ended = messages.feed(message)
        except Exception as problem:
            # An exception of a listener ends the call of this listener only.
            if not future.done():
                future.set_exception(problem)
            return False
        if has_ended and not future.done():
            assert messages.outcome is not None
            future.set_result(messages.outcome)
        return False

    def _lose(self, reason: str) -> None:
        """End all calls in flight, and begin a new session, because a session cannot outlive its stream."""
        for _, future in self._waiting.values():
            if not future.done():
                future.set_result(Lost(reason))
        self._start_over()

    def _start_over(self) -> None:
        self._hash = uuid.uuid4().hex
        self._waiting: dict[str, tuple[CallMessages, asyncio.Future[Outcome]]] = {}
        self._early: dict[str, list[Mapping[str, Any]]] = {}

    async def _read_streams(self, accepted: AcceptedCall) -> None:
        try:
            await self._read(accepted)
        finally:
            if self._waiting:
                self._lose("its stream is not read any more")

    async def _read(self, accepted: AcceptedCall) -> None:
        """Read streams until no call is in flight. The app closes a stream whenever no call is in flight."""
        core = self._core
        while self._waiting:
            session_hash = self._hash
            end = _StreamEnd(self)
            deadline = Deadline(_LONGEST_STREAM_SECONDS, core.clock)
            request = core.request(
                "GET",
                f"{accepted.prefix}/queue/data",
                query={"session_hash": session_hash},
                headers={"Accept": "text/event-stream"},
                replica=self._replica,
            )
            stream = MessageStream(request, deadline, end, core.limits)
            reason = None
            try:
                await self._run(core.fetch(accepted.api, stream, deadline))
            except SpaceAppError as error:
                reason = error.message
            if reason is None and not stream.is_stream:
                reason = core.words.refusal(accepted.api, stream, work=False).message
            if reason is None and end.outcome is not None:
                reason = end.outcome.reason
            if reason is not None and session_hash == self._hash:
                self._lose(reason)


class _StreamEnd:
    """Passes the messages of a stream to the session, and stores how the stream ended."""

    def __init__(self, session: SharedSession) -> None:
        self.outcome: Lost | Unreadable | None = None
        self._session = session
        self._is_closed = False

    def feed(self, message: Mapping[str, Any]) -> bool:
        self._is_closed = self._session.feed(message)
        return self._is_closed

    def ended(self) -> None:
        if not self._is_closed:
            self.outcome = Lost("the app's stream ended without an answer")


class _SharedCall(AppCall):
    """A call whose answer comes over the stream of a shared session."""

    def __init__(self, *, shared: SharedSession, **settings: Any) -> None:
        super().__init__(**settings)
        self._shared = shared

    def _check(self, endpoint: AppEndpoint) -> None:
        if endpoint.is_state_kept:
            raise InvalidAppInput(
                f"api {endpoint.api!r} of Space {self.core.repo_id} has a session state, which the calls of "
                f"a shared session would mix up. Call the endpoint with acall.",
                repo_id=self.core.repo_id,
                api=endpoint.api,
            )

    def _session(self) -> str:
        return self._shared.session_hash

    def _read(self, endpoint: AppEndpoint, prefix: str) -> Steps[AppResult]:
        outcome = yield from self._ask(self._shared.outcome, (self.accepted, self.listener))
        return self._result(endpoint, outcome)
