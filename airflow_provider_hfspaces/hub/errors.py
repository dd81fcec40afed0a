"""What can go wrong between us and the Hub, as exceptions that say what to do about it.

HubError
├── HubAuthError          401: no token, a bad one, or one of a kind that the Hub refuses here
├── HubPaymentRequired    402, and the 403 for want of a payment method
├── HubPermissionError    403: the token's owner may not do this
├── SpaceNotFound         404: no such Space, or the token may not see it
├── HubGone               404 or 410: the Hub no longer has this route
├── HubBadRequest         400, 422 and the like: the Hub refuses what was sent
├── HubConflict           409: it exists already, or is being changed by somebody else
├── HubRateLimited        429: the quota of this window is used up
├── HubUnavailable        5xx, and answers that never came
└── HubProtocolError      an answer that is not what the Hub promises

SpaceWaitError
├── SpaceWaitFailed       the Space can't get there any more
└── SpaceWaitTimeout      it has not got there in time

InvalidInput (a ValueError, in checks.py): refused before anything was sent
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from typing_extensions import Self

    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.checks import InvalidInput
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = [
    "HubAuthError",
    "HubBadRequest",
    "HubConflict",
    "HubError",
    "HubGone",
    "HubPaymentRequired",
    "HubPermissionError",
    "HubProtocolError",
    "HubRateLimited",
    "HubUnavailable",
    "SpaceNotFound",
    "SpaceWaitError",
    "SpaceWaitFailed",
    "SpaceWaitTimeout",
    "error_from_dict",
    "error_from_response",
    "error_to_dict",
    "missing_token",
    "protocol_error",
    "quota_used_up",
    "unavailable",
    "wait_failed",
    "wait_timed_out",
    "written_forms",
]


class HubError(Exception):
    """The Hub did not do what it was asked.

    :ivar repo_id: the Space it was about, as ``owner/name``.
    :ivar method: HTTP method of the request.
    :ivar path: its path, without a query.
    :ivar status: HTTP status of the answer; ``None`` where there was none.
    :ivar request_id: the Hub's id of the request, for its support.
    :ivar hub_message: what the Hub said, in its own words.
    :ivar tries: how often the request was sent.
    :ivar outcome_unknown: True where the request may have taken effect all the same.
    """

    permanent: bool = True
    """False where the same request, sent later, could succeed."""

    def __init__(
        self,
        message: str,
        *,
        repo_id: str | None = None,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        hub_message: str | None = None,
        tries: int = 1,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.repo_id = repo_id
        self.method = method
        self.path = path
        self.status = status
        self.request_id = request_id
        self.hub_message = hub_message
        self.tries = tries
        self.outcome_unknown = outcome_unknown

    @classmethod
    def of(cls, call: Call[Any], message: str, **details: Any) -> Self:
        """The error of one call."""
        return cls(message, repo_id=call.repo_id, method=call.method, path=call.path, **details)

    def __str__(self) -> str:
        notes = []
        if self.tries > 1:
            notes.append(f"{self.tries} tries")
        if self.request_id:
            notes.append(f"request id {self.request_id}")
        return f"{self.message} ({', '.join(notes)})" if notes else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self.__dict__))


def _rebuild(kind: type[Exception], message: str, state: dict[str, Any]) -> Exception:
    error = kind.__new__(kind)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class HubAuthError(HubError):
    """401: the Hub does not accept who asks."""


class HubPaymentRequired(HubError):
    """402, or the 403 for want of a payment method."""


class HubPermissionError(HubError):
    """403: the token's owner may see this Space but not do this."""


class SpaceNotFound(HubError):
    """404: there is no such Space, or the token may not see it. The Hub does not tell which."""


class HubGone(HubError):
    """404 or 410 on a route that the Hub does not have (any more)."""


class HubBadRequest(HubError):
    """400, 422 and other 4xx: the Hub refuses what was sent."""


class HubConflict(HubError):
    """409: the thing exists already, or another operation on it is under way."""

    @property
    def permanent(self) -> bool:  # type: ignore[override]
        return "in progress" not in (self.hub_message or "")


class HubRateLimited(HubError):
    """429: too many requests.

    :ivar retry_after: seconds until the Hub takes requests again, where it said so.
    """

    permanent = False
    retry_after: float | None = None


class HubUnavailable(HubError):
    """A 5xx, or no answer at all."""

    permanent = False


class HubProtocolError(HubError):
    """An answer that is no JSON, or not the JSON that the Hub promises."""

    permanent = False


class SpaceWaitError(Exception):
    """A wait for a Space ended without success.

    :ivar repo_id: the Space, as ``owner/name``.
    :ivar runtime: what the Hub said of it last.
    """

    permanent: bool = False

    def __init__(
        self, message: str, *, repo_id: str, runtime: SpaceRuntime | None, permanent: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.repo_id = repo_id
        self.runtime = runtime
        self.permanent = permanent

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self.__dict__))


class SpaceWaitFailed(SpaceWaitError):
    """The Space is in a stage that it does not leave by itself."""


class SpaceWaitTimeout(SpaceWaitError):
    """The Space did not get there in time."""


def error_to_dict(error: HubError | SpaceWaitError | InvalidInput) -> dict[str, Any]:
    """An error as plain JSON, so that another process can raise the same with :func:`error_from_dict`."""
    state = dict(vars(error))
    runtime = state.pop("runtime", None)
    return {
        "kind": type(error).__name__,
        "message": str(error.args[0] if error.args else error),
        "state": state,
        "runtime": runtime.to_dict() if runtime is not None else None,
    }


def error_from_dict(said: Mapping[str, Any]) -> Exception:
    """The error that :func:`error_to_dict` described."""
    from airflow_provider_hfspaces.hub import checks
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

    kind: Any = globals().get(said["kind"]) or getattr(checks, said["kind"], HubError)
    state = dict(said["state"])
    if issubclass(kind, SpaceWaitError):
        state["runtime"] = SpaceRuntime.from_dict(said["runtime"]) if said["runtime"] else None
    return _rebuild(kind, said["message"], state)


def wait_failed(
    repo_id: str, goal: str, reason: str, runtime: SpaceRuntime, permanent: bool = False
) -> SpaceWaitFailed:
    """The error for a Space that cannot get there any more."""
    return SpaceWaitFailed(
        f"Space {repo_id} does not get to {goal}: {reason}.",
        repo_id=repo_id,
        runtime=runtime,
        permanent=permanent,
    )


def wait_timed_out(
    repo_id: str, goal: str, timeout: float, reason: str, runtime: SpaceRuntime | None, endpoint: str
) -> SpaceWaitTimeout:
    """The error for a Space that has not got there in time.

    :param timeout: seconds that it had.
    :param endpoint: of the Hub, for the address of the Space's log.
    """
    return SpaceWaitTimeout(
        f"Space {repo_id} is not {goal} after {timeout:.0f} seconds: {reason}. "
        f"Look at its logs at {endpoint}/spaces/{repo_id}?logs=build, or wait longer.",
        repo_id=repo_id,
        runtime=runtime,
    )


_OAUTH_REFUSED = ("/hardware", "/sleeptime", "/restart")
_REFUSED_CREDENTIALS = "Invalid credentials in Authorization header"
_TOKEN_PATTERN = re.compile(r"\b(hf_|api_org_)[A-Za-z0-9]{6,}")
_LONGEST_MESSAGE = 500


def error_from_response(
    call: Call[Any],
    status: int,
    headers: Mapping[str, str],
    text: str,
    *,
    token: str | None = None,
) -> HubError:
    """The error that an answer of 4xx or 5xx stands for.

    :param headers: of the answer, with case-insensitive names.
    :param token: what was sent with the request; only to tell the cases of 401 apart and to take
        it out of whatever the Hub echoes.
    """
    said = scrub(hub_message(headers, text), call, token)
    what = f"{call.method} {call.path}"
    answer = f"the Hub answered {status}" + (f": {said!r}." if said else " and gave no reason.")
    kind: type[HubError]
    if status == 401:
        kind, message = HubAuthError, _unauthorized(call, said, answer, token)
    elif status == 402 or (status == 403 and "payment method" in said):
        kind = HubPaymentRequired
        message = (
            f"{_about(call)} needs a paying account; {answer} Check the payment method, the credits "
            f"and the plan of the Space's owner at https://huggingface.co/settings/billing."
        )
    elif status == 403:
        kind = HubPermissionError
        message = (
            f"The token may not do this: {what}{_for(call)}; {answer} Use a token with write access "
            f"to the Space, of a user who may manage it."
        )
    elif status == 404 and _is_html(headers, text):
        return protocol_error(call, status, headers, text, token=token)
    elif status == 404 and _names_repo(headers, said):
        kind = SpaceNotFound
        message = (
            f"The Hub does not find {_about(call, 'the repository')}: it does not exist, or the token "
            f"may not see it. Check the repo_id, and that the token's owner has access."
        )
    elif status in (404, 410):
        kind = HubGone
        message = f"The Hub does not offer {what}{_for(call)}; {answer}"
        if not call.instead:
            message += " Check that the connection's host is a Hub."
    elif status == 409:
        kind = HubConflict
        message = f"The Hub reports a conflict for {what}{_for(call)}; {answer}"
    elif status == 429:
        kind = HubRateLimited
        message = (
            f"The Hub's rate limit is used up: {what}{_for(call)} was refused; {answer} "
            f"Send fewer requests, or poll less often."
        )
    elif status >= 500 or status == 408:
        kind = HubUnavailable
        message = f"The Hub could not answer {what}{_for(call)}; {answer} Try again later."
    else:
        kind = HubBadRequest
        message = f"The Hub refused {what}{_for(call)}; {answer}"
    if call.instead and kind in (HubGone, HubBadRequest, HubPermissionError, HubConflict):
        message = f"{message} {call.instead}"
    return kind.of(
        call,
        message,
        status=status,
        request_id=_request_id(headers),
        hub_message=said or None,
        outcome_unknown=status >= 500 or status == 408,
    )


def missing_token(call: Call[Any]) -> HubAuthError:
    """The error for a request that makes no sense without a token. Nothing was sent."""
    return HubAuthError.of(
        call,
        f"{call.method} {call.path}{_for(call)} needs a token, and there is none: without one only "
        f"public Spaces can be read. Put a token with write access into the connection's password.",
    )


def quota_used_up(call: Call[Any], seconds: float) -> HubRateLimited:
    """The error for a request that would have to wait too long for a new window. Nothing was sent."""
    error = HubRateLimited.of(
        call,
        f"{call.method} {call.path}{_for(call)} was not sent: the Hub's rate limit is used up for "
        f"another {seconds:.0f} seconds.",
    )
    error.retry_after = seconds
    return error


def unavailable(
    call: Call[Any], reason: str, *, sent: bool, permanent: bool = False, token: str | None = None
) -> HubUnavailable:
    """The error for an answer that never came.

    :param reason: what the network said.
    :param sent: whether the Hub may have got the request.
    :param permanent: whether no later try could help either.
    """
    unknown = sent and call.method != "GET"
    consequence = "It is not known whether it took effect." if unknown else "Nothing was changed."
    error = HubUnavailable.of(
        call,
        f"No answer from the Hub to {call.method} {call.path}{_for(call)}: "
        f"{scrub(reason, call, token)}. {consequence}",
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
    """The error for an answer that the Hub does not give.

    :param expected: what was promised, for the message.
    """
    start = scrub(" ".join(text.split()), call, token)[:200]
    kind = headers.get("content-type") or "no content type"
    hint = " Check the connection's host: this does not look like a Hub." if _is_html(headers, text) else ""
    return HubProtocolError.of(
        call,
        f"{call.method} {call.path}{_for(call)} was answered with {status} and {kind} where "
        f"{expected} was expected, beginning with {start!r}.{hint}",
        status=status,
        request_id=_request_id(headers),
        outcome_unknown=call.method != "GET" and status < 400,
    )


def hub_message(headers: Mapping[str, str], text: str) -> str:
    """What the Hub said in an error answer: its header, then the ``error`` fields of the body."""
    parts: list[str] = []
    if headers.get("x-error-message"):
        parts.append(headers["x-error-message"])
    try:
        body = json.loads(text)
    except ValueError:
        if text and not _is_html(headers, text):
            parts.append(text)
    else:
        parts.extend(_messages(body))
    unique = dict.fromkeys(" ".join(part.split()) for part in parts if part)
    return "; ".join(unique)[:_LONGEST_MESSAGE]


def scrub(text: str, call: Call[Any] | None = None, token: str | None = None) -> str:
    """``text`` without the token, without anything like one, and without the call's secrets."""
    hidden = [token or "", *(call.confidential if call else ())]
    forms = {form for value in hidden if value for form in written_forms(value)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return _TOKEN_PATTERN.sub(r"\1***", text)


def written_forms(secret: str) -> set[str]:
    """A secret as it may stand in a text: as it is, in JSON, in a repr, in an address."""
    written = {
        secret,
        " ".join(secret.split()),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
    }
    return {form for form in written if form}


def _messages(body: Any) -> list[str]:
    if not isinstance(body, dict):
        return []
    found: list[str] = []
    error = body.get("error")
    found.extend(str(each) for each in (error if isinstance(error, list) else [error]) if each)
    if body.get("error_description"):
        found.append(str(body["error_description"]))
    details = body.get("errors") or ()
    found.extend(str(each["message"]) for each in details if isinstance(each, dict) and each.get("message"))
    return found


def _unauthorized(call: Call[Any], said: str, answer: str, token: str | None) -> str:
    what = f"{call.method} {call.path}{_for(call)}"
    if not token:
        return (
            f"{what} was sent without a token; {answer} The Space may be private or may not exist: "
            f"put a token into the connection's password."
        )
    if _REFUSED_CREDENTIALS in said:
        return (
            f"The Hub does not accept the token for {what}; {answer} It is wrong, expired or revoked: "
            f"make a new one at https://huggingface.co/settings/tokens."
        )
    if call.path.endswith(_OAUTH_REFUSED):
        return (
            f"The Hub does not accept the token for {what}; {answer} It refuses tokens of an OAuth login "
            f"for hardware, sleep time and restart, even where they may read the Space: use a User Access "
            f"Token with write access."
        )
    return (
        f"The Hub does not accept the token for {what}; {answer} Check that it is still valid and is a "
        f"User Access Token with access to this Space."
    )


def _names_repo(headers: Mapping[str, str], said: str) -> bool:
    return headers.get("x-error-code") == "RepoNotFound" or "Repository not found" in said


def _is_html(headers: Mapping[str, str], text: str) -> bool:
    return "html" in (headers.get("content-type") or "") or text.lstrip()[:15].lower().startswith(
        ("<!doctype", "<html")
    )


def _request_id(headers: Mapping[str, str]) -> str | None:
    for name in ("x-request-id", "x-amzn-trace-id", "x-amz-cf-id"):
        if headers.get(name):
            return headers[name]
    return None


def _about(call: Call[Any], otherwise: str = "This request") -> str:
    return f"Space {call.repo_id}" if call.repo_id else otherwise


def _for(call: Call[Any]) -> str:
    return f" for Space {call.repo_id}" if call.repo_id else ""
