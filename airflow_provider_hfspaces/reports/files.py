"""Where pages are kept: a local file, or an object of any storage that Airflow reaches."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from airflow_provider_hfspaces.compat.imports import object_storage_path
from airflow_provider_hfspaces.hub.checks import InvalidInput

__all__ = ["PageFile"]


class PageFile:
    """A page at a path or a URL.

    :param path: a local path, or a URL such as ``s3://aws_default@bucket/cost.html``, in which an
        Airflow connection may stand before the ``@``.
    :raises InvalidInput: for a path that names no file.
    """

    def __init__(self, path: str) -> None:
        if not isinstance(path, str) or not path.strip() or path.endswith("/") or "\0" in path:
            raise InvalidInput(f"path={path!r} names no file: give the file that the page is written to.")
        self._local: Path | None = None
        self._object: Any = None
        if "://" in path and not path.startswith("file://"):
            try:
                self._object = object_storage_path(path)
                # Airflow would look for the storage only when something is read from it.
                _ = self._object.fs
            except (ValueError, NotImplementedError) as error:
                raise InvalidInput(
                    f"path={path!r} is in no storage that Airflow knows ({error}): is the provider "
                    f"installed that brings it?"
                ) from error
        else:
            self._local = Path(path.removeprefix("file://")).expanduser()
            if self._local.is_dir():
                raise InvalidInput(f"path={path!r} is a folder: give the file that the page is written to.")

    def read(self) -> str | None:
        """What is there; ``None`` if there is nothing.

        :raises OSError: if it is there and cannot be read. Writing would lose what it holds.
        """
        try:
            content: bytes = (self._local or self._object).read_bytes()
        except FileNotFoundError:
            return None
        return content.decode("utf-8", errors="replace")

    def write(self, text: str) -> None:
        """Write all of it or nothing: readers see the old page or the new one.

        An object storage does the same for each object by itself.
        """
        content = text.encode("utf-8")
        if self._local is None:
            self._object.write_bytes(content)
            return
        # The link stays, and what it leads to is replaced.
        target = Path(os.path.realpath(self._local))
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{uuid4().hex[:8]}.tmp")
        try:
            with open(draft, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                draft.chmod(target.stat().st_mode & 0o777)
            os.replace(draft, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
