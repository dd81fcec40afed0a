"""The argument ``sha`` of operators that wait: the commit that must run, or the task fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.hub.checks import InvalidSha, checked_sha, is_commit

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

__all__ = ["checked_commit", "refuse_other_commit"]


def checked_commit(task: Any) -> str | None:
    """Return the commit that a task waits for, ``None`` for any.

    :raises InvalidSha: for text that is not a commit, and for a task that does not wait.
    """

    if not task.sha:
        return None
    if not task.wait_until_running:
        raise InvalidSha("sha has no effect with wait=False: set wait=True, or leave sha out.")
    return checked_sha(task.sha)


def refuse_other_commit(hook: HfSpacesHook, repo_id: str, sha: str | None) -> None:
    """Refuse to start a Space that would run another commit: the Hub builds the last one of ``main``.

    :param sha: the commit that must run, in full or its first characters; ``None`` for any.
    :raises AirflowFailException: naming both commits.
    """

    if sha is None:
        return
    head = hook.get_space(repo_id, expand="sha").sha
    if head is not None and not is_commit(head, sha):
        raise AirflowFailException(
            f"Space {repo_id} would run commit {head[:7]}, not {sha[:7]}: {head[:7]} is the last commit of "
            f"its branch main. Nothing was requested. Deploy {sha[:7]} first, or set sha to {head[:7]}."
        )
