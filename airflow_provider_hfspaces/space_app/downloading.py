"""The steps that download a file of an app's answer."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.space_app.core import AppCore, Deadline
from airflow_provider_hfspaces.space_app.errors import InvalidAppInput
from airflow_provider_hfspaces.space_app.files import file_path
from airflow_provider_hfspaces.space_app.http.exchange import REFUSAL_BYTES, AppRequest, BodyExchange

__all__ = ["download"]


class _FileExchange(BodyExchange):
    """Writes the body of a successful answer into a file, and keeps the body of an error response."""

    blocking = True

    def __init__(self, request: AppRequest, deadline: Deadline, target: Any, *, max_bytes: int) -> None:
        super().__init__(request, deadline=deadline.ends, max_bytes=REFUSAL_BYTES)
        self.written = 0
        self.is_complete = False
        self.problem: OSError | None = None
        self._target, self._most = target, max_bytes
        self._file: Any = None

    def opened(self, status: int, headers: Mapping[str, str], cookies: Sequence[str]) -> None:
        super().opened(status, headers, cookies)
        self.written = 0

    def feed(self, chunk: bytes) -> bool:
        if self.status != 200:
            return super().feed(chunk)
        self.written += len(chunk)
        self.too_large = self.written > self._most
        if self.too_large:
            return True
        try:
            self._open().write(chunk)
        except OSError as problem:
            self.problem = problem
        return self.problem is not None

    def ended(self) -> None:
        if self.status != 200 or self.problem is not None:
            return
        try:
            self._open().close()
            self.is_complete = True
        except OSError as problem:
            self.problem = problem

    def discard(self) -> None:
        """Delete the file if it is not complete."""
        if self._file is not None and not self.is_complete:
            with contextlib.suppress(OSError):
                self._file.close()
            with contextlib.suppress(OSError, NotImplementedError):
                self._target.unlink(missing_ok=True)

    def _open(self) -> Any:
        if self._file is None:
            self._file = self._target.open("wb")
        return self._file


def download(
    core: AppCore,
    file: Mapping[str, Any] | str,
    target: Any,
    deadline: Deadline,
    *,
    prefix: str,
    replica: str | None,
    max_bytes: int,
) -> Steps[int]:
    """The steps of one download; they return the size of the file in bytes.

    :param file: a file of an answer, or its path in the app.
    :param target: path object of the file to write. If the download fails, the file is deleted.
    :param prefix: path of the app's API.
    :param replica: the replica that has the file; ``None`` for any.
    :param max_bytes: largest size of the file.
    :raises OSError: if the target cannot be written.
    :raises SpaceAppError: if the file cannot be downloaded.
    """
    path = file if isinstance(file, str) else file.get("path")
    if not isinstance(path, str) or not path:
        raise InvalidAppInput(
            f"file must be a file of an answer, with a 'path'; got {file!r:.200}.", repo_id=core.repo_id
        )
    if not isinstance(file, str) and file.get("is_stream"):
        raise InvalidAppInput(
            f"file {path!r:.200} of Space {core.repo_id} is a live stream, which has no end. Let the app "
            f"answer with a file.",
            repo_id=core.repo_id,
        )
    api = f"the file {path.rpartition('/')[2]!r:.100}"
    place = Path(target) if not callable(getattr(target, "open", None)) else target
    exchange = _FileExchange(
        core.request("GET", file_path(prefix, path), replica=replica), deadline, place, max_bytes=max_bytes
    )
    try:
        yield from core.fetch(api, exchange, deadline)
        if exchange.status != 200:
            raise core.words.refusal(api, exchange, work=False)
        if exchange.too_large:
            raise core.words.too_large(api, max_bytes, may_have_run=False)
        if exchange.problem is not None:
            raise exchange.problem
    finally:
        exchange.discard()
    return exchange.written
