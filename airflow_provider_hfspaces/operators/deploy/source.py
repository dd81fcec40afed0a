"""The source of a deployment: a local folder, or a folder in an object storage, and the files to ship."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pathspec import GitIgnoreSpec

from airflow_provider_hfspaces.compat.imports import object_storage_path
from airflow_provider_hfspaces.hub.checks import InvalidInput

__all__ = ["ALWAYS_IGNORED", "Source", "SourceFile", "matches_patterns", "open_source"]

ALWAYS_IGNORED = (".git", ".cache/huggingface/", "__pycache__/", ".DS_Store")
"""Patterns of files that no Space needs."""

_IGNORE_FILE = ".gitignore"
_SDK = re.compile(r"^sdk:\s*[\"']?(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class SourceFile:
    """A file to ship.

    :ivar path: its path in the repository.
    :ivar local: where it is on this host.
    :ivar size: its size in bytes.
    """

    path: str
    local: Path
    size: int


@dataclass(frozen=True)
class Source:
    """The files of a folder that are to be shipped.

    :ivar name: the source as the DAG names it.
    :ivar files: the files by their paths in the repository.
    :ivar ignored: number of files and folders that patterns exclude.
    """

    name: str
    files: dict[str, SourceFile]
    ignored: int

    @property
    def size(self) -> int:
        """The size of all files, in bytes."""
        return sum(file.size for file in self.files.values())

    def sdk(self) -> str | None:
        """Return the SDK that the metadata of README.md names, ``None`` if it names no SDK."""
        readme = self.files.get("README.md")
        if readme is None:
            return None
        parts = readme.local.read_text("utf-8", errors="replace").split("---\n", 2)
        match = _SDK.search(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
        return match[1] if match else None


@contextmanager
def open_source(source: str, *, base: Path | None = None, ignore: Iterable[str] = ()) -> Iterator[Source]:
    """Read the files of a source. Files from an object storage are on this host until the block ends.

    :param source: a local folder, or the URL of a folder in an object storage.
    :param base: the folder that a relative path starts from.
    :param ignore: patterns in the form of ``.gitignore``, besides those in the source's own files.
    :raises InvalidInput: if the source is not a folder, or has no file to ship.
    """
    if "://" not in source or source.startswith("file://"):
        root = Path(source.removeprefix("file://")).expanduser()
        yield _read(source, root if base is None else base / root, ignore)
        return
    with tempfile.TemporaryDirectory(prefix="hf-spaces-deploy-") as folder:
        root = Path(folder)
        _download(source, root)
        yield _read(source, root, ignore)


def matches_patterns(patterns: Iterable[str], path: str) -> bool:
    """Return whether a path in the repository matches patterns in the form of ``.gitignore``."""
    return GitIgnoreSpec.from_lines(patterns).match_file(path)


def _download(source: str, root: Path) -> None:
    """Copy a folder of an object storage to a local one."""
    try:
        storage = object_storage_path(source)
        files: list[Any] = list(storage.fs.find(storage.path))
    except (ValueError, NotImplementedError, FileNotFoundError) as error:
        raise InvalidInput(
            f"source {source!r} cannot be read: {error}. Check the URL, and that the provider of this "
            f"storage is installed."
        ) from error
    prefix = storage.path.rstrip("/") + "/"
    for each in files:
        path = PurePosixPath(str(each).removeprefix(prefix).lstrip("/"))
        if ".." in path.parts or not path.parts:
            raise InvalidInput(f"source {source!r} has a file {str(each)!r}, whose path leaves the folder.")
        target = root.joinpath(*path.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        storage.fs.get_file(each, str(target))


def _read(name: str, root: Path, ignore: Iterable[str]) -> Source:
    if not root.is_dir():
        kind = "is a file" if root.exists() else "does not exist on this worker"
        raise InvalidInput(f"source {name!r} {kind}: {root}. Set it to the folder with the app.")
    walk = _Walk(name, root.resolve(), [*ALWAYS_IGNORED, *ignore])
    files = {file.path: file for file in sorted(walk.files(), key=lambda file: file.path)}
    if not files:
        excluded = f": patterns exclude all {walk.ignored} entries" if walk.ignored else ""
        raise InvalidInput(
            f"source {name!r} has no file to ship{excluded}. Nothing was sent. Check the path, ignore and "
            f".gitignore."
        )
    return Source(name, files, walk.ignored)


class _Walk:
    """One walk through a folder, with the rules of every ``.gitignore`` on the way."""

    def __init__(self, name: str, root: Path, ignore: list[str]) -> None:
        self.ignored = 0
        self._name, self._root = name, root
        self._ignore = GitIgnoreSpec.from_lines(ignore)
        self._rules: dict[str, GitIgnoreSpec] = {}

    def files(self) -> Iterator[SourceFile]:
        for folder, folders, names in os.walk(self._root):
            here = Path(folder).relative_to(self._root).as_posix()
            here = "" if here == "." else here + "/"
            if _IGNORE_FILE in names:
                lines = Path(folder, _IGNORE_FILE).read_text("utf-8", errors="replace").splitlines()
                self._rules[here] = GitIgnoreSpec.from_lines(lines)
            kept = [each for each in folders if not self._is_ignored(f"{here}{each}/")]
            self.ignored += len(folders) - len(kept)
            folders[:] = kept
            for each in kept:
                if Path(folder, each).is_symlink():
                    raise self._bad_link(f"{here}{each}", "is a link to a folder")
            for each in names:
                path = f"{here}{each}"
                if self._is_ignored(path):
                    self.ignored += 1
                else:
                    yield self._file(path)

    def _file(self, path: str) -> SourceFile:
        local = self._root / path
        target = local.resolve()
        if local.is_symlink() and not target.is_relative_to(self._root):
            raise self._bad_link(path, "is a link that leads out of it")
        if not target.is_file():
            raise self._bad_link(path, "is not a regular file")
        return SourceFile(path, local, local.stat().st_size)

    def _bad_link(self, path: str, problem: str) -> InvalidInput:
        return InvalidInput(
            f"source {self._name!r}: {path!r} {problem}, and cannot be shipped. Nothing was sent. Replace it "
            f"with its content, or add it to ignore."
        )

    def _is_ignored(self, path: str) -> bool:
        """Whether the last rule that fits a path excludes it; the path of a folder ends with a slash."""
        if self._ignore.match_file(path):
            return True
        verdict = False
        for folder in sorted((each for each in self._rules if path.startswith(each)), key=len):
            result = self._rules[folder].check_file(path.removeprefix(folder))
            if result.include is not None:
                verdict = result.include
        return verdict
