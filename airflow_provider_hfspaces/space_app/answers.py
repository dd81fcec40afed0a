"""AnswerKeeper: turns an app's answer into plain JSON, and stores large answers and files in a folder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.space_app.batch.folder import BatchFolder
from airflow_provider_hfspaces.space_app.errors import SpaceAppError
from airflow_provider_hfspaces.space_app.files import MAX_NAME_CHARACTERS, UNSAFE_IN_NAMES, files_in, is_file
from airflow_provider_hfspaces.space_app.result import AppResult

if TYPE_CHECKING:
    from airflow_provider_hfspaces.space_app.app import SpaceApp
    from airflow_provider_hfspaces.space_app.plain import AppResponse

__all__ = ["MOST_INLINE_BYTES", "AnswerKeeper", "AnswerTooLarge"]

MOST_INLINE_BYTES = 256 * 1024
"""Bytes of JSON up to which an answer is returned as a value. A larger answer is stored in a file."""


class AnswerTooLarge(SpaceAppError):
    """The app's answer is too large to return as a value, and no output folder is set."""

    permanent = True
    may_have_run = True


class AnswerKeeper:
    """Turns the answer to a call into plain JSON.

    Files are downloaded into the folder and replaced by their paths. Bytes, and JSON of more than 256 KiB,
    are stored in a file of the folder and replaced by ``{"output": path, "bytes": size}``.

    :param app: the client that made the call.
    :param folder: path object of the output folder; ``None`` to accept only small JSON.
    """

    def __init__(self, app: SpaceApp, folder: Any = None) -> None:
        self._app = app
        self._folder = BatchFolder(folder) if folder is not None else None

    def keep(self, result: AppResult | AppResponse, answer: str = "json") -> Any:
        """Return the answer as plain JSON.

        :param answer: expected form of the answer to a plain request: ``json`` (default), ``text``, ``bytes``
            or ``any``.
        :raises AnswerTooLarge: for an answer that needs a folder, if no folder is set.
        :raises SpaceAppError: if a file cannot be downloaded.
        """
        value = _value(result, answer)
        targets = self._targets(value)
        for (file, _), target in zip(targets, self._places(targets), strict=True):
            self._app.download(file, target, replica=_replica(result))
        return self._inline_or_file(_api(result), _with_paths(value, self._paths(targets)))

    async def akeep(self, result: AppResult | AppResponse, answer: str = "json") -> Any:
        """Return the answer as plain JSON, from an event loop."""
        value = _value(result, answer)
        targets = self._targets(value)
        places = await asyncio.to_thread(self._places, targets)
        for (file, _), target in zip(targets, places, strict=True):
            await self._app.adownload(file, target, replica=_replica(result))
        value = _with_paths(value, self._paths(targets))
        return await asyncio.to_thread(self._inline_or_file, _api(result), value)

    def _targets(self, value: Any) -> list[tuple[Mapping[str, Any], str]]:
        """Return the files of an answer, each with its name in the folder."""
        if self._folder is None:
            return []
        return [(file, _file_name(number, file)) for number, file in enumerate(files_in(value))]

    def _places(self, targets: list[tuple[Mapping[str, Any], str]]) -> list[Any]:
        assert self._folder is not None or not targets
        return [self._folder.at(name) for _, name in targets] if self._folder else []

    def _paths(self, targets: list[tuple[Mapping[str, Any], str]]) -> list[str]:
        return [f"{str(self._folder).rstrip('/')}/{name}" for _, name in targets]

    def _inline_or_file(self, api: str, value: Any) -> Any:
        if isinstance(value, bytes):
            return self._write(api, "result.bin", value)
        content = json.dumps(value, ensure_ascii=False).encode()
        if len(content) <= MOST_INLINE_BYTES:
            return value
        return self._write(api, "result.json", content)

    def _write(self, api: str, name: str, content: bytes) -> dict[str, Any]:
        if self._folder is None:
            raise AnswerTooLarge(
                f"Space {self._app.repo_id} answered {api} with {len(content)} bytes, of which at most "
                f"{MOST_INLINE_BYTES} fit into a value. Set output to a folder for large answers and files.",
                repo_id=self._app.repo_id,
                api=api,
            )
        self._folder.write(name, [content])
        return {"output": f"{str(self._folder).rstrip('/')}/{name}", "bytes": len(content)}


def _value(result: AppResult | AppResponse, answer: str) -> Any:
    if isinstance(result, AppResult):
        return result.value
    if answer == "bytes":
        return result.content
    if answer == "text" or not result.content:
        return result.text
    return result.json()


def _api(result: AppResult | AppResponse) -> str:
    return result.api if isinstance(result, AppResult) else "the request"


def _replica(result: AppResult | AppResponse) -> str | None:
    return result.replica if isinstance(result, AppResult) else None


def _file_name(number: int, file: Mapping[str, Any]) -> str:
    """Return the name of a file in the folder: its original name, with a number that makes it unique."""
    own = str(file.get("orig_name") or str(file.get("path", "")).rpartition("/")[2])
    name = UNSAFE_IN_NAMES.sub("_", own).strip("._")[-MAX_NAME_CHARACTERS:]
    return f"files/{number}-{name or 'file'}"


def _with_paths(value: Any, paths: list[str]) -> Any:
    """Return the answer with each downloaded file replaced by its path."""
    remaining = iter(paths)

    def walk(each: Any) -> Any:
        if is_file(each):
            return next(remaining)
        if isinstance(each, Mapping):
            return {key: walk(inner) for key, inner in each.items()}
        return [walk(inner) for inner in each] if isinstance(each, (list, tuple)) else each

    return walk(value) if paths else value
