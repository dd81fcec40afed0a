""":class:`Call`, the description of a request, and the helpers that build calls.

Come here to change what a call can describe. The modules beside this one have one function per endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from airflow_provider_hfspaces.hub.checks import checked_repo_id

__all__ = [
    "Call",
    "as_names",
    "change_call",
    "get_call",
    "list_of",
    "post_call",
    "read_mapping",
    "read_nothing",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """Describes one request without sending it.

    The functions of :mod:`~airflow_provider_hfspaces.hub.calls` build calls, and a client sends them::

        call = calls.get_runtime("acme/whisper")
        runtime = client.send(call)

    :ivar method: HTTP method.
    :ivar path: quoted path on the Hub.
    :ivar read: returns the result from the decoded answer; raises ``KeyError``, ``TypeError`` or
        ``ValueError`` if the answer has another form.
    :ivar query: pairs of the query string, in order; a name may occur more than once.
    :ivar body: the JSON body; ``None`` for a request without a body.
    :ivar lines: the body as JSON Lines, instead of ``body``.
    :ivar repeatable: True if sending the request twice has the same effect as sending it once.
    :ivar repo_id: the Space or repository of the request, for messages.
    :ivar needs_token: True if the Hub rejects the request without a token.
    :ivar answer: the form of the answer: ``json``, ``entries`` (a JSON list that ``read`` gets as an iterator
        of decoded entries), ``events`` (server-sent events) or ``any`` (the body does not matter).
    :ivar confidential: values in the body that no message may show.
    :ivar instead: for an endpoint that the Hub is retiring, a sentence that names the replacement.
    :ivar creates: the Space that the request creates, as ``owner/name``.
    """

    method: str
    path: str
    read: Callable[[Any], T] = field(repr=False, compare=False)
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    repeatable: bool = False
    repo_id: str | None = None
    needs_token: bool = False
    answer: str = "json"
    confidential: tuple[str, ...] = field(default=(), repr=False)
    instead: str | None = None
    lines: tuple[Mapping[str, Any], ...] | None = field(default=None, repr=False)
    creates: str | None = None


def get_call(
    repo_id: str,
    suffix: str,
    read: Callable[[Any], T],
    *,
    query: Iterable[tuple[str, str]] = (),
    needs_token: bool = False,
    answer: str = "json",
) -> Call[T]:
    """Return a repeatable call that reads from ``/api/spaces/{repo_id}``.

    :param suffix: the rest of the path, such as ``/runtime``.
    :raises InvalidRepoId: if ``repo_id`` is not valid.
    """
    repo_id = checked_repo_id(repo_id)
    return Call(
        "GET",
        f"/api/spaces/{repo_id}{suffix}",
        read,
        tuple(query),
        repeatable=True,
        repo_id=repo_id,
        needs_token=needs_token,
        answer=answer,
    )


def change_call(
    method: str,
    repo_id: str,
    suffix: str,
    read: Callable[[Any], T],
    body: Mapping[str, Any] | None = None,
    *,
    query: tuple[tuple[str, str], ...] = (),
    repeatable: bool = False,
    answer: str = "json",
    confidential: tuple[str, ...] = (),
    instead: str | None = None,
    creates: str | None = None,
) -> Call[T]:
    """Return a call that changes something under ``/api/spaces/{repo_id}``, and needs a token.

    :param suffix: the rest of the path, such as ``/pause``.
    :raises InvalidRepoId: if ``repo_id`` is not valid.
    """
    repo_id = checked_repo_id(repo_id)
    return Call(
        method,
        f"/api/spaces/{repo_id}{suffix}",
        read,
        query,
        body,
        repeatable=repeatable,
        repo_id=repo_id,
        needs_token=True,
        answer=answer,
        confidential=tuple(value for value in confidential if value),
        instead=instead,
        creates=creates,
    )


def post_call(
    repo_id: str,
    suffix: str,
    read: Callable[[Any], T],
    body: Mapping[str, Any] | None = None,
    **options: Any,
) -> Call[T]:
    """Return a :func:`change_call` with the method ``POST``."""
    return change_call("POST", repo_id, suffix, read, body, **options)


def as_names(names: str | Iterable[str]) -> list[str]:
    """Return one name or several names as a list."""
    return [names] if isinstance(names, str) else list(names)


def list_of(read: Callable[[Mapping[str, Any]], T]) -> Callable[[Any], list[T]]:
    """Return a function that reads a JSON list by reading each entry with ``read``."""

    def read_list(payload: Any) -> list[T]:
        if not isinstance(payload, list):
            raise TypeError("a list")
        return [read(each) for each in payload]

    return read_list


def read_mapping(payload: Any) -> dict[str, Any]:
    """Return the answer itself.

    :raises TypeError: if it is not a JSON object.
    """
    if not isinstance(payload, dict):
        raise TypeError("an object")
    return payload


def read_nothing(payload: Any) -> None:
    """Return ``None``, for an answer whose body does not matter."""
