"""The exceptions that this package raises, as one tree.

HubError
├── HubAuthError          401: no token, a bad token, or a kind of token that the Hub refuses here
├── HubPaymentRequired    402, and the 403 for a missing payment method
├── HubPermissionError    403: the token's owner may not do this
├── SpaceNotFound         404: no such Space, or the token may not see it
├── HubGone               404 or 410: the Hub does not have this route (any more)
├── HubBadRequest         400, 422 and the like: the Hub refuses what was sent
├── HubConflict           409: it exists already, or another operation on it is under way
├── HubRateLimited        429: a rate limit is used up
├── HubUnavailable        5xx, and requests without an answer
└── HubProtocolError      an answer that is not what the Hub promises

SpaceWaitError
├── SpaceWaitFailed       the Space cannot reach the goal any more
│   ├── SpaceNotStarted   it did not start on the hardware in time
│   └── HardwareUnavailable   none of several flavors is available
└── SpaceWaitTimeout      the Space did not reach the goal in time

InvalidInput (a ValueError): an argument is not valid, and nothing was sent
├── InvalidRepoId, InvalidHardware, InvalidStorage, InvalidSleepTime, InvalidStage
├── InvalidSha, InvalidKey, InvalidVolume, InvalidNumber, InvalidToken, InvalidEndpoint
└── InvalidProxy          an environment variable that names a proxy

The module ``hub.error_responses`` makes them from answers of the Hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = [
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
    "SpaceNotFound",
    "SpaceNotStarted",
    "SpaceWaitError",
    "SpaceWaitFailed",
    "SpaceWaitTimeout",
    "error_from_dict",
    "error_to_dict",
]

_kinds: dict[str, type[Exception]] = {}


class RegisteredError(Exception):
    """Registers every subclass by its name, wherever it is defined, for :func:`error_from_dict`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _kinds[cls.__name__] = cls


class HubError(RegisteredError):
    """A request to the Hub failed.

    :ivar repo_id: the Space of the request, as ``owner/name``.
    :ivar method: HTTP method of the request.
    :ivar path: path of the request, without a query.
    :ivar status: HTTP status of the answer; ``None`` if there was no answer.
    :ivar request_id: the Hub's id of the request, for its support.
    :ivar hub_message: the Hub's own message.
    :ivar tries: how often the request was sent.
    :ivar outcome_unknown: True if the request may have taken effect nevertheless.
    :ivar tried_enough: True if the client does not send the request again by itself, although a later
        try could succeed.
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
    def from_call(cls, call: Call[Any], message: str, **details: Any) -> Self:
        """Return the error of one call."""
        return cls(message, repo_id=call.repo_id, method=call.method, path=call.path, **details)

    def __str__(self) -> str:
        notes = []
        if self.tries > 1:
            notes.append(f"{self.tries} tries")
        if self.request_id:
            notes.append(f"request id {self.request_id}")
        return f"{self.message} ({', '.join(notes)})" if notes else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild_error, (type(self), self.message, dict(self.__dict__))


def rebuild_error(kind: type[Exception], message: str, state: Mapping[str, Any]) -> Exception:
    """Return an error of this class with this state, without calling its constructor."""
    error = kind.__new__(kind)
    error.args = (message,)
    error.__dict__.update({"message": message, **state})
    return error


class HubAuthError(HubError):
    """401: the Hub does not accept the token, or requires one."""


class HubPaymentRequired(HubError):
    """402, or the 403 for a missing payment method."""


class HubPermissionError(HubError):
    """403: the token's owner may see this Space but not do this."""


class SpaceNotFound(HubError):
    """404: the Space does not exist, or the token may not see it. The Hub answers both alike."""


class HubGone(HubError):
    """404 or 410 on a route that the Hub does not have (any more)."""


class HubBadRequest(HubError):
    """400, 422 and other 4xx: the Hub refuses what was sent."""


class HubConflict(HubError):
    """409: the Space exists already, or another operation on it is under way."""

    @property
    def permanent(self) -> bool:  # type: ignore[override]
        return "in progress" not in (self.hub_message or "")


class HubRateLimited(HubError):
    """429: too many requests.

    :ivar retry_after: seconds until the Hub takes requests again; ``None`` if it did not say.
    :ivar one_route: True if the limit holds for this kind of request only, not for the whole token.
    """

    permanent = False
    retry_after: float | None = None
    one_route: bool = False


class HubUnavailable(HubError):
    """A 5xx, or no answer at all."""

    permanent = False


class HubProtocolError(HubError):
    """An answer that is not the Hub's: a web page, broken JSON, too large, or a redirect elsewhere."""

    permanent = False


class SpaceWaitError(RegisteredError):
    """A wait for a Space ended without success.

    :ivar repo_id: the Space, as ``owner/name``.
    :ivar runtime: the last runtime that was seen; ``None`` if there was none.
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
        return rebuild_error, (type(self), self.message, dict(self.__dict__))


class SpaceWaitFailed(SpaceWaitError):
    """The Space is in a stage that it does not leave by itself."""


class SpaceNotStarted(SpaceWaitFailed):
    """The Space did not start on the requested hardware within the time that a start may take.

    :ivar reason: the cause, in a few words.
    """

    reason: str = ""


class HardwareUnavailable(SpaceWaitFailed):
    """None of several hardware flavors is available."""


class SpaceWaitTimeout(SpaceWaitError):
    """The Space did not reach the goal in time."""


class InvalidInput(RegisteredError, ValueError):
    """An argument that the Hub cannot accept. Nothing was sent."""


class InvalidRepoId(InvalidInput):
    """Not a valid id of a Space."""


class InvalidHardware(InvalidInput):
    """Not a hardware flavor."""


class InvalidStorage(InvalidInput):
    """Not a storage tier."""


class InvalidSleepTime(InvalidInput):
    """Not a valid sleep time."""


class InvalidStage(InvalidInput):
    """Not a stage of a Space."""


class InvalidSha(InvalidInput):
    """Not the SHA of a commit."""


class InvalidKey(InvalidInput):
    """Not a valid name of a secret or a variable."""


class InvalidVolume(InvalidInput):
    """Not a volume that the Hub can mount."""


class InvalidNumber(InvalidInput):
    """Not a valid number for this parameter."""


class InvalidToken(InvalidInput):
    """Not a token."""


class InvalidEndpoint(InvalidInput):
    """Not the address of a Hub."""


class InvalidProxy(InvalidInput):
    """An environment variable names a proxy that is not a valid URL."""


def error_to_dict(error: Exception) -> dict[str, Any]:
    """Return an error as plain JSON, so that another process can raise it with :func:`error_from_dict`."""
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
    """Return the error that :func:`error_to_dict` described.

    If this process does not know the class, the result is of the nearest base class that it knows.
    """
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

    names = [payload["kind"], *payload.get("bases", ())]
    kind = next((_kinds[name] for name in names if name in _kinds), HubError)
    state = dict(payload["state"])
    if issubclass(kind, SpaceWaitError):
        runtime = payload.get("runtime")
        state["runtime"] = SpaceRuntime.from_dict(runtime) if runtime else None
    return rebuild_error(kind, payload["message"], state)
