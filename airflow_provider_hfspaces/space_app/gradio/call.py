"""AppCall: the steps of one call of a Gradio app, without I/O.

Come here to change when a call is sent again, or what happens if its stream breaks. The steps read the app's
declaration, check the inputs, upload files, send the call and read its messages.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.hub.http.sequence import Delay, Steps
from airflow_provider_hfspaces.space_app.core import AppCore, Deadline
from airflow_provider_hfspaces.space_app.error_responses import is_html
from airflow_provider_hfspaces.space_app.errors import (
    AppCallCancelled,
    AppQueueFull,
    AppRateLimited,
    AppTimeout,
    AppUnavailable,
    SpaceAppError,
)
from airflow_provider_hfspaces.space_app.files import paths_in, replaced
from airflow_provider_hfspaces.space_app.gradio.describing import describe
from airflow_provider_hfspaces.space_app.gradio.description import AppDescription, AppEndpoint
from airflow_provider_hfspaces.space_app.gradio.inputs import bind, find_endpoint, payload
from airflow_provider_hfspaces.space_app.gradio.messages import (
    CallMessages,
    Cancelled,
    Completed,
    Failed,
    Lost,
    Outcome,
)
from airflow_provider_hfspaces.space_app.gradio.stream import MessageStream
from airflow_provider_hfspaces.space_app.gradio.uploading import upload
from airflow_provider_hfspaces.space_app.http.exchange import Ask, Few, TransportFailure
from airflow_provider_hfspaces.space_app.listener import AcceptedCall, AppListener
from airflow_provider_hfspaces.space_app.result import AppResult

__all__ = ["AppCall", "cancel"]

FIRST_WAIT_SECONDS = 0.5
"""Wait before the second try. It doubles with each further try."""

LONGEST_WAIT_SECONDS = 20.0
"""Longest wait between two tries, unless the app asks for a longer one."""

RECOVERY_SECONDS = 1.0
"""Duration from which on ``recover`` counts as a wait for the Space, so that the patience begins anew."""

OPENING_SECONDS = 30.0
"""Time for which opening the stream of an accepted call is tried again."""


@dataclass(eq=False)
class AppCall:
    """One call of a Gradio app, and its state.

    :ivar accepted: the accepted call, to cancel it; ``None`` before the app accepts it and after its end.
    """

    core: AppCore
    api: str | int
    inputs: Mapping[str, Any] | Sequence[Any] | None
    deadline: Deadline
    listener: AppListener = field(default_factory=AppListener)
    allow_unlisted: bool = False
    patience: float = 0.0
    recover: Callable[[AppUnavailable], Any] | None = None
    session_hash: str = ""
    accepted: AcceptedCall | None = None

    def steps(self) -> Steps[AppResult]:
        """The steps of the call, which is sent again until the app accepts it.

        :raises SpaceAppError: the error of the last try.
        """
        core, deadline = self.core, self.deadline
        refusals, patience_ends = 0, core.clock() + self.patience
        while True:
            try:
                return (yield from self._attempt())
            except (AppUnavailable, AppQueueFull, AppRateLimited) as error:  # noqa: PERF203
                refusals += 1
                wait = _wait(refusals, error)
                if error.retry_after is None:
                    # Near the deadline, wait less, so that the remaining time is used.
                    wait = min(wait, deadline.remaining / 2)
                if isinstance(error, AppUnavailable):
                    core.forget_description()
                    if error.permanent:
                        raise
                    if self.recover is not None:
                        began = core.clock()
                        yield from self._ask(self.recover, error)
                        if core.clock() - began > RECOVERY_SECONDS:
                            patience_ends = core.clock() + self.patience
                    if core.clock() + wait > patience_ends:
                        raise
                if deadline.remaining < max(wait, FIRST_WAIT_SECONDS):
                    raise
                self.listener.waiting(error.message, wait)
                yield Delay(wait)

    def _ask(self, function: Callable[[Any], Any], argument: Any) -> Steps[Any]:
        """Call a function of the caller; on an event loop, until the deadline at most."""
        try:
            return (yield Ask(function, argument, self.deadline.ends))
        except TransportFailure:
            raise self._timeout() from None

    def _timeout(self) -> AppTimeout:
        return self.core.words.timeout(
            str(self.api), self.deadline.seconds, may_have_run=self.accepted is not None
        )

    def _check(self, endpoint: AppEndpoint) -> None:
        """Raise an error for an endpoint that this kind of call does not support."""

    def _attempt(self) -> Steps[AppResult]:
        description = yield from describe(self.core, self.deadline)
        endpoint = yield Few(lambda: self._begin(description))
        return (yield from self._read(endpoint, description.prefix))

    def _begin(self, description: AppDescription) -> Steps[AppEndpoint]:
        """Check the inputs and send the call, and return its endpoint."""
        core = self.core
        endpoint = find_endpoint(description, core.repo_id, self.api, allow_unlisted=self.allow_unlisted)
        self._check(endpoint)
        values = bind(endpoint, core.repo_id, self.inputs)
        replica = None
        sources = paths_in(values)
        if sources:
            uploaded, replica = yield from upload(core, description, sources, self.deadline)
            values = replaced(values, iter(uploaded))
        self.session_hash = self._session()
        yield from self._send(endpoint, payload(endpoint, values), description.prefix, replica)
        return endpoint

    def _session(self) -> str:
        """Return a new session for the call."""
        return uuid.uuid4().hex

    def _send(self, endpoint: AppEndpoint, data: list[Any], prefix: str, replica: str | None) -> Steps[None]:
        """Send the call, and store its id in :attr:`accepted`."""
        core = self.core
        api = endpoint.api or str(endpoint.fn_index)
        content: dict[str, Any] = {"data": data, "session_hash": self.session_hash}
        path = f"{prefix}/call{endpoint.api}"
        if endpoint.api is None:
            path = f"{prefix}/queue/join"
            content |= {"fn_index": endpoint.fn_index, "simple_format": True}
        request = core.json_request("POST", path, content, replica=replica)
        exchange = core.exchange(request, self.deadline)
        self.listener.sending(api)
        yield from core.fetch(api, exchange, self.deadline, work=True)
        if exchange.status != 200:
            if exchange.status == 500:
                core.forget_description()
            raise core.words.refusal(api, exchange, work=True)
        # Gradio always answers JSON, so a web page comes from the proxy, which did not pass the call on.
        answer = core.read_json(api, exchange, may_have_run=not is_html(exchange))
        event_id = answer.get("event_id") if isinstance(answer, dict) else None
        if not isinstance(event_id, str) or not event_id:
            raise core.words.protocol(api, "sent no event_id", may_have_run=True)
        self.accepted = AcceptedCall(
            api=api,
            event_id=event_id,
            session_hash=self.session_hash,
            fn_index=endpoint.fn_index,
            prefix=prefix,
            replica=core.replica(exchange, replica),
        )
        self.listener.accepted(self.accepted)

    def _read(self, endpoint: AppEndpoint, prefix: str) -> Steps[AppResult]:
        """Read the messages until the call has ended."""
        assert self.accepted is not None
        messages = CallMessages(self.accepted.event_id, self.listener)
        yield from self._open(self.accepted, prefix, messages)
        return self._result(endpoint, messages.outcome)

    def _result(self, endpoint: AppEndpoint, outcome: Outcome | None) -> AppResult:
        """Return the answer of a completed call.

        :raises SpaceAppError: for any other outcome.
        """
        core, accepted = self.core, self.accepted
        assert accepted is not None
        self.accepted = None
        if isinstance(outcome, Completed):
            slots = endpoint.output_slots
            shown = [
                value
                for position, value in enumerate(outcome.outputs)
                if position >= len(slots) or slots[position].is_shown
            ]
            return AppResult(accepted.api, shown, outcome.seconds, accepted.event_id, accepted.replica)
        if isinstance(outcome, Failed):
            raise core.words.failed(accepted.api, outcome.message, title=outcome.title)
        if isinstance(outcome, Cancelled):
            raise AppCallCancelled(
                f"Space {core.repo_id} ended {accepted.api}, because another client cancelled the call in "
                f"the app. A part of the work may be done. Call again if the work may be repeated.",
                repo_id=core.repo_id,
                api=accepted.api,
            )
        core.forget_description()
        if isinstance(outcome, Lost):
            raise core.words.lost(accepted.api, outcome.reason)
        problem = outcome.reason if outcome else "no answer"
        raise core.words.protocol(accepted.api, f"sent {problem}", may_have_run=True)

    def _open(self, accepted: AcceptedCall, prefix: str, messages: CallMessages) -> Steps[None]:
        """Read the stream of messages.

        The stream is opened again only if nothing was read from it, because the app keeps the messages until
        the first read.
        """
        core = self.core
        opening = self.deadline.capped(OPENING_SECONDS)
        tries = 0
        while True:
            request = core.request(
                "GET",
                f"{prefix}/queue/data",
                query={"session_hash": accepted.session_hash},
                headers={"Accept": "text/event-stream"},
                replica=accepted.replica,
            )
            stream = MessageStream(request, self.deadline, messages, core.limits)
            problem: SpaceAppError
            try:
                yield from core.fetch(accepted.api, stream, self.deadline)
            except AppTimeout:
                raise self._timeout() from None
            except SpaceAppError as error:
                problem = error
                was_opened = stream.status > 0
            else:
                if messages.outcome is not None:
                    return
                if stream.status < 400:
                    problem = core.words.page(
                        accepted.api, stream, expected="a stream of messages", may_have_run=True
                    )
                else:
                    problem = core.words.refusal(accepted.api, stream, work=False)
                was_opened = False
            tries += 1
            wait = _wait(tries, problem)
            if was_opened or wait >= opening.remaining or not _may_open_later(problem):
                self.accepted = None
                core.forget_description()
                raise core.words.lost(
                    accepted.api, problem.app_message or problem.cause or problem.message
                ) from None
            yield Delay(wait)


def cancel(core: AppCore, accepted: AcceptedCall, deadline: Deadline) -> Steps[None]:
    """The steps that cancel an accepted call: ``POST {prefix}/cancel``.

    The app also confirms the cancellation of an unknown call.
    """
    content = {
        "event_id": accepted.event_id,
        "session_hash": accepted.session_hash,
        "fn_index": accepted.fn_index,
    }
    request = core.json_request("POST", f"{accepted.prefix}/cancel", content, replica=accepted.replica)
    exchange = core.exchange(request, deadline)
    yield from core.fetch(f"the cancel of {accepted.api}", exchange, deadline, login=False)
    if exchange.status >= 400:
        raise core.words.refusal(f"the cancel of {accepted.api}", exchange, work=False)


def _may_open_later(problem: SpaceAppError) -> bool:
    return isinstance(problem, (AppUnavailable, AppRateLimited, AppQueueFull)) and not problem.permanent


def _wait(tries: int, error: SpaceAppError) -> float:
    """Return the seconds before the next try: ``Retry-After``, or exponential backoff, with jitter."""
    if error.retry_after is not None:
        return error.retry_after + random.uniform(0, FIRST_WAIT_SECONDS)
    longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(tries, 10))
    return random.uniform(longest / 2, longest)
