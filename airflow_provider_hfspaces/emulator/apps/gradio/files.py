"""FileStore, the files of a miniature Gradio: uploads, inputs, results and downloads."""

from __future__ import annotations

import hashlib
import re
import shutil
from email.message import Message
from email.parser import BytesParser
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, unquote

from airflow_provider_hfspaces.emulator.apps.gradio.components import Component, Gallery

__all__ = ["FileStore", "TooLargeError", "parts_of"]

_MARK = "gradio.FileData"
_DOWNLOAD_SECONDS = 30.0
"""Real seconds for the download of an input that is an address."""

_FIELD = re.compile(r"""([\w*]+)=("[^"]*"|[^;\s]+)""")


class TooLargeError(Exception):
    """An upload is larger than the app allows."""


class FileStore:
    """The files of one process, which are deleted when it ends.

    :param version: the major version of Gradio.
    :param max_bytes: maximum size of an upload in bytes; ``None`` for no limit.
    """

    def __init__(self, version: int, max_bytes: int | None) -> None:
        self._version, self._max_bytes = version, max_bytes
        self._folder: TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Delete all files."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def upload(self, name: str, content: bytes) -> str:
        """Store an uploaded file, and return its path on the server.

        :raises TooLargeError: if the file is larger than the app allows.
        """
        if self._max_bytes is not None and len(content) > self._max_bytes:
            raise TooLargeError(f"File size exceeded maximum allowed size of {self._max_bytes} bytes.")
        path = self._place(hashlib.sha256(content).hexdigest(), PurePosixPath(name.replace("\\", "/")).name)
        path.write_bytes(content)
        return str(path)

    def allowed(self, path: str) -> Path | None:
        """The file at a path of the server; ``None`` if callers may not download it."""
        if self._folder is None:
            return None
        root, file = Path(self._folder.name).resolve(), Path(path).resolve()
        return file if root in file.parents and file.is_file() else None

    def is_inside(self, path: str) -> bool:
        """Whether a path is in the app's folder, even if the file does not exist."""
        return self._folder is not None and Path(self._folder.name).resolve() in Path(path).resolve().parents

    # Inputs

    async def read_input(self, component: Component, value: Any) -> Any:
        """The value that a function receives for an input.

        :raises ValueError: if a file is neither an uploaded one nor an address.
        """
        if not component.has_files or value is None:
            return value
        if isinstance(value, list):
            return [await self._read_file(each) for each in value]
        return await self._read_file(value)

    async def _read_file(self, value: Any) -> Path:
        if not isinstance(value, dict) or not isinstance(value.get("path"), str):
            raise ValueError(f"not a file: {value!r}")
        if self._version >= 5 and value.get("meta", {}).get("_type") != _MARK:
            raise ValueError("The 'meta' field must be explicitly provided in the input data")
        path = value["path"]
        if path.startswith(("http://", "https://")):
            return await self._download(path)
        file = self.allowed(path)
        if file is None:
            raise ValueError(f"File {path} is not in the cache folder and cannot be accessed.")
        return file

    async def _download(self, address: str) -> Path:
        import httpx

        async with httpx.AsyncClient(trust_env=False, timeout=_DOWNLOAD_SECONDS) as client:
            answer = await client.get(address)
            answer.raise_for_status()
        return Path(self.upload(PurePosixPath(httpx.URL(address).path).name or "file", answer.content))

    # Outputs

    def write_output(self, component: Component, value: Any, base: str) -> Any:
        """The value that a caller receives for an output.

        :param base: address of the app's API, for the ``url`` of files.
        """
        if component.kind == "gallery" and isinstance(value, list):
            return [
                {"image": self._file_payload(picture, base), "caption": caption}
                for picture, caption in Gallery(value)
            ]
        return self._replace_paths(value, base)

    def _replace_paths(self, value: Any, base: str) -> Any:
        """The value with a JSON description in place of each path, at any depth."""
        if isinstance(value, Path):
            return self._file_payload(value, base)
        if isinstance(value, dict):
            return {name: self._replace_paths(each, base) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._replace_paths(each, base) for each in value]
        return value

    def _file_payload(self, file: Path, base: str) -> dict[str, Any]:
        kept = self.allowed(str(file))
        if kept is None:
            kept = self._place(hashlib.sha256(file.read_bytes()).hexdigest(), file.name)
            shutil.copyfile(file, kept)
        path = str(kept)
        return {
            "path": path,
            "url": f"{base}/file={path if self._version < 6 else quote(path)}",
            "size": kept.stat().st_size,
            "orig_name": file.name,
            "mime_type": None,
            "is_stream": False,
            "meta": {"_type": _MARK},
        }

    def _place(self, digest: str, name: str) -> Path:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="hfspaces-app-")
        folder = Path(self._folder.name) / "gradio" / digest
        folder.mkdir(parents=True, exist_ok=True)
        return folder / (name or "file")


def parts_of(content_type: str, body: bytes) -> list[tuple[str | None, str, bytes]] | None:
    """The parts of a multipart body: field name, file name and content; ``None`` for any other body."""
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode("latin-1")
    message = BytesParser().parsebytes(head + body)
    if not message.is_multipart():
        return None
    return [_part(each) for each in message.get_payload() if isinstance(each, Message)]


def _part(part: Message) -> tuple[str | None, str, bytes]:
    # Clients send file names in UTF-8, and the parser of the email package keeps them only in the raw header.
    raw = next((value for name, value in part.raw_items() if name.lower() == "content-disposition"), "")
    header = str(raw).encode("ascii", "surrogateescape").decode("utf-8", "replace")
    fields = {name.lower(): value for name, value in _FIELD.findall(header)}
    extended = fields.get("filename*", "").partition("''")[2]
    payload = part.get_payload(decode=True)
    return (
        fields["name"].strip('"') if "name" in fields else None,
        unquote(extended) or fields.get("filename", "").strip('"') or "file",
        payload if isinstance(payload, bytes) else b"",
    )
