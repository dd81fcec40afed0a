"""The patterns of ``.gitignore`` and ``.gitattributes``."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["lfs_patterns", "patterns"]


@lru_cache(maxsize=64)
def patterns(text: str) -> GitIgnoreSpec:
    """The patterns in the text of a ``.gitignore``."""
    from pathspec import GitIgnoreSpec  # here, because most emulators never see an upload

    return GitIgnoreSpec.from_lines(text.splitlines())


@lru_cache(maxsize=64)
def lfs_patterns(text: str) -> GitIgnoreSpec:
    """The patterns of the files that a ``.gitattributes`` keeps outside git."""
    lines = (line.split() for line in text.splitlines())
    return patterns("\n".join(words[0] for words in lines if "filter=lfs" in words[1:]))
