"""BatchFolder: the output folder of a batch, on a disk or in an object storage.

Object storages can neither append to a file nor rename it, and some storages show a file before it is
complete. So the journal consists of files that are written only once, with names that no other worker uses,
and readers ignore an incomplete last line. Only the results, which are written last, have fixed names.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from airflow_provider_hfspaces.space_app.batch.errors import InvalidOutput

__all__ = ["FILES", "JOURNAL", "MANIFEST", "RESULTS", "BatchFolder", "is_local"]

JOURNAL = "_journal"
RESULTS = "results.jsonl"
MANIFEST = "manifest.json"
FILES = "files"

_READERS = 8
"""Number of journal files that are read at the same time."""


class BatchFolder:
    """Reads and writes the files in the output folder of a batch.

    :param folder: a path object with ``/``, ``open``, ``iterdir`` and ``unlink``, such as ``pathlib.Path`` or
        an fsspec path.
    :raises InvalidOutput: for another object.
    """

    def __init__(self, folder: Any) -> None:
        if not callable(getattr(folder, "open", None)) or not hasattr(folder, "__truediv__"):
            raise InvalidOutput(f"output must be the path of a folder; got {folder!r:.200}.")
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    @property
    def results(self) -> str:
        """The path of the results."""
        return str(self._folder / RESULTS)

    def check(self) -> None:
        """Check that the folder can be written, by writing and deleting a small file.

        :raises InvalidOutput: if the folder cannot be written, or is a file.
        """
        probe = f"{JOURNAL}/probe-{uuid.uuid4().hex}"
        try:
            self.write(probe, [b"{}\n"])
            self.delete(probe)
        except Exception as error:  # each storage raises errors of its own
            raise InvalidOutput(
                f"output {str(self)!r} cannot be written: {type(error).__name__}: {error}. Set output to a "
                f"folder that the worker may write to."
            ) from error

    def write(self, name: str, content: Iterable[bytes]) -> int:
        """Write a file in the folder, and return its size in bytes.

        On a local disk, readers see the complete file or none.

        :param name: path of the file, relative to the folder.
        """
        target = self._at(name)
        if is_local(target):
            return _write_local(target, content)
        size, chunks = 0, iter(content)
        with self._create(target) as file:
            for chunk in chunks:
                size += len(chunk)
                file.write(chunk)
        return size

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; ``None`` if it does not exist."""
        try:
            with self._at(name).open("rb") as file:
                content: bytes = file.read()
        except FileNotFoundError:
            return None
        return content

    def delete(self, name: str) -> None:
        """Delete a file if it exists."""
        with contextlib.suppress(FileNotFoundError):
            self._at(name).unlink()

    def at(self, name: str) -> Any:
        """Return the path object of a file in the folder. On a disk, its parent folders are created."""
        target = self._at(name)
        if is_local(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def parts(self) -> list[str]:
        """Return the names of the files of the journal, in the order in which they were written."""
        folder = self._folder / JOURNAL
        _forget_listing(folder)
        try:
            names = [entry.name for entry in folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(f"{JOURNAL}/{name}" for name in names if name.startswith("part-"))

    def read_parts(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the content of each file of the journal, in order."""
        names = self.parts()
        with ThreadPoolExecutor(_READERS) as pool:
            for start in range(0, len(names), 4 * _READERS):
                some = names[start : start + 4 * _READERS]
                for name, content in zip(some, pool.map(self.read, some), strict=True):
                    if content is not None:
                        yield name, content

    def _at(self, name: str) -> Any:
        target = self._folder
        for step in name.split("/"):
            target = target / step
        return target

    @contextlib.contextmanager
    def _create(self, target: Any) -> Iterator[Any]:
        try:
            file = target.open("wb")
        except FileNotFoundError:
            # Only now create the folder, which storages such as SFTP require: on S3 it would create a bucket.
            target.parent.mkdir(parents=True, exist_ok=True)
            file = target.open("wb")
        with file:
            yield file


def is_local(path: Any) -> bool:
    """Return True if a path-like object is a plain path on this machine.

    Older versions of fsspec's paths are subclasses of ``pathlib.Path`` for every storage.
    """
    return isinstance(path, Path) and not hasattr(path, "fs")


def _write_local(target: Path, content: Iterable[bytes]) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    size = 0
    try:
        with open(draft, "xb") as file:
            for chunk in content:
                size += len(chunk)
                file.write(chunk)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return size


def _forget_listing(folder: Any) -> None:
    """Make the client of an object storage forget its cached list of files."""
    storage = getattr(folder, "fs", None)
    if storage is not None:
        storage.invalidate_cache()
