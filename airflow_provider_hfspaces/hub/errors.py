"""The exceptions of the Hub's client, as one tree. Come here to see what to catch.

HubError
├── HubAuthError          401: no token, a token that is not valid, or a kind of token that the Hub refuses
├── HubPaymentRequired    402, or 403 for a missing payment method
├── HubPermissionError    403: the token may not send this request
├── SpaceNotFound         404: the Space does not exist, or the token may not see it
├── HubGone               404 or 410: the Hub does not have this route (any more)
├── HubBadRequest         400, 422 and other 4xx: the Hub rejects the values of the request
├── HubConflict           409: the Space already exists, or another operation on it is in progress
├── HubRateLimited        429: a rate limit is used up
├── HubUnavailable        5xx, or no answer
└── HubProtocolError      an answer that the Hub's API does not send

SpaceWaitError
├── SpaceWaitFailed       the Space can no longer reach the goal by itself
│   ├── SpaceNotStarted   the Space did not start on the hardware in time
│   └── HardwareUnavailable   none of several flavors is available
└── SpaceWaitTimeout      the Space did not reach the goal in time

InvalidInput (a ValueError): an argument is not valid, and nothing was sent
├── InvalidRepoId, InvalidHardware, InvalidStorage, InvalidSleepTime, InvalidStage
├── InvalidSha, InvalidKey, InvalidVolume, InvalidNumber, InvalidToken, InvalidEndpoint
└── InvalidProxy          an environment variable that names a proxy

The module ``hub.error_responses`` creates the errors for the Hub's error responses, with their texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = [
    "GATEWAY_STATUSES",
    "HardwareUnavailable",
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
    "InvalidEndpoint",
    "InvalidHardware",
    "InvalidInput",
    "InvalidKey",
    "InvalidNumber",
    "InvalidProxy",
    "InvalidRepoId",
    "InvalidSha",
    "InvalidSleepTime",
    "InvalidStage",
    "InvalidStorage",
    "InvalidToken",
    "InvalidVolume",
    "RegisteredError",
    "SpaceNotFound",
    "SpaceNotStarted",
    "SpaceWaitError",
    "SpaceWaitFailed",
    "SpaceWaitTimeout",
    "error_from_dict",
    "error_to_dict",
]

GATEWAY_STATUSES = frozenset({502, 503, 504})
"""Statuses of a proxy or a gateway that got no answer from the server behind it."""

_kinds: dict[str, type[Exception]] = {}


class RegisteredError(Exception):
    """Base class that registers its subclasses by name, for :func:`error_from_dict`.

    Errors with further attributes can be pickled and copied, also when their constructor has more parameters.

    :ivar message: the text of the error.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _kinds[cls.__name__] = cls

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild_error, (type(self), self.message, dict(self.__dict__))


class HubError(RegisteredError):
    """A request to the Hub failed.

    ::

        try:
            client.send(calls.pause("acme/whisper"))
        except HubError as error:
            print(error.status, error.hub_message, error.permanent)

    :ivar message: the text of the error, without the number of tries and the request id.
    :ivar repo_id: the Space of the request, as ``owner/name``; ``None`` for a request without a Space.
    :ivar method: HTTP method of the request.
    :ivar path: path of the request, without a query.
    :ivar status: HTTP status of the answer; ``None`` without an answer.
    :ivar request_id: the Hub's id of the request, for questions to its support.
    :ivar hub_message: the message in the Hub's answer; ``None`` without one.
    :ivar tries: number of times that the request was sent.
    :ivar outcome_unknown: True if the request may have taken effect although it failed.
    :ivar tried_enough: True if the client stops its retries, although a later try could succeed.
    """

    permanent: bool = True
    """False if the same request, sent later, could succeed."""

    repo_id: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None
    request_id: str | None = None
    hub_message: str | None = None
    tries: int = 1
    outcome_unknown: bool = False
    tried_enough: bool = False

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
        self.repo_id = repo_id
        self.method = method
        self.path = path
        self.status = status
        self.request_id = request_id
        self.hub_message = hub_message
        self.tries = tries
        self.outcome_unknown = outcome_unknown

    @classmethod
    def from_call(cls, call: Call[Any], message: str, **details: Any) -> Self:
        """Return the error of a call.

        :param message: the text of the error.
        :param details: further arguments of the constructor.
        """
        return cls(message, repo_id=call.repo_id, method=call.method, path=call.path, **details)

    @classmethod
    def from_error(cls, error: HubError, message: str, **details: Any) -> Self:
        """Return an error of this class with the request and the answer of another error.

        :param message: the text of the error.
        :param details: further arguments of the constructor, which win over those of ``error``.
        """
        request = {
            "repo_id": error.repo_id,
            "method": error.method,
            "path": error.path,
            "status": error.status,
            "request_id": error.request_id,
            "hub_message": error.hub_message,
        }
        return cls(message, **{**request, **details})

    def __str__(self) -> str:
        notes = []
        if self.tries > 1:
            notes.append(f"{self.tries} tries")
        if self.request_id:
            notes.append(f"request id {self.request_id}")
        return f"{self.message} ({', '.join(notes)})" if notes else self.message


def rebuild_error(kind: type[Exception], message: str, state: Mapping[str, Any]) -> Exception:
    """Return an error of a class with these attributes, without calling its constructor."""
    error = kind.__new__(kind)
    error.args = (message,)
    error.__dict__.update({"message": message, **state})
    return error


class HubAuthError(HubError):
    """401: the Hub does not accept the token, or requires one."""


class HubPaymentRequired(HubError):
    """402, or the 403 for a missing payment method."""


class HubPermissionError(HubError):
    """403: the token may see the Space, but may not send this request."""


class SpaceNotFound(HubError):
    """404: the Space does not exist, or the token may not see it. The Hub gives both the same answer."""


class HubGone(HubError):
    """404 or 410 on a route that the Hub does not have (any more)."""


class HubBadRequest(HubError):
    """400, 422 and other 4xx: the Hub rejects the values of the request."""


class HubConflict(HubError):
    """409: the Space already exists, or another operation on it is in progress."""

    @property
    def permanent(self) -> bool:  # type: ignore[override]
        return "in progress" not in (self.hub_message or "")


class HubRateLimited(HubError):
    """429: too many requests.

    :ivar retry_after: seconds after which the Hub accepts requests again; ``None`` if it did not say.
    :ivar one_route: True if the limit is for this kind of request only, and not for the whole token.
    """

    permanent = False
    retry_after: float | None = None
    one_route: bool = False


class HubUnavailable(HubError):
    """5xx, or no answer."""

    permanent = False


class HubProtocolError(HubError):
    """An answer that the Hub's API does not send: a web page, malformed JSON, a redirect to another host.

    Also an answer beyond the client's limits.
    """

    permanent = False


class SpaceWaitError(RegisteredError):
    """A wait for a Space ended without success.

    :ivar repo_id: the Space, as ``owner/name``.
    :ivar runtime: the last runtime of the Space that the wait has read; ``None`` before the first one.
    """

    permanent: bool = False
    """True if another wait for the same goal would fail too."""

    def __init__(
        self, message: str, *, repo_id: str, runtime: SpaceRuntime | None, permanent: bool = False
    ) -> None:
        super().__init__(message)
        self.repo_id = repo_id
        self.runtime = runtime
        self.permanent = permanent


class SpaceWaitFailed(SpaceWaitError):
    """The Space can no longer reach the goal by itself."""


class SpaceNotStarted(SpaceWaitFailed):
    """The Space did not start on the requested hardware in time.

    :ivar reason: the cause, in a few words.
    """

    reason: str = ""


class HardwareUnavailable(SpaceWaitFailed):
    """None of several hardware flavors is available."""


class SpaceWaitTimeout(SpaceWaitError):
    """The Space did not reach the goal in time."""


class InvalidInput(RegisteredError, ValueError):
    """An argument is not valid. Nothing was sent."""


class InvalidRepoId(InvalidInput):
    """The id of the Space is not valid."""


class InvalidHardware(InvalidInput):
    """The hardware is not a flavor that the Hub offers."""


class InvalidStorage(InvalidInput):
    """The storage is not a storage tier."""


class InvalidSleepTime(InvalidInput):
    """The sleep time is not valid."""


class InvalidStage(InvalidInput):
    """The stage is not a stage of a Space."""


class InvalidSha(InvalidInput):
    """The SHA is not the SHA of a commit."""


class InvalidKey(InvalidInput):
    """The key of a secret or a variable is not valid."""


class InvalidVolume(InvalidInput):
    """The Hub cannot mount the volume."""


class InvalidNumber(InvalidInput):
    """The number is not valid for the parameter."""


class InvalidToken(InvalidInput):
    """The token is not valid."""


class InvalidEndpoint(InvalidInput):
    """The endpoint is not the address of a Hub."""


class InvalidProxy(InvalidInput):
    """An environment variable names a proxy that is not a valid URL."""


def error_to_dict(error: Exception) -> dict[str, Any]:
    """Return an error as plain JSON, from which :func:`error_from_dict` creates it in another process."""
    state = dict(vars(error))
    runtime = state.pop("runtime", None)
    return {
        "kind": type(error).__name__,
        "bases": [base.__name__ for base in type(error).__mro__[1:] if base.__name__ in _kinds],
        "message": str(error.args[0] if error.args else error),
        "state": state,
        "runtime": runtime.to_dict() if runtime is not None else None,
    }


def error_from_dict(payload: Mapping[str, Any]) -> Exception:
    """Return the error from its :func:`error_to_dict`.

    If the class is unknown in this process, the error has the nearest base class that is known.
    """
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

    names = [payload["kind"], *payload.get("bases", ())]
    kind = next((_kinds[name] for name in names if name in _kinds), HubError)
    state = dict(payload["state"])
    if issubclass(kind, SpaceWaitError):
        runtime = payload.get("runtime")
        state["runtime"] = SpaceRuntime.from_dict(runtime) if runtime else None
    return rebuild_error(kind, payload["message"], state)
