"""The errors for the answers of an app, or of the Hub's proxy in front of it, and their texts.

Come here to change the text of an error. Each text starts with the Space and ends with the remedy. Values
from outside are scrubbed of secrets before they are shortened and put into a text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_hfspaces.hub.errors import GATEWAY_STATUSES
from airflow_provider_hfspaces.hub.http.quota import retry_after
from airflow_provider_hfspaces.hub.masking import brief
from airflow_provider_hfspaces.space_app.errors import (
    AppCallLost,
    AppFailed,
    AppInputTooLarge,
    AppLoginRequired,
    AppNotFound,
    AppProtocolError,
    AppQueueFull,
    AppRateLimited,
    AppRejected,
    AppTimeout,
    AppUnavailable,
    SpaceAppError,
)
from airflow_provider_hfspaces.space_app.http.exchange import BodyExchange, Exchange, TransportFailure

__all__ = ["AppWords", "is_from_app", "is_html"]

MOST_CHARACTERS = 2_000
"""Number of characters of an app's message that a text shows."""

_START_CHARACTERS = 200
"""Number of characters of an unexpected answer that a text shows."""


class AppWords:
    """Creates the errors of the app of one Space.

    :param repo_id: the Space, with which each text starts.
    :param secrets: values that no text may show.
    """

    def __init__(self, repo_id: str, secrets: tuple[str | None, ...]) -> None:
        self.repo_id = repo_id
        self._secrets = secrets

    def brief(self, text: str, *, longest: int = MOST_CHARACTERS) -> str:
        """Return text of the app in a form for one line of a message: scrubbed and shortened."""
        return brief(text, self._secrets, longest=longest)

    def failure(self, api: str, failure: TransportFailure, *, work: bool, seconds: float) -> SpaceAppError:
        """Return the error for a request without a complete answer.

        :param work: whether the request starts work in the app.
        :param seconds: how long the call was allowed to take.
        """
        may_have_run = work and failure.sent
        if failure.timed_out:
            return self.timeout(api, seconds, may_have_run=may_have_run)
        reason = self.brief(failure.reason, longest=300)
        if may_have_run:
            return self.lost(api, f"the app did not answer the call: {reason}")
        error = AppUnavailable(
            f"Space {self.repo_id} did not answer {api}: {reason}. Nothing ran. Check on the Hub whether the "
            f"Space is running.",
            repo_id=self.repo_id,
            api=api,
        )
        error.permanent = failure.permanent
        error.cause = reason
        return error

    def timeout(self, api: str, seconds: float, *, may_have_run: bool) -> AppTimeout:
        """Return the error for a call that did not end before its deadline."""
        state = "The app may have worked on it." if may_have_run else "Nothing ran."
        return AppTimeout(
            f"Space {self.repo_id} did not finish {api} within {seconds:g} seconds. {state} Raise the "
            f"timeout, or send less work in one call.",
            repo_id=self.repo_id,
            api=api,
            may_have_run=may_have_run,
        )

    def lost(self, api: str, reason: str) -> AppCallLost:
        """Return the error for an accepted call whose answer is lost."""
        return AppCallLost(
            f"Space {self.repo_id} lost the call of {api}: {self.brief(reason).rstrip('.')}. The app may "
            f"have done the work, but the answer can no longer be read. Call again if the work may be "
            f"repeated.",
            repo_id=self.repo_id,
            api=api,
        )

    def failed(self, api: str, message: str | None, *, title: str | None = None) -> AppFailed:
        """Return the error that the app raised.

        :param message: the app's message; ``None`` if the app hides it.
        :param title: title of the app's error.
        """
        words = self.brief(message) if message else ""
        name = self.brief(title, longest=100) if title else ""
        if name in ("", "Error"):
            name = "an error"
        if words:
            text = f"Space {self.repo_id} failed in {api} with {name}: {words}"
        else:
            text = (
                f"Space {self.repo_id} failed in {api} with {name}, and the app hides the reason. Read the "
                f"Space's log, or set show_error=True in the app's launch()."
            )
        error = AppFailed(text, repo_id=self.repo_id, api=api, app_message=words or None)
        error.title = title
        return error

    def protocol(self, api: str, problem: str, *, may_have_run: bool = False) -> AppProtocolError:
        """Return the error for an answer that the protocol does not allow."""
        return AppProtocolError(
            f"Space {self.repo_id} {problem} in the answer to {api}. Check what the app answers, and its "
            f"log.",
            repo_id=self.repo_id,
            api=api,
            may_have_run=may_have_run,
        )

    def too_large(self, api: str, most: int, *, may_have_run: bool) -> AppProtocolError:
        """Return the error for an answer with more bytes than the client accepts."""
        return AppProtocolError(
            f"Space {self.repo_id} answered {api} with more than {most:,} bytes. Raise answer_bytes of the "
            f"client's AppLimits, or let the app answer with a file.",
            repo_id=self.repo_id,
            api=api,
            may_have_run=may_have_run,
        )

    def moved(self, api: str, exchange: Exchange, target: str) -> AppProtocolError:
        """Return the error for a redirect to another host."""
        parts = urlsplit(target)
        host = self.brief(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", longest=300)
        error = AppProtocolError(
            f"Space {self.repo_id} redirects {api} with {exchange.status} to {host}, which gets neither the "
            f"token nor the call. Check the app, and that the Space has not moved.",
            repo_id=self.repo_id,
            api=api,
            status=exchange.status,
        )
        error.permanent = True
        return error

    def page(self, api: str, exchange: BodyExchange, *, expected: str, may_have_run: bool) -> SpaceAppError:
        """Return the error for a successful answer with unexpected content.

        :param expected: the content that the call needs.
        """
        start = self.brief(exchange.text[:2_000], longest=_START_CHARACTERS)
        kind = self.brief(exchange.content_type, longest=100) or "no content type"
        if is_html(exchange):
            state = "The app may have worked on it." if may_have_run else "Nothing ran."
            error = AppUnavailable(
                f"Space {self.repo_id} answered {api} with a web page where {expected} was expected, "
                f"beginning with {start!r}. {state} Either the Space is not running yet, or the app does not "
                f"offer this address.",
                repo_id=self.repo_id,
                api=api,
                status=exchange.status,
                may_have_run=may_have_run,
            )
            error.cause = f"a web page came where {expected} was expected, beginning with {start!r}"
            return error
        return self.protocol(
            api,
            f"sent {kind} where {expected} was expected, beginning with {start!r},",
            may_have_run=may_have_run,
        )

    def refusal(self, api: str, exchange: BodyExchange, *, work: bool) -> SpaceAppError:
        """Return the error for an error response, which has status 400 or higher.
        :param work: whether the request starts work in the app.
        """
        status = exchange.status
        own = is_from_app(exchange)
        message = self.brief(_message(exchange))
        answer = f"the answer was {status}" + (f": {message!r}." if message else " without a reason.")
        error = self._refusal(api, status, own, answer, is_json=_is_json(exchange), work=work)
        error.status = status
        error.app_message = (message or None) if own else None
        error.retry_after = retry_after(exchange.headers)
        return error

    def _refusal(
        self, api: str, status: int, own: bool, answer: str, *, is_json: bool, work: bool
    ) -> SpaceAppError:
        about: dict[str, Any] = {"repo_id": self.repo_id, "api": api}
        if status == 429:
            return AppRateLimited(
                f"Space {self.repo_id} is called too often: {api} was refused; {answer} Send fewer calls at "
                f"once.",
                **about,
            )
        if status in (502, 504) and work:
            return self.lost(api, f"no answer came back through the Hub's proxy; {answer.rstrip('.')}")
        if status == 503 and is_json and work:
            return AppQueueFull(
                f"Space {self.repo_id} has a full queue: {api} was refused; {answer} Send fewer calls at "
                f"once, or wait longer.",
                **about,
            )
        if status in GATEWAY_STATUSES or (status >= 500 and not own and not work):
            error = AppUnavailable(
                f"Space {self.repo_id} did not answer {api}; {answer} Nothing ran. Check on the Hub whether "
                f"the Space is running.",
                **about,
            )
            error.cause = answer
            return error
        if status >= 500:
            return AppFailed(
                f"Space {self.repo_id} failed in {api}; {answer} Read the Space's log.",
                may_have_run=work,
                **about,
            )
        if status == 401 and own:
            return AppLoginRequired(
                f"Space {self.repo_id} requires a login of the app itself for {api}; {answer} Set auth to a "
                f"user name and password of the app.",
                **about,
            )
        if status in (401, 403) and not own:
            error = AppNotFound(
                f"Space {self.repo_id} may not be used with this token: {api} was refused; {answer} Use a "
                f"token with read access to the Space.",
                **about,
            )
            error.permanent = True
            return error
        if status == 404 and not own:
            return AppNotFound(
                f"Space {self.repo_id} is not found at its address: {api} was refused; {answer} The Space "
                f"may not be running, or it is private and the token may not read it. Check both on the Hub.",
                **about,
            )
        if status == 413:
            return AppInputTooLarge(
                f"Space {self.repo_id} refuses {api} because it is too large; {answer} Send less, or raise "
                f"max_file_size in the app's launch().",
                **about,
            )
        return AppRejected(f"Space {self.repo_id} refuses {api}; {answer} Correct the input.", **about)


def is_html(exchange: BodyExchange) -> bool:
    """Return True if an answer is a web page."""
    start = exchange.content[:100].lstrip()[:15].lower()
    return "html" in exchange.content_type or start.startswith((b"<!doctype", b"<html"))


def is_from_app(exchange: BodyExchange) -> bool:
    """Return True if an answer comes from the app, and not from the Hub's proxy in front of it."""
    if _is_json(exchange):
        return True
    return not is_html(exchange) and any(
        str(name).lower().startswith("x-proxied-") for name in exchange.headers
    )


def _is_json(exchange: BodyExchange) -> bool:
    try:
        return isinstance(exchange.json, (dict, list))
    except ValueError:
        return False


def _message(exchange: BodyExchange) -> str:
    """Return the reason in an error response: a field of its JSON, or its text; empty for a web page."""
    try:
        body = exchange.json
    except ValueError:
        return "" if is_html(exchange) else exchange.text[:MOST_CHARACTERS]
    if isinstance(body, dict):
        for key in ("detail", "error", "message"):
            if body.get(key):
                return "; ".join(_reasons(body[key]))
    return json.dumps(body)[:MOST_CHARACTERS]


def _reasons(detail: Any) -> list[str]:
    if isinstance(detail, list):
        return [reason for each in detail for reason in _reasons(each)]
    if isinstance(detail, Mapping):
        if detail.get("is_valid") is True:
            return []
        words = next((str(detail[key]) for key in ("message", "msg", "error") if detail.get(key)), "")
        place = detail.get("parameter_name") or ".".join(str(each) for each in detail.get("loc") or ())
        if words:
            return [f"{place}: {words}" if place else words]
        return [json.dumps(detail)]
    return [str(detail)]
