"""The Hub's answers about repositories of Spaces: new Spaces, commits, templates and search results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.text import printable

__all__ = ["CreatedSpace", "SpaceCommit", "SpaceSearchResult", "SpaceTemplate"]


@dataclass(frozen=True)
class CreatedSpace:
    """A new Space: ``POST /api/repos/create``.

    :ivar repo_id: the Space, as ``owner/name``.
    :ivar url: URL of the Space's page.
    """

    repo_id: str
    url: str


@dataclass(frozen=True)
class SpaceCommit:
    """A commit of a Space's repository.

    :ivar sha: id of the commit, 40 hexadecimal digits.
    :ivar title: first line of the commit message.
    :ivar message: rest of the commit message.
    :ivar date: when the commit was made, as ISO 8601; ``None`` if the Hub does not say.
    """

    sha: str
    title: str
    message: str = ""
    date: str | None = None

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> SpaceCommit:
        """Return the commit for an entry of the Hub's list.

        :raises KeyError: without an id.
        """
        date = payload.get("date")
        return cls(
            sha=printable(str(payload["id"])),
            title=printable(str(payload.get("title") or "")),
            message=str(payload.get("message") or ""),
            date=date if isinstance(date, str) else None,
        )


@dataclass(frozen=True)
class SpaceTemplate:
    """A Space that the Hub offers as a template for new Spaces.

    :ivar name: title of the template, such as ``JupyterLab``.
    :ivar repo_id: id of the template, for ``template`` of
        :func:`~airflow_provider_hfspaces.hub.calls.create_space`.
    :ivar sdk: the SDK of a Space from this template: ``gradio``, ``docker`` or ``static``.
    :ivar preferred_private: whether the Hub recommends private Spaces for this template.
    """

    name: str
    repo_id: str
    sdk: str
    preferred_private: bool = False

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> SpaceTemplate:
        """Return the template for an entry of the Hub's list.

        :raises KeyError: without a name, id or SDK.
        """
        return cls(
            name=printable(str(payload["name"])),
            repo_id=printable(str(payload["repoId"])),
            sdk=printable(str(payload["sdk"])),
            preferred_private=payload.get("preferredPrivate") is True,
        )


@dataclass(frozen=True)
class SpaceSearchResult:
    """A result of a semantic search for Spaces.

    :ivar id: the Space, as ``owner/name``.
    :ivar description: a generated sentence about what the Space does.
    :ivar category: the category of the app, such as ``Image Generation``.
    :ivar score: relevance, between 0 and 1; ``None`` if the Hub does not say.
    :ivar runtime: the runtime of the Space; ``None`` if it is missing or cannot be read.
    :ivar raw: the Hub's answer, unchanged.
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
        """Return the result for an entry of the Hub's list. Only the id is required.

        :raises KeyError: without an id.
        """
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
