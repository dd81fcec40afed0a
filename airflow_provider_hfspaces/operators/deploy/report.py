"""What a deployment logs about the files that it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.deploy.repository import Changes
    from airflow_provider_hfspaces.operators.deploy.source import Source

__all__ = ["log_changes"]

_MOST_LINES = 100


def log_changes(log: Any, repo_id: str, changes: Changes, source: Source, verb: str) -> None:
    """Log what a deployment changes, file by file.

    :param verb: what happens to the changes, such as ``are sent``.
    """
    if not changes:
        log.info("Space %s: the source is unchanged, nothing to commit.", repo_id)
    lines = list(changes.lines())
    if lines:
        size = sum(file.size for file in changes.sent)
        log.info(
            "Space %s: %s of %s files (%s bytes) %s, %s are deleted:",
            repo_id,
            len(changes.sent),
            len(source.files),
            f"{size:,}",
            verb,
            len(changes.deleted),
        )
    for line in lines[:_MOST_LINES]:
        log.info("    %s", line)
    if len(lines) > _MOST_LINES:
        log.info("    … and %s more", len(lines) - _MOST_LINES)
    if changes.stale:
        log.info(
            "Space %s keeps %s files that are not in the source, such as %s. Set delete to remove them.",
            repo_id,
            len(changes.stale),
            changes.stale[0],
        )
