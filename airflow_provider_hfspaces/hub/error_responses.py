"""The errors for the Hub's error responses, and their texts.

Come here to change the text of an error. Each text starts with the Space, if the request has one, and ends
with the remedy. Values from outside (the Hub's message, its request id, a content type, a host) are scrubbed
of secrets before they are shortened and put into a text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.errors import (
    HubAuthError,
    HubBadRequest,
    HubConflict,
    HubError,
    HubGone,
    HubPaymentRequired,
    HubPermissionError,
    HubProtocolError,
    HubRateLimited,
    HubUnavailable,
    SpaceNotFound,
)
from airflow_provider_hfspaces.hub.masking import brief

__all__ = [
    "TRY_LATER",
    "answer_too_large",
    "answer_too_slow",
    "bad_next_page",
    "error_from_response",
    "missing_token",
    "moved_host",
    "protocol_error",
    "quota_used_up",
    "redirect_without_body",
    "refused_with_reason",
    "too_many_pages",
    "unavailable",
]

TRY_LATER = " Try again later."
"""The remedy at the end of some error texts. A log line that announces a retry leaves it out."""

_OAUTH_REFUSED = ("/hardware", "/sleeptime", "/restart")
_REFUSED_CREDENTIALS = "Invalid credentials in Authorization header"
_MAX_MESSAGE_CHARACTERS = 500
_MAX_START_LENGTH = 200
_MAX_HEADER_LENGTH = 100
_HUBS_OWN_HEADERS = ("x-error-code", "x-error-message")


def error_from_response(
    call: Call[Any],
    status: int,
    headers: Mapping[str, str],
    text: str,
    *,
    token: str | None = None,
) -> HubError:
    """Return the error for an error response.

    :param status: 400 or higher.
    :param headers: headers of the response, with case-insensitive names.
    :param text: body of the response.
    :param token: the token of the request. It tells the cases of 401 apart, and is masked if the Hub echoes
        it.
    """
    secrets = _secrets(call, token)
    message = brief(_hub_message(headers, text), secrets, longest=_MAX_MESSAGE_CHARACTERS)
    if status < 500 and status not in (408, 429) and not _is_from_the_hub(headers, text):
        return protocol_error(call, status, headers, text, token=token)
    kind, words = _words(call, status, headers, message, token)
    if call.instead and kind in (HubGone, HubBadRequest, HubPermissionError, HubConflict):
        words = f"{words} {call.instead}"
    return kind.from_call(
        call,
        _starting_with_space(call, words),
        status=status,
        request_id=_request_id(headers, secrets),
        hub_message=(message or None) if _is_from_the_hub(headers, text) else None,
        outcome_unknown=status >= 500 or status == 408,
    )


def _words(
    call: Call[Any], status: int, headers: Mapping[str, str], message: str, token: str | None
) -> tuple[type[HubError], str]:
    request = f"{call.method} {call.path}"
    answer = f"the Hub answered {status}" + (f": {message!r}." if message else " and gave no reason.")
    if status == 401:
        return HubAuthError, _unauthorized(call, message, answer, token)
    if status == 402 or (status == 403 and "payment method" in message):
        return HubPaymentRequired, (
            f"{_about(call)} needs a paying account; {answer} Check the payment method, the credits "
            f"and the plan of the Space's owner at https://huggingface.co/settings/billing."
        )
    if status == 403:
        return HubPermissionError, (
            f"the token may not send {request}; {answer} Use a token with write access whose owner may "
            f"manage the Space."
        )
    if status == 404 and _names_repo(headers, message):
        return SpaceNotFound, (
            f"{_about(call, 'The repository')} was not found: it does not exist, or the token may not see "
            f"it. Check the repo_id, and that the token's owner has access."
        )
    if status in (404, 410):
        hint = "" if call.instead else " Check that the endpoint is a Hub."
        return HubGone, f"the Hub does not offer {request}; {answer}{hint}"
    if status == 409:
        if call.creates:
            source = "" if call.creates == call.repo_id else f" from Space {call.repo_id}"
            return HubConflict, (
                f"Space {call.creates} cannot be created{source}; {answer} If a Space with this id already "
                f"exists, choose another id or keep the existing Space."
            )
        return HubConflict, (
            f"the Hub reports a conflict for {request}; {answer} Check whether the change was already made, "
            f"or retry when no other operation on the Space is in progress."
        )
    if status == 429:
        return HubRateLimited, (
            f"the Hub's rate limit is used up: {request} was refused; {answer} Send fewer requests, or poll "
            f"less often."
        )
    if status >= 500 or status == 408:
        return HubUnavailable, f"the Hub could not process {request}; {answer}{TRY_LATER}"
    return HubBadRequest, f"the Hub rejected {request}; {answer} Correct the values of the request."


def refused_with_reason(error: HubUnavailable, reason: str) -> HubUnavailable:
    """Add the reason to the error of a refused action.

    :param reason: the error message in the Space's runtime.
    """
    reason = brief(reason, longest=_MAX_MESSAGE_CHARACTERS)
    error.message = f"{error.message.removesuffix(TRY_LATER)} The Space's own reason: {reason!r}."
    error.args = (error.message,)
    return error


def missing_token(call: Call[Any]) -> HubAuthError:
    """Return the error for a request that requires a token if no token is set. Nothing was sent."""
    return HubAuthError.from_call(
        call,
        _starting_with_space(
            call,
            f"{call.method} {call.path} needs a token, but no token is set: without a token, only public "
            f"Spaces can be read. Set a token with write access.",
        ),
    )


def quota_used_up(call: Call[Any], seconds: float) -> HubRateLimited:
    """Return the error for a request that would wait too long for a new rate-limit window. Nothing was sent.

    :param seconds: time until the next window.
    """
    error = HubRateLimited.from_call(
        call,
        _starting_with_space(
            call,
            f"{call.method} {call.path} was not sent: the Hub's rate limit is used up for another "
            f"{seconds:.0f} seconds. Retry after this time, or send fewer requests.",
        ),
    )
    error.retry_after = seconds
    return error


def unavailable(
    call: Call[Any], reason: str, *, sent: bool, permanent: bool = False, token: str | None = None
) -> HubUnavailable:
    """Return the error for a request without a response.

    :param reason: the message of the network error.
    :param sent: whether the Hub may have received the request.
    :param permanent: whether every retry would fail too.
    """
    unknown = sent and call.method != "GET"
    consequence = "It is not known whether the request took effect." if unknown else "Nothing was changed."
    reason = brief(reason, _secrets(call, token), longest=_MAX_MESSAGE_CHARACTERS)
    error = HubUnavailable.from_call(
        call,
        _starting_with_space(
            call, f"no answer from the Hub to {call.method} {call.path}: {reason}. {consequence}"
        ),
        outcome_unknown=unknown,
    )
    error.permanent = permanent
    return error


def protocol_error(
    call: Call[Any],
    status: int,
    headers: Mapping[str, str],
    text: str,
    *,
    expected: str = "JSON",
    token: str | None = None,
) -> HubProtocolError:
    """Return the error for a response that the Hub's API does not send.

    :param expected: the content that the call needs, for the message.
    """
    secrets = _secrets(call, token)
    start = brief(text, secrets, longest=_MAX_START_LENGTH)
    kind = brief(headers.get("content-type") or "", secrets, longest=_MAX_HEADER_LENGTH) or "no content type"
    hint = " Check the endpoint, or try again later."
    if _is_html(headers, text):
        hint = " This web page does not look like a Hub. Check the endpoint and the proxies in front of it."
    return HubProtocolError.from_call(
        call,
        _starting_with_space(
            call,
            f"{call.method} {call.path} was answered with {status} and {kind} instead of {expected}. "
            f"The answer begins with {start!r}.{hint}",
        ),
        status=status,
        request_id=_request_id(headers, secrets),
        outcome_unknown=call.method != "GET" and status < 400,
    )


def moved_host(call: Call[Any], status: int, target: str, *, token: str | None = None) -> HubProtocolError:
    """Return the error for a redirect to another host."""
    parts = urlsplit(target)
    host = brief(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", _secrets(call, token), longest=300)
    error = HubProtocolError.from_call(
        call,
        _starting_with_space(
            call,
            f"{call.method} {call.path} was redirected with {status} to {host}, which gets neither the token "
            f"nor the request. If this host is your Hub, set the endpoint to {host}.",
        ),
        status=status,
    )
    error.permanent = True
    return error


def redirect_without_body(call: Call[Any], status: int) -> HubProtocolError:
    """Return the error for a redirect that a client must follow without the body of the request."""
    return HubProtocolError.from_call(
        call,
        _starting_with_space(
            call,
            f"{call.method} {call.path} was redirected with {status}, and following the redirect would lose "
            f"the body of the request. Check the endpoint.",
        ),
        status=status,
    )


def bad_next_page(call: Call[Any], status: int) -> HubProtocolError:
    """Return the error for a list whose link to the next page cannot be followed."""
    return HubProtocolError.from_call(
        call,
        f"The next page of {call.path} cannot be read: its link leads back to a page that was already read, "
        f"or is not a URL. Check the endpoint.",
        status=status,
    )


def answer_too_large(call: Call[Any], status: int, most: int) -> HubProtocolError:
    """Return the error for an answer with more than ``most`` bytes."""
    return _beyond(call, status, f"has more than {most:,} bytes", "max_bytes")


def answer_too_slow(call: Call[Any], status: int, most: float) -> HubProtocolError:
    """Return the error for an answer that did not end within ``most`` seconds."""
    return _beyond(call, status, f"did not end within {most:g} seconds", "max_seconds")


def too_many_pages(call: Call[Any], most: int, what: str, limit: str) -> HubProtocolError:
    """Return the error for a list that is longer than the client accepts.

    :param what: the unit of the limit, ``pages`` or ``entries``.
    :param limit: the field of ``AnswerLimits`` that sets the limit.
    """
    return _beyond(call, 200, f"has more than {most:,} {what}", limit)


def _beyond(call: Call[Any], status: int, problem: str, limit: str) -> HubProtocolError:
    return HubProtocolError.from_call(
        call,
        _starting_with_space(
            call,
            f"the answer to {call.method} {call.path} {problem} and was not read to its end. "
            f"Check the endpoint, or raise {limit} of the client's AnswerLimits.",
        ),
        status=status,
        outcome_unknown=call.method != "GET" and status < 400,
    )


def _hub_message(headers: Mapping[str, str], text: str) -> str:
    """Return the Hub's message in an error response: its header, then the ``error`` fields of the body."""
    parts: list[str] = []
    if headers.get("x-error-message"):
        parts.append(headers["x-error-message"])
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        if text:
            parts.append(text)
    else:
        parts.extend(_messages(body))
    unique = dict.fromkeys(" ".join(part.split()) for part in parts if part)
    return "; ".join(unique)


def _messages(body: Any) -> list[str]:
    if not isinstance(body, dict):
        return []
    messages: list[str] = []
    error = body.get("error")
    messages.extend(str(each) for each in (error if isinstance(error, list) else [error]) if each)
    if body.get("error_description"):
        messages.append(str(body["error_description"]))
    details = body.get("errors")
    if isinstance(details, list):
        messages.extend(
            str(each["message"]) for each in details if isinstance(each, dict) and each.get("message")
        )
    return messages


def _unauthorized(call: Call[Any], message: str, answer: str, token: str | None) -> str:
    request = f"{call.method} {call.path}"
    if not token:
        return (
            f"{request} was sent without a token; {answer} The Space may be private or may not exist. "
            f"Set a token."
        )
    if _REFUSED_CREDENTIALS in message:
        return (
            f"the Hub does not accept the token for {request}; {answer} The token is wrong, expired or "
            f"revoked. Create a new one at https://huggingface.co/settings/tokens."
        )
    if call.path.endswith(_OAUTH_REFUSED):
        return (
            f"the Hub does not accept the token for {request}; {answer} For hardware, sleep time and "
            f"restart, the Hub refuses tokens of an OAuth login, even if they may read the Space. Use a User "
            f"Access Token with write access."
        )
    return (
        f"the Hub does not accept the token for {request}; {answer} Check that the token is still valid and "
        f"is a User Access Token with access to the Space."
    )


def _is_from_the_hub(headers: Mapping[str, str], text: str) -> bool:
    """Return True if the Hub itself sent an error response: it has the Hub's headers, JSON, or no body."""
    if not text.strip() or any(headers.get(name) for name in _HUBS_OWN_HEADERS):
        return True
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _names_repo(headers: Mapping[str, str], message: str) -> bool:
    return headers.get("x-error-code") == "RepoNotFound" or "Repository not found" in message


def _is_html(headers: Mapping[str, str], text: str) -> bool:
    return "html" in (headers.get("content-type") or "") or text.lstrip()[:15].lower().startswith(
        ("<!doctype", "<html")
    )


def _request_id(headers: Mapping[str, str], secrets: tuple[str | None, ...]) -> str | None:
    for name in ("x-request-id", "x-amzn-trace-id", "x-amz-cf-id"):
        if headers.get(name):
            return brief(headers[name], secrets, longest=_MAX_HEADER_LENGTH)
    return None


def _secrets(call: Call[Any], token: str | None) -> tuple[str | None, ...]:
    return (token, *call.confidential)


def _about(call: Call[Any], otherwise: str = "This request") -> str:
    return f"Space {call.repo_id}" if call.repo_id else otherwise


def _starting_with_space(call: Call[Any], sentence: str) -> str:
    """Return a text that starts with the Space of the call, or with a capital letter if it has none."""
    if call.repo_id and not sentence.startswith("Space "):
        return f"Space {call.repo_id}: {sentence}"
    return f"{sentence[0].upper()}{sentence[1:]}"
