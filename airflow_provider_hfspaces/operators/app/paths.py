"""Paths in arguments: a local path, or a URL of a storage that Airflow reaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_provider_hfspaces.compat.imports import object_storage_path
from airflow_provider_hfspaces.hub.errors import InvalidInput

__all__ = ["storage_path"]


def storage_path(text: Any, name: str) -> Any:
    """Returns the path-like object of a local path or of a URL.

    It is a ``pathlib.Path`` for local paths and ``file://``, otherwise Airflow's ``ObjectStoragePath``. The
    storage is opened at once, so that Airflow reads its connection in the main thread of the worker.

    :param text: such as ``s3://aws_default@bucket/captions``, with the id of an Airflow connection before
        the ``@``. A path-like object is returned as it is.
    :param name: the argument, with which the error begins.
    :raises InvalidInput: for text that is not a path, and for a storage that Airflow does not know.
    """

    if not isinstance(text, str):
        if callable(getattr(text, "open", None)):
            return text
        raise InvalidInput(f"{name} must be a path or the URL of a storage; got {text!r:.200}.")
    if not text.strip() or "\0" in text:
        raise InvalidInput(f"{name}={text!r} is not a path. Set it to a local path or a URL such as s3://….")
    if "://" not in text or text.startswith("file://"):
        return Path(text.removeprefix("file://")).expanduser()
    try:
        path = object_storage_path(text)
        _ = path.fs
    except (ValueError, NotImplementedError, ImportError) as error:
        raise InvalidInput(
            f"{name}={text!r} is in a storage that Airflow does not know: {error}. Install the provider of "
            f"that storage."
        ) from error
    return path
