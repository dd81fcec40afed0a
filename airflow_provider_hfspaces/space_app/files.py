"""Files in the inputs and answers of calls: find them, replace them, and build the body of an upload."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

__all__ = [
    "MAX_NAME_CHARACTERS",
    "UNSAFE_IN_NAMES",
    "FileUpload",
    "as_file_input",
    "file_input",
    "file_path",
    "files_in",
    "is_file",
    "is_file_schema",
    "is_path_like",
    "paths_in",
    "replaced",
]

FILE_TYPE = "gradio.FileData"
UPLOAD_CHUNK_BYTES = 256 * 1024
"""Bytes of a file that are read and sent at a time."""

UNSAFE_IN_NAMES = re.compile(r"[^\w.\-]+")
"""Characters that the name of a file in an output folder does not keep."""

MAX_NAME_CHARACTERS = 100

_URL_SCHEMES = ("http://", "https://")


def is_path_like(value: Any) -> bool:
    """Return True for a path object, which stands for a file to upload, such as ``pathlib.Path``.

    Objects with ``open`` and ``name``, such as fsspec paths, count too. A string does not, because it may be
    any text.
    """
    return isinstance(value, os.PathLike) or (
        callable(getattr(value, "open", None)) and isinstance(getattr(value, "name", None), str)
    )


def is_file(value: Any) -> bool:
    """Return True for a file in an app's answer: a mapping with a ``path`` and Gradio's ``meta._type``."""
    if not isinstance(value, Mapping) or not isinstance(value.get("path"), str):
        return False
    meta = value.get("meta")
    return isinstance(meta, Mapping) and meta.get("_type") == FILE_TYPE


def files_in(value: Any) -> list[Mapping[str, Any]]:
    """Return all files in an answer, at any depth, in their order."""
    if is_file(value):
        return [value]
    if isinstance(value, Mapping):
        return [file for each in value.values() for file in files_in(each)]
    if isinstance(value, (list, tuple)):
        return [file for each in value for file in files_in(each)]
    return []


def paths_in(value: Any) -> list[Any]:
    """Return all path objects in a caller's inputs, at any depth, in their order."""
    if is_path_like(value):
        return [value]
    if isinstance(value, Mapping):
        return [path for each in value.values() for path in paths_in(each)]
    if isinstance(value, (list, tuple)):
        return [path for each in value for path in paths_in(each)]
    return []


def replaced(value: Any, uploaded: Iterator[Mapping[str, Any]]) -> Any:
    """Return a caller's inputs with each path object replaced by an uploaded file.

    :param uploaded: the uploaded files, in the order of :func:`paths_in`.
    """
    if is_path_like(value):
        return next(uploaded)
    if isinstance(value, Mapping):
        return {key: replaced(each, uploaded) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [replaced(each, uploaded) for each in value]
    return value


def file_input(path: str, *, orig_name: str | None = None) -> dict[str, Any]:
    """Return a file in the form in which Gradio expects it in an input.

    :param path: a path that the app's upload returned, or a public URL, which the app downloads.
    :param orig_name: name of the file, whose suffix tells Gradio's components the type; by default none.
    """
    data: dict[str, Any] = {"path": path, "meta": {"_type": FILE_TYPE}}
    if orig_name:
        data["orig_name"] = orig_name
    return data


def is_file_schema(schema: Any) -> bool:
    """Return True for the JSON schema of a file, or of a list of files."""
    if not isinstance(schema, Mapping):
        return False
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and "path" in properties and "orig_name" in properties:
        return True
    if str(schema.get("title", "")) in ("FileData", "ImageData", "ListFiles"):
        return True
    options = schema.get("anyOf") or ()
    return is_file_schema(schema.get("items")) or any(is_file_schema(each) for each in options)


def as_file_input(value: Any) -> Any:
    """Return the value of a file parameter with each public URL turned into a file."""
    if isinstance(value, str) and value.startswith(_URL_SCHEMES):
        name = PurePosixPath(value.split("?", 1)[0].split("#", 1)[0]).name
        return file_input(value, orig_name=name or None)
    if isinstance(value, (list, tuple)):
        return [as_file_input(each) for each in value]
    return value


def file_path(prefix: str, path: str) -> str:
    """Return the URL path of a file, relative to the app's root.

    :param prefix: path of the app's API.
    :param path: path of the file in the app.
    """
    return f"{prefix}/file={quote(path, safe='/')}"


class FileUpload:
    """The multipart body of an upload, which is read from the files while it is sent.

    :param sources: path objects.
    :ivar size: size of the whole body in bytes.
    :ivar content_type: media type of the body, with its boundary.
    :ivar names: name of each file.
    :ivar sizes: size of each file in bytes.
    :ivar problem: the error of a file that could not be read to its end; ``None`` without one.
    :raises OSError: for a file that cannot be read.
    """

    def __init__(self, sources: Sequence[Any]) -> None:
        boundary = uuid.uuid4().hex
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.problem: OSError | None = None
        self.names = [_name(source) for source in sources]
        self._sources = [Path(each) if not hasattr(each, "open") else each for each in sources]
        self.sizes = [_size(each) for each in self._sources]
        self._heads = [_head(boundary, name) for name in self.names]
        self._tail = f"--{boundary}--\r\n".encode()
        self.size = len(self._tail) + sum(
            len(head) + size + 2 for head, size in zip(self._heads, self.sizes, strict=True)
        )

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        for source, head, size in zip(self._sources, self._heads, self.sizes, strict=True):
            yield head
            try:
                yield from _content(source, size)
            except OSError as problem:
                self.problem = problem
                raise
            yield b"\r\n"
        yield self._tail


def _content(source: Any, size: int) -> Iterator[bytes]:
    remaining = size
    with source.open("rb") as file:
        while remaining >= 0 and (chunk := file.read(UPLOAD_CHUNK_BYTES)):
            remaining -= len(chunk)
            if remaining >= 0:
                yield chunk
    if remaining:
        raise OSError(f"{source} changed while it was uploaded")


def _name(source: Any) -> str:
    name = getattr(source, "name", None)
    return name if isinstance(name, str) and name else Path(os.fspath(source)).name


def _size(source: Any) -> int:
    try:
        size = source.stat().st_size
    except (AttributeError, NotImplementedError):
        size = None
    if isinstance(size, int):
        return size
    with source.open("rb") as file:
        return int(file.seek(0, os.SEEK_END))


def _head(boundary: str, name: str) -> bytes:
    quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{quoted}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
