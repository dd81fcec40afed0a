"""Select Spaces by name patterns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from airflow_provider_hfspaces.hub.checks import InvalidInput

__all__ = ["NameGlobs", "texts"]


@dataclass(frozen=True)
class NameGlobs:
    """Globs such as ``acme/demo-*`` or ``demo-*``, matched case-insensitively, as the Hub's ids are.

    :ivar include: only Spaces that match one of these; empty matches every Space.
    :ivar exclude: no Spaces that match one of these.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def from_options(
        cls, include: str | Iterable[str] | None, exclude: str | Iterable[str] | None
    ) -> NameGlobs:
        """Validate globs: one or several of each kind.

        :raises InvalidInput: if one is not a non-empty string.
        """
        return cls(tuple(texts(include, "include")), tuple(texts(exclude, "exclude")))

    def matches(self, repo_id: str) -> bool:
        """Whether a Space is selected, by its id or by its name alone."""
        included = not self.include or any(_matches(repo_id, glob) for glob in self.include)
        return included and not any(_matches(repo_id, glob) for glob in self.exclude)

    def __str__(self) -> str:
        parts = []
        if self.include:
            parts.append(f"Only Spaces that match {', '.join(self.include)}.")
        if self.exclude:
            parts.append(f"Without Spaces that match {', '.join(self.exclude)}.")
        return " ".join(parts)


def texts(value: str | Iterable[str] | None, name: str) -> list[str]:
    """The value as a list of strings; a single string becomes a list of one.

    :param name: the parameter's name, for the error.
    :raises InvalidInput: for anything else, including empty strings.
    """
    if value is None:
        return []
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, Iterable):
        raise InvalidInput(f"{name} is a string or a list of strings; got {value!r:.200}.")
    items = list(items)
    for each in items:
        if not isinstance(each, str) or not each.strip():
            raise InvalidInput(f"{name} is a string or a list of strings; got {each!r:.200} in it.")
    return [each.strip() for each in items]


def _matches(repo_id: str, glob: str) -> bool:
    either = (repo_id.casefold(), repo_id.casefold().rpartition("/")[2])
    return any(fnmatchcase(each, glob.casefold()) for each in either)
