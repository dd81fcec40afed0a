"""LargeFiles, the files that the Hub keeps outside git because they are large or binary: on disk."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["Draft", "LargeFiles", "Pointer", "WrongContent", "pointer_to", "read_pointer"]

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>\d+)\n"
)
_MAX_POINTER_BYTES = 200
_OID = re.compile(r"[0-9a-f]{64}")
_READ_BYTES = 1024 * 1024


class WrongContent(Exception):
    """Uploaded content does not have the announced size or SHA-256, or cannot be read."""


class Pointer(NamedTuple):
    """A Git LFS pointer, which git keeps in place of a large file.

    :ivar oid: SHA-256 of the large file.
    :ivar size: size of the large file in bytes.
    """

    oid: str
    size: int


def pointer_to(oid: str, size: int) -> bytes:
    """The content of the Git LFS pointer to a large file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()


def read_pointer(content: bytes) -> Pointer | None:
    """Read a Git LFS pointer; ``None`` if the content is not a pointer."""
    match = _POINTER.fullmatch(content) if len(content) < _MAX_POINTER_BYTES else None
    return Pointer(match["oid"].decode(), int(match["size"])) if match else None


class Draft:
    """A temporary file for an upload.

    :ivar size: bytes received so far.
    """

    def __init__(self, folder: Path) -> None:
        descriptor, name = tempfile.mkstemp(prefix="draft-", dir=folder)
        self.path = Path(name)
        self.size = 0
        self._file = os.fdopen(descriptor, "wb")
        self._sha256 = hashlib.sha256()

    def write(self, content: bytes) -> None:
        """Append content."""
        self._file.write(content)
        self._sha256.update(content)
        self.size += len(content)

    def close(self) -> str:
        """Close the file, and return its SHA-256."""
        self._file.close()
        return self._sha256.hexdigest()

    def discard(self) -> None:
        """Delete the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class LargeFiles:
    """Large files by their SHA-256, in a temporary folder that lives as long as the emulator.

    Addresses for uploads and downloads are signed, as in the Hub's storage: a client with such an address
    needs no token.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._key = secrets.token_bytes(32)
        self.instance = secrets.token_hex(8)

    def __contains__(self, oid: object) -> bool:
        return isinstance(oid, str) and bool(_OID.fullmatch(oid)) and self.path(oid).exists()

    def path(self, name: str) -> Path:
        """The path of a large file, whether it exists or not."""
        return self._root() / name

    def size(self, oid: str) -> int:
        """Bytes of a large file."""
        return self.path(oid).stat().st_size

    def content(self, content: bytes) -> bytes:
        """The content of a file in git; for a pointer, the content of the large file."""
        pointer = read_pointer(content)
        return self.path(pointer.oid).read_bytes() if pointer and pointer.oid in self else content

    def draft(self) -> Draft:
        """Create a temporary file for an upload."""
        return Draft(self._root())

    def keep(self, draft: Draft, *, oid: str | None = None, size: int | None = None) -> str:
        """Keep a draft as a large file, and return its SHA-256.

        :param oid: the expected SHA-256.
        :param size: the expected number of bytes.
        :raises WrongContent: if the SHA-256 or the size is another one. The draft is deleted then.
        """
        received = draft.close()
        if oid not in (None, received) or size not in (None, draft.size):
            draft.discard()
            raise WrongContent(f"received {draft.size} bytes with the SHA-256 {received}")
        os.replace(draft.path, self.path(received))
        return received

    def join(self, parts: Iterable[Path], *, oid: str, size: int | None = None) -> str:
        """Keep the parts of an upload as one large file; see :meth:`keep`."""
        draft = self.draft()
        for part in parts:
            with part.open("rb") as file:
                while content := file.read(_READ_BYTES):
                    draft.write(content)
        return self.keep(draft, oid=oid, size=size)

    def sign(self, *parts: object) -> str:
        """The signature of the parts of an address."""
        text = "/".join(str(part) for part in parts)
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def is_signed(self, signature: str | None, *parts: object) -> bool:
        """Whether a signature is valid for the parts of an address."""
        return hmac.compare_digest(signature or "", self.sign(*parts))

    def clear(self) -> None:
        """Delete all large files, and change :attr:`instance`, by which clients remember uploaded chunks."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(mode=0o700)
        self.instance = secrets.token_hex(8)

    def save(self, folder: Path, files: Iterable[Mapping[str, bytes]]) -> None:
        """Copy large files to a folder.

        :param files: files in git by path, whose pointers select the large files.
        """
        pointers = {read_pointer(content) for each in files for content in each.values()}
        oids = {each.oid for each in pointers if each and each.oid in self}
        if oids:
            folder.mkdir(mode=0o700, exist_ok=True)
        for oid in oids:
            if not (folder / oid).exists():
                shutil.copyfile(self.path(oid), folder / oid)

    def load(self, folder: Path) -> None:
        """Copy the large files from a folder that :meth:`save` wrote."""
        for path in folder.iterdir() if folder.is_dir() else ():
            if _OID.fullmatch(path.name) and path.name not in self:
                self.join([path], oid=path.name)

    def _root(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="hub-emulator-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder
