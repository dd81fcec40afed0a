"""What the Hub answers about repositories of Spaces: new Spaces, commits, templates and search results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.text import printable

__all__ = ["CreatedSpace", "SpaceCommit", "SpaceSearchResult", "SpaceTemplate"]


@dataclass(frozen=True)
class CreatedSpace:
    """A Space that was created.

    :ivar repo_id: the Space, as ``owner/name``.
    :ivar url: the address of its page.
    """

    repo_id: str
    url: str


@dataclass(frozen=True)
class SpaceCommit:
    """A commit of a Space's repository.

    :ivar sha: its id, 40 hexadecimal digits.
    :ivar title: the first line of its message.
    :ivar message: the rest of its message.
    :ivar date: when it was made, as ISO 8601.
    """

    sha: str
    title: str
    message: str = ""
    date: str | None = None

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> SpaceCommit:
        """Return a commit as the Hub lists it."""
        date = payload.get("date")
        return cls(
            sha=printable(str(payload["id"])),
            title=printable(str(payload.get("title") or "")),
            message=str(payload.get("message") or ""),
            date=date if isinstance(date, str) else None,
        )


@dataclass(frozen=True)
class SpaceTemplate:
    """A Space that the Hub offers as the template of new Spaces.

    :ivar name: its title, such as ``JupyterLab``.
    :ivar repo_id: what :func:`~airflow_provider_hfspaces.hub.calls.create_space` takes as ``template``.
    :ivar sdk: the SDK of a Space from this template: ``gradio``, ``docker`` or ``static``.
    :ivar preferred_private: whether the Hub recommends to keep Spaces from this template private.
    """

    name: str
    repo_id: str
    sdk: str
    preferred_private: bool = False

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> SpaceTemplate:
        """Return a template as the Hub describes it."""
        return cls(
            name=printable(str(payload["name"])),
            repo_id=printable(str(payload["repoId"])),
            sdk=printable(str(payload["sdk"])),
            preferred_private=payload.get("preferredPrivate") is True,
        )


@dataclass(frozen=True)
class SpaceSearchResult:
    """A Space that fits a description.

    :ivar id: the Space, as ``owner/name``.
    :ivar description: what the Space does, in a sentence that a model wrote.
    :ivar category: what kind of app it is, such as ``Image Generation``.
    :ivar score: how well it fits, between 0 and 1.
    :ivar raw: the result as the Hub sent it.
    """

    id: str
    title: str | None = None
    sdk: str | None = None
    likes: int = 0
    description: str | None = None
    category: str | None = None
    score: float | None = None
    runtime: SpaceRuntime | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> SpaceSearchResult:
        """Return a result as the Hub describes it. Only its id has to be readable."""
        likes, score = payload.get("likes"), payload.get("semanticRelevancyScore")
        try:
            runtime = SpaceRuntime.from_payload(payload["runtime"])
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            runtime = None
        return cls(
            id=printable(str(payload["id"])),
            title=_text(payload.get("title")),
            sdk=_text(payload.get("sdk")),
            likes=likes if isinstance(likes, int) else 0,
            description=_text(payload.get("ai_short_description")),
            category=_text(payload.get("ai_category")),
            score=float(score) if isinstance(score, (int, float)) else None,
            runtime=runtime,
            raw=dict(payload),
        )


def _text(value: Any) -> str | None:
    return printable(value) if isinstance(value, str) else None
