"""The description of a request, :class:`Call`, and the helpers with which the other modules build one."""

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
    """One request, described but not sent.

    :ivar method: HTTP method.
    :ivar path: quoted path on the Hub.
    :ivar read: returns the result from the decoded answer; raises ``KeyError``, ``TypeError`` or
        ``ValueError`` if the answer has another form.
    :ivar query: pairs of the query string, in order; a name may come more than once.
    :ivar body: sent as JSON; ``None`` sends no body at all.
    :ivar lines: sent as lines of JSON, one after the other, instead of a body.
    :ivar repeatable: True if sending it twice has the same effect as sending it once.
    :ivar repo_id: the Space or repository of the request, for messages.
    :ivar needs_token: True if the Hub refuses it without a token.
    :ivar answer: ``json``, ``entries`` (a JSON list; ``read`` gets an iterator that decodes one entry after
        the other), ``events`` (server-sent) or ``any`` (the body does not matter).
    :ivar confidential: values in the body that no message may show.
    :ivar instead: a sentence on what replaces an endpoint that the Hub is retiring.
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
    """A call that reads from ``/api/spaces/{repo_id}``."""
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
    """A call that changes something under ``/api/spaces/{repo_id}``, which needs a token."""
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
    """A :func:`change_call` with the method ``POST``."""
    return change_call("POST", repo_id, suffix, read, body, **options)


def as_names(names: str | Iterable[str]) -> list[str]:
    """A list of names from one name or several."""
    return [names] if isinstance(names, str) else list(names)


def list_of(read: Callable[[Mapping[str, Any]], T]) -> Callable[[Any], list[T]]:
    """A reader of JSON lists, from a reader of their entries."""

    def read_list(payload: Any) -> list[T]:
        if not isinstance(payload, list):
            raise TypeError("a list")
        return [read(each) for each in payload]

    return read_list


def read_mapping(payload: Any) -> dict[str, Any]:
    """The answer itself, which has to be a JSON object."""
    if not isinstance(payload, dict):
        raise TypeError("an object")
    return payload


def read_nothing(payload: Any) -> None:
    """``None``, for answers whose body does not matter."""
