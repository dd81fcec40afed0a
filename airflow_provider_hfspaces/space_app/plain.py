"""Plain HTTP requests to an app, and the polling of apps that answer 202 with the URL of a status."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urljoin

from airflow_provider_hfspaces.hub.errors import InvalidInput
from airflow_provider_hfspaces.hub.http.quota import retry_after
from airflow_provider_hfspaces.hub.http.sequence import Delay, Steps
from airflow_provider_hfspaces.hub.seconds import checked_seconds
from airflow_provider_hfspaces.space_app.core import AppCore, Deadline
from airflow_provider_hfspaces.space_app.error_responses import is_html
from airflow_provider_hfspaces.space_app.errors import (
    AppRateLimited,
    AppTimeout,
    AppUnavailable,
    SpaceAppError,
)
from airflow_provider_hfspaces.space_app.http.exchange import AppRequest, BodyExchange
from airflow_provider_hfspaces.space_app.started import StartedCall

__all__ = [
    "AppResponse",
    "Poll",
    "follow_steps",
    "request_steps",
    "start_steps",
]

_SAFE_METHODS = frozenset({"GET", "HEAD"})
_GONE = frozenset({404, 410})
"""Statuses with which a restarted app answers about work that it accepted before the restart."""

_STATUS_KEYS = ("status_url", "status", "url", "location")
"""Keys in which an app may send the URL of a status, in the order in which they are tried."""

TROUBLE_SECONDS = 60.0
"""Time for which the status of accepted work may be unreachable before the work counts as lost."""


@dataclass(frozen=True)
class AppResponse:
    """The answer to a plain request.

    :ivar status: HTTP status.
    :ivar headers: headers with case-insensitive names.
    :ivar content: the body.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body as text, decoded as UTF-8."""
        return self.content.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """Return the body as JSON. NaN and infinity, which JSON does not allow, become ``None``.

        :raises ValueError: if the body is not JSON.
        """
        return json.loads(self.content, parse_constant=lambda name: None)


@dataclass(frozen=True)
class Poll:
    """How to poll an app that answers 202 and continues to work.

    .. code-block:: python

        app.request("POST", "/jobs", json={"n": 3}, poll=Poll(field="state", done=["finished"]))

    The app sends the URL of the status in its ``Location`` header, or in a key of its JSON answer. The status
    is polled until ``field`` has one of the values of ``done``, or without ``field`` until the app does not
    answer 202.

    :param interval: seconds between two polls, unless the app sends ``Retry-After``; by default 2.
    :param url: key in the JSON answer with the URL of the status, such as ``links.status``; by default the
        first of ``status_url``, ``status``, ``url`` and ``location`` that is a URL on the same host.
    :param field: key in the status with the state of the work; by default only the HTTP status counts.
    :param done: states of finished work. Case does not matter.
    :param failed: states of failed work. Case does not matter.
    :param result: key in the status with the URL of the result; by default the status itself is the result.
    :raises InvalidNumber: for an interval that is not valid.
    """

    interval: float = 2.0
    url: str | None = None
    field: str | None = None
    done: Sequence[str] = ("done", "completed", "complete", "finished", "succeeded", "success")
    failed: Sequence[str] = ("failed", "failure", "error", "cancelled", "canceled")
    result: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "interval", checked_seconds(self.interval, "interval of poll"))
        for name in ("done", "failed"):
            value = getattr(self, name)
            states = (value,) if isinstance(value, str) else tuple(str(each) for each in value)
            object.__setattr__(self, name, states)

    @classmethod
    def from_value(cls, value: Any) -> Poll | None:
        """Return the poll for the value of a ``poll`` parameter.

        :param value: ``None`` or ``False`` for no poll, ``True`` for the defaults, a number of seconds, a
            mapping of the parameters, or a :class:`Poll`.
        :raises InvalidInput: for anything else.
        """
        if value is None or value is False:
            return None
        if value is True:
            return cls()
        if isinstance(value, cls):
            return value
        if isinstance(value, (int, float)):
            return cls(interval=value)
        if isinstance(value, Mapping):
            unknown = sorted(set(value) - {each.name for each in fields(cls)})
            if unknown:
                known = ", ".join(each.name for each in fields(cls))
                raise InvalidInput(f"poll has no {', '.join(map(repr, unknown))}: it takes {known}.")
            return cls(**value)
        raise InvalidInput(f"poll must be True, a number of seconds or a mapping; got {value!r:.100}.")


def request_steps(
    core: AppCore, request: AppRequest, path: str, deadline: Deadline, *, answer: str, poll: Poll | None
) -> Steps[AppResponse]:
    """The steps of a plain request up to its answer, including the polling of its status.

    :param answer: ``json`` requires JSON; ``text`` and ``bytes`` accept everything but a web page; ``any``
        accepts everything.
    :param poll: how to poll an app that answers 202; ``None`` to return the first answer.
    :raises SpaceAppError: a subclass for each cause.
    """
    api = f"{request.method} {path}"
    exchange = yield from _send(core, api, request, deadline)
    if poll is not None:
        exchange = yield from _follow(core, api, exchange, deadline, poll, core.replica(exchange, None))
    return _read(core, api, exchange, answer)


def start_steps(
    core: AppCore, request: AppRequest, path: str, deadline: Deadline, *, answer: str, poll: Poll
) -> Steps[AppResponse | StartedCall]:
    """The steps of a plain request up to the app's 202, or to its answer if the work is already done.

    :raises SpaceAppError: a subclass for each cause.
    """
    api = f"{request.method} {path}"
    exchange = yield from _send(core, api, request, deadline)
    if _is_done(core, api, exchange, poll) and poll.result is None:
        return _read(core, api, exchange, answer)
    address = _address(core, exchange, poll)
    if address is None:
        raise core.words.protocol(
            api, f"sent {exchange.status} without the URL of a status", may_have_run=True
        )
    return StartedCall(
        api,
        address=address,
        poll={each.name: getattr(poll, each.name) for each in fields(poll)},
        answer=answer,
        replica=core.replica(exchange, None),
    )


def follow_steps(core: AppCore, started: StartedCall, deadline: Deadline) -> Steps[AppResponse]:
    """The steps that poll the status of started work and return the answer, also in another process.

    :raises SpaceAppError: a subclass for each cause, including a status on another host.
    """
    poll = Poll.from_value(dict(started.poll)) or Poll()
    address = core.own_url(started.address or "")
    if address is None:
        raise core.words.protocol(started.api, "named a status on another host", may_have_run=True)
    exchange = yield from _follow(core, started.api, None, deadline, poll, started.replica, address)
    return _read(core, started.api, exchange, started.answer)


def _send(core: AppCore, api: str, request: AppRequest, deadline: Deadline) -> Steps[BodyExchange]:
    work = request.method not in _SAFE_METHODS
    exchange = core.exchange(request, deadline)
    yield from core.fetch(api, exchange, deadline, work=work)
    if exchange.status >= 400:
        raise core.words.refusal(api, exchange, work=work)
    return exchange


def _read(core: AppCore, api: str, exchange: BodyExchange, answer: str) -> AppResponse:
    method = api.partition(" ")[0]
    work = method not in _SAFE_METHODS
    if exchange.too_large:
        raise core.words.too_large(api, core.limits.answer_bytes, may_have_run=work)
    is_empty = exchange.status == 204 or method == "HEAD"
    if answer == "json" and not is_empty:
        core.read_json(api, exchange, may_have_run=work)
    elif answer != "any" and is_html(exchange):
        expected = "data" if answer == "bytes" else answer
        raise core.words.page(api, exchange, expected=expected, may_have_run=work)
    return AppResponse(exchange.status, exchange.headers, exchange.content)


def _follow(
    core: AppCore,
    api: str,
    exchange: BodyExchange | None,
    deadline: Deadline,
    poll: Poll,
    replica: str | None,
    address: str | None = None,
) -> Steps[BodyExchange]:
    """Poll the status until the work is done.

    :param exchange: the last answer; ``None`` to begin with a request to ``address``.
    """
    address = address or (_address(core, exchange, poll) if exchange else None)
    trouble_ends: float | None = None
    while exchange is None or not _is_done(core, api, exchange, poll):
        if address is None:
            sent = exchange.status if exchange else "no answer"
            raise core.words.protocol(api, f"sent {sent} without the URL of a status", may_have_run=True)
        wait = retry_after(exchange.headers) if exchange else None
        if wait is None:
            wait = 0.0 if exchange is None and trouble_ends is None else poll.interval
        if wait >= deadline.remaining:
            raise core.words.timeout(api, deadline.seconds, may_have_run=True)
        yield Delay(wait)
        status = core.exchange(core.request_to(address, replica), deadline)
        problem: SpaceAppError | None = None
        try:
            yield from core.fetch(api, status, deadline)
            if status.status >= 400:
                problem = core.words.refusal(api, status, work=False)
        except AppUnavailable as error:
            problem = error
        except AppTimeout:
            raise core.words.timeout(api, deadline.seconds, may_have_run=True) from None
        if problem is None:
            trouble_ends = None
            exchange = status
            address = _address(core, exchange, poll) or address
            continue
        if status.status in _GONE and not isinstance(problem, AppUnavailable):
            raise core.words.lost(
                api, f"the app no longer knows the work: {problem.cause or problem.message}"
            )
        # The app may still work while its status is unreachable.
        if not isinstance(problem, (AppUnavailable, AppRateLimited)):
            raise problem
        if trouble_ends is None:
            trouble_ends = core.clock() + TROUBLE_SECONDS
        elif core.clock() > trouble_ends:
            raise core.words.lost(api, f"its status cannot be read: {problem.cause or problem.message}")
    if poll.result is None:
        return exchange
    target = _own_address(core, exchange, _at(_json(exchange), poll.result))
    if target is None:
        raise core.words.protocol(api, f"sent no URL of a result in {poll.result!r}", may_have_run=True)
    result = core.exchange(core.request_to(target, replica), deadline)
    yield from core.fetch(api, result, deadline)
    if result.status >= 400:
        raise core.words.refusal(api, result, work=False)
    return result


def _is_done(core: AppCore, api: str, exchange: BodyExchange, poll: Poll) -> bool:
    if exchange.status == 202 and poll.field is None:
        return False
    if poll.field is None:
        return True
    state = str(_at(_json(exchange), poll.field)).lower()
    if state in {each.lower() for each in poll.failed}:
        raise core.words.failed(api, f"{poll.field} is {state!r}: {exchange.text}")
    return state in {each.lower() for each in poll.done}


def _address(core: AppCore, exchange: BodyExchange, poll: Poll) -> str | None:
    if poll.url is not None:
        return _own_address(core, exchange, _at(_json(exchange), poll.url))
    body = _json(exchange)
    named = [body.get(key) for key in _STATUS_KEYS] if isinstance(body, dict) else []
    for each in (exchange.headers.get("location"), *named):
        if isinstance(each, str) and ("/" in each):
            target = _own_address(core, exchange, each)
            if target is not None:
                return target
    return None


def _own_address(core: AppCore, exchange: BodyExchange, address: Any) -> str | None:
    if not isinstance(address, str) or not address:
        return None
    return core.own_url(urljoin(exchange.request.url, address))


def _json(exchange: BodyExchange) -> Any:
    try:
        return exchange.json
    except ValueError:
        return None


def _at(value: Any, key: str) -> Any:
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
