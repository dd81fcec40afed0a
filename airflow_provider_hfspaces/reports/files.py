"""Reads and writes a report: a local file, or an object in any storage that Airflow reaches.

Come here to change the permissions of the file, or which paths are refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from airflow_provider_hfspaces.compat.imports import object_storage_path
from airflow_provider_hfspaces.hub.checks import InvalidInput

__all__ = ["PageFile", "checked_mode"]

_PRIVATE = 0o600
_LARGEST_PAGE_BYTES = 64 * 1024 * 1024


class PageFile:
    """A report at a local path or at a URL of an object storage.

    A new local file can be read by its owner only, because reports name private Spaces. A file that
    exists keeps its permissions if it belongs to the user of the worker. Symbolic links are followed if
    they belong to that user or to root, so that no other user can direct the report to another file.

    :param path: a local path, or a URL such as ``s3://aws_default@bucket/cost.html``, with the id of an
        Airflow connection before the ``@``.
    :param mode: permissions of the local file, such as ``0o640``. Default: as described above.
    :raises InvalidInput: if the path cannot name a file.
    """

    def __init__(self, path: str, mode: int | None = None) -> None:
        if not isinstance(path, str) or not path.strip() or path.endswith("/") or "\0" in path:
            raise InvalidInput(f"path={path!r} is not the path of a file. Set it to the file to write.")
        self._path = path
        self._mode = mode
        self._local: Path | None = None
        self._object: Any = None
        if "://" in path and not path.startswith("file://"):
            try:
                self._object = object_storage_path(path)
                # Airflow resolves the storage only on the first access, which would be too late.
                _ = self._object.fs
            except (ValueError, NotImplementedError) as error:
                raise InvalidInput(
                    f"path={path!r} is in a storage that Airflow does not know: {error}. Install the "
                    f"provider of that storage."
                ) from error
        else:
            self._local = Path(path.removeprefix("file://")).expanduser()
            if self._local.is_dir():
                raise InvalidInput(f"path={path!r} is a folder. Set it to the file to write.")

    def read(self) -> str | None:
        """Return the page as text; ``None`` if it does not exist yet.

        :raises InvalidInput: for a named pipe, a device, a link of another user, or a file of more
            than 64 MB.
        :raises OSError: if it exists and cannot be read. Writing would lose its history.
        """
        try:
            content: bytes = self._object.read_bytes() if self._local is None else self._read_local()
        except FileNotFoundError:
            return None
        return content.decode("utf-8", errors="replace")

    def write(self, text: str) -> None:
        """Replace the page as a whole: readers see the old page or the new one.

        An object storage replaces objects as a whole by itself.
        """
        content = text.encode("utf-8")
        if self._local is None:
            self._object.write_bytes(content)
            return
        target = self._resolved(self._local)
        target.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp creates the draft exclusively, under an unpredictable name and with mode 0600.
        descriptor, draft = tempfile.mkstemp(prefix=f".{target.name[:50]}.", suffix=".tmp", dir=target.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(descriptor, self._mode_for(target))
                os.fsync(descriptor)
            os.replace(draft, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)

    def _read_local(self) -> bytes:
        assert self._local is not None
        target = self._resolved(self._local)
        try:
            # Without O_NONBLOCK, opening a named pipe waits for a writer.
            descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a socket
                raise self._not_regular() from None
            raise
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise self._not_regular()
            content = file.read(_LARGEST_PAGE_BYTES + 1)
        if len(content) > _LARGEST_PAGE_BYTES:
            raise InvalidInput(
                f"path={self._path!r} is larger than 64 MB, so it is not a report. Delete it, or set path "
                f"to another file."
            )
        return content

    def _mode_for(self, target: Path) -> int:
        if self._mode is not None:
            return self._mode
        try:
            status = os.lstat(target)
        except FileNotFoundError:
            return _PRIVATE
        return stat.S_IMODE(status.st_mode) if status.st_uid == os.geteuid() else _PRIVATE

    def _resolved(self, path: Path) -> Path:
        """Return the path without symbolic links.

        :raises InvalidInput: if one of them belongs to another user than this one or root.
        """
        trusted = (os.geteuid(), 0)
        steps, resolved, links = list(path.absolute().parts[1:]), Path(path.absolute().anchor), 0
        while steps:
            step = steps.pop(0)
            if step == "..":
                resolved = resolved.parent
                continue
            entry = resolved / step
            try:
                status = os.lstat(entry)
            except FileNotFoundError:
                return entry.joinpath(*steps)
            if not stat.S_ISLNK(status.st_mode):
                resolved = entry
                continue
            links += 1
            if status.st_uid not in trusted or links > 40:
                problem = "a loop" if links > 40 else f"owned by another user (uid {status.st_uid})"
                raise InvalidInput(
                    f"path={self._path!r} leads through the symbolic link {str(entry)!r}, which is "
                    f"{problem}. Delete the link, or set path to a file in a folder of your own."
                )
            leads_to = Path(os.readlink(entry))
            if leads_to.is_absolute():
                resolved = Path(leads_to.anchor)
            steps = [*leads_to.parts[1 if leads_to.is_absolute() else 0 :], *steps]
        return resolved

    def _not_regular(self) -> InvalidInput:
        return InvalidInput(
            f"path={self._path!r} is not a regular file but a named pipe, a socket or a device. Set it to "
            f"the file to write."
        )


def checked_mode(mode: int | str | None) -> int | None:
    """Return file permissions as a number: from ``0o640``, or from octal text, ``"640"`` or ``"0o640"``.

    :raises InvalidInput: for anything else.
    """
    if mode is None or mode == "":
        return None
    try:
        number = int(mode, 8) if isinstance(mode, str) else mode
    except ValueError:
        number = -1
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 0o777:
        raise InvalidInput(f"mode={mode!r} is not a file mode. Set it to permissions such as 0o640 or '640'.")
    return number
