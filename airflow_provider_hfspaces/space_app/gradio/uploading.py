"""The steps that upload files to a Gradio app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_hfspaces.hub.http.sequence import Steps
from airflow_provider_hfspaces.space_app.core import AppCore, Deadline
from airflow_provider_hfspaces.space_app.errors import (
    AppInputTooLarge,
    AppUnavailable,
    InvalidAppInput,
)
from airflow_provider_hfspaces.space_app.files import FileUpload, file_input
from airflow_provider_hfspaces.space_app.gradio.description import AppDescription

__all__ = ["upload"]


def upload(
    core: AppCore, description: AppDescription, sources: Sequence[Any], deadline: Deadline
) -> Steps[tuple[list[dict[str, Any]], str | None]]:
    """The steps that upload files in one request: ``POST {prefix}/upload``.

    :param description: the declaration of the app, with its limit on the size of files.
    :param sources: path objects of the files.
    :returns: an input for each file, and the replica that stores the files.
    :raises InvalidAppInput: for a file that cannot be read.
    :raises AppInputTooLarge: for a file above the app's limit. Nothing was sent.
    """
    try:
        body = FileUpload(sources)
    except (OSError, ValueError) as problem:
        raise _unreadable(core, problem) from None
    most = description.max_file_size
    for name, size in zip(body.names, body.sizes, strict=True):
        if most is not None and size > most:
            raise AppInputTooLarge(
                f"Space {core.repo_id} accepts files of at most {most:,} bytes; {name!r:.200} has {size:,}. "
                f"Send a smaller file, or raise max_file_size in the app's launch().",
                repo_id=core.repo_id,
            )
    api = "POST /upload"
    request = core.request(
        "POST", f"{description.prefix}/upload", headers={"Content-Type": body.content_type}, body=body
    )
    exchange = core.exchange(request, deadline)
    try:
        yield from core.fetch(api, exchange, deadline)
    except AppUnavailable:
        if body.problem is not None:
            raise _unreadable(core, body.problem) from None
        raise
    if exchange.status != 200:
        raise core.words.refusal(api, exchange, work=False)
    paths = core.read_json(api, exchange)
    is_complete = isinstance(paths, list) and len(paths) == len(sources)
    if not is_complete or not all(isinstance(each, str) for each in paths):
        raise core.words.protocol(api, f"did not return {len(sources)} paths")
    files = [file_input(path, orig_name=name) for path, name in zip(paths, body.names, strict=True)]
    return files, core.replica(exchange, None)


def _unreadable(core: AppCore, problem: Exception) -> InvalidAppInput:
    return InvalidAppInput(
        f"input file cannot be read: {core.words.brief(str(problem), longest=500)}", repo_id=core.repo_id
    )
