"""only_logged: do something whose failure must not fail the task, such as reporting what a run cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["only_logged"]


@contextmanager
def only_logged(log: Any, problem: str) -> Iterator[None]:
    """Log an exception of the block as a warning, and continue after the block.

    ::

        with only_logged(log, "Space acme/whisper: the cost of this run is not known"):
            return report(...)
        return {}

    :param log: the log of the task, or of the module.
    :param problem: what the failure means, as a sentence without its end. The exception follows in the log.
    """
    try:
        yield
    except Exception as error:
        log.warning("%s: %s", problem, error)
