"""Which Spaces are meant by their names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from airflow_provider_hfspaces.hub.checks import InvalidInput

__all__ = ["NameGlobs", "texts"]


@dataclass(frozen=True)
class NameGlobs:
    """Globs such as ``acme/demo-*`` or ``demo-*``, whose case does not matter, as in the Hub's own ids.

    :ivar include: only what fits one of these; none stands for all.
    :ivar exclude: nothing that fits one of these.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def of(cls, include: str | Iterable[str] | None, exclude: str | Iterable[str] | None) -> NameGlobs:
        """Read what a user gave.

        :raises InvalidInput: for anything but globs.
        """
        return cls(tuple(texts(include, "include")), tuple(texts(exclude, "exclude")))

    def fit(self, repo_id: str) -> bool:
        """Whether a Space is among those meant."""
        wanted = not self.include or any(_fits(repo_id, glob) for glob in self.include)
        return wanted and not any(_fits(repo_id, glob) for glob in self.exclude)

    def __str__(self) -> str:
        parts = []
        if self.include:
            parts.append(f"Only Spaces like {', '.join(self.include)}.")
        if self.exclude:
            parts.append(f"No Spaces like {', '.join(self.exclude)}.")
        return " ".join(parts)


def texts(given: str | Iterable[str] | None, what: str) -> list[str]:
    """A list of strings, also of one alone.

    :raises InvalidInput: for anything else, empty strings included.
    """
    if given is None:
        return []
    found = [given] if isinstance(given, str) else given
    if not isinstance(found, Iterable):
        raise InvalidInput(f"{what} is a string or a list of strings; got {given!r:.200}.")
    found = list(found)
    for each in found:
        if not isinstance(each, str) or not each.strip():
            raise InvalidInput(f"{what} is a string or a list of strings; got {each!r:.200} in it.")
    return [each.strip() for each in found]


def _fits(repo_id: str, glob: str) -> bool:
    either = (repo_id.casefold(), repo_id.casefold().rpartition("/")[2])
    return any(fnmatchcase(each, glob.casefold()) for each in either)
