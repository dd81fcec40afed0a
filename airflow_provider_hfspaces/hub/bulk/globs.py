"""NameGlobs: select Spaces by globs on their names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from airflow_provider_hfspaces.hub.checks import InvalidInput

__all__ = ["NameGlobs", "texts"]


@dataclass(frozen=True)
class NameGlobs:
    """Globs such as ``acme/demo-*`` or ``demo-*``. Case does not matter, as in the Hub's ids.

    :ivar include: globs of which a Space must match at least one; empty matches every Space.
    :ivar exclude: globs of which a Space must match none.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @classmethod
    def from_options(
        cls, include: str | Iterable[str] | None, exclude: str | Iterable[str] | None
    ) -> NameGlobs:
        """Return validated globs.

        :param include: one glob or several; ``None`` for none.
        :param exclude: one glob or several; ``None`` for none.
        :raises InvalidInput: for a glob that is not a string, or is empty.
        """
        return cls(tuple(texts(include, "include")), tuple(texts(exclude, "exclude")))

    def matches(self, repo_id: str) -> bool:
        """Return True if the id or the name of a Space matches an included glob and no excluded glob."""
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
    """Return one string or several strings as a list, without surrounding spaces; ``None`` as an empty list.

    :param name: name of the parameter, for the error.
    :raises InvalidInput: for another type, and for an empty string.
    """
    if value is None:
        return []
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, Iterable):
        raise InvalidInput(f"{name} must be a string or a list of strings; got {value!r:.200}.")
    items = list(items)
    for each in items:
        if not isinstance(each, str) or not each.strip():
            raise InvalidInput(f"{name} must be a list of non-empty strings; got {each!r:.200} in the list.")
    return [each.strip() for each in items]


def _matches(repo_id: str, glob: str) -> bool:
    either = (repo_id.casefold(), repo_id.casefold().rpartition("/")[2])
    return any(fnmatchcase(each, glob.casefold()) for each in either)
