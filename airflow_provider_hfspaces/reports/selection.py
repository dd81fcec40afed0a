"""Which Spaces a report is on."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.reports.rendered import from_text

__all__ = ["Selection"]


@dataclass(frozen=True)
class Selection:
    """Patterns as of a shell, whose case does not matter, as in the Hub's own ids.

    :ivar include: only what matches one of these; none stands for all.
    :ivar exclude: nothing that matches one of these.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def of(cls, include: str | Iterable[str] | None, exclude: str | Iterable[str] | None) -> Selection:
        """Read what a user gave.

        :raises InvalidInput: for anything but patterns.
        """
        return cls(_patterns(include, "include"), _patterns(exclude, "exclude"))

    def takes(self, repo_id: str) -> bool:
        """Whether a Space is among those meant."""
        wanted = not self.include or any(_matches(repo_id, each) for each in self.include)
        return wanted and not any(_matches(repo_id, each) for each in self.exclude)

    def __str__(self) -> str:
        parts = []
        if self.include:
            parts.append(f"Only Spaces like {', '.join(self.include)}.")
        if self.exclude:
            parts.append(f"No Spaces like {', '.join(self.exclude)}.")
        return " ".join(parts)


def _matches(repo_id: str, pattern: str) -> bool:
    either = (repo_id.casefold(), repo_id.casefold().rpartition("/")[2])
    return any(fnmatchcase(each, pattern.casefold()) for each in either)


def _patterns(given: str | Iterable[str] | None, name: str) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str) and given.strip().startswith("["):
        # A template has made text of a list; else it is a pattern such as '[ab]*'.
        with suppress(ValueError):
            given = from_text(given)
    each: tuple[object, ...] = (given,)
    if isinstance(given, Iterable) and not isinstance(given, str):
        each = tuple(given)
    if not all(isinstance(pattern, str) for pattern in each):
        raise InvalidInput(f"{name} is a pattern such as '*-gpu', or a list of them; got {given!r:.200}.")
    return tuple(text for pattern in each if (text := str(pattern).strip()))
