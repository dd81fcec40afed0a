"""How errors end a task: which errors a retry cannot fix, and what the log shows and masks.

Come here to change which errors fail a task at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError

__all__ = ["failing_for_good", "log_space_log", "mask_written"]

_MAX_LOG_LINES = 30

_MAX_LINE_CHARACTERS = 1000
"""Characters of one line of a Space's log that are shown."""


@contextmanager
def failing_for_good() -> Iterator[None]:
    """Fail the task at once for errors that a retry cannot fix.

    Input that is not valid, a rejected token, a missing Space: the task fails and keeps its retries. All
    other errors are raised as they are, and retried as the task's settings say. Either way the task's log
    shows one traceback: the message contains all that the error's cause could add.

    :raises AirflowFailException: with the message of the error.
    """
    from airflow_provider_hfspaces.compat.imports import AirflowFailException
    from airflow_provider_hfspaces.hub.checks import InvalidInput
    from airflow_provider_hfspaces.hub.errors import HubError, SpaceWaitError
    from airflow_provider_hfspaces.space_app.errors import SpaceAppError

    try:
        yield
    except InvalidInput as error:
        raise AirflowFailException(str(error)) from None
    except (HubError, SpaceWaitError, SpaceAppError) as error:
        if error.permanent:
            raise AirflowFailException(str(error)) from None
        raise error from None


def log_space_log(
    log: Any,
    hook: HfSpacesHook,
    error: SpaceWaitError,
    *,
    unless: Callable[[str], bool] = lambda kind: False,
) -> None:
    """Log the last lines of the Space's own log if its build or its app failed, or its app did not answer.

    Sends one request, without retries: the error that ends the task must not wait for a log.

    :param unless: returns whether the task has shown this log already, ``build`` or ``run``.
    """
    from airflow_provider_hfspaces.hub import calls
    from airflow_provider_hfspaces.hub.errors import HubError
    from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
    from airflow_provider_hfspaces.hub.masking import mask_tokens
    from airflow_provider_hfspaces.hub.stages import NEEDS_RESTART_STAGES, SpaceStage
    from airflow_provider_hfspaces.hub.text import printable
    from airflow_provider_hfspaces.space_app.health_check import AppNotHealthy

    stage = error.runtime.stage if error.runtime else None
    if stage not in NEEDS_RESTART_STAGES and not isinstance(error, AppNotHealthy):
        return
    kind = "build" if stage == SpaceStage.BUILD_ERROR else "app"
    if unless("build" if kind == "build" else "run"):
        return
    call = calls.get_logs(error.repo_id, build=kind == "build", lines=_MAX_LOG_LINES)
    try:
        lines = list(hook.client.lines(call, retry=RetryPolicy(total=0, total_rate_limited=0)))
    except HubError as problem:
        log.warning("The %s log of Space %s could not be read: %s", kind, error.repo_id, problem)
        return
    log.error("The last lines of the %s log of Space %s:", kind, error.repo_id)
    for line in lines[-_MAX_LOG_LINES:]:
        log.error("    %s", mask_tokens(printable(mask_tokens(line)))[:_MAX_LINE_CHARACTERS])


def mask_written(secret: str) -> None:
    """Mask a secret in Airflow's logs in every form in which a message may contain it: plain, JSON, repr."""
    from airflow_provider_hfspaces.compat.imports import mask_secret
    from airflow_provider_hfspaces.hub.masking import written_forms

    for form in sorted(written_forms(secret)):
        mask_secret(form)
