"""Checks before a task: fail it if its Space is on the wrong hardware or commit, or its copy is missing.

Come here to change which states of a Space pass the check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_hfspaces.compat.imports import Context

__all__ = ["require_before", "require_copy", "require_hardware"]


def require_hardware(
    repo_id: str,
    hardware: Any,
    context: Context | None = None,
    *,
    from_task: str | None = None,
    sha: str | None = None,
    hf_spaces_conn_id: str = "hf_spaces_default",
) -> None:
    """Fail unless a Space is on this hardware, and at this commit.

    Called inside a task, or as ``pre_execute`` of any operator::

        pre_execute=partial(require_hardware, "acme/whisper", "t4-small")

    A Space that runs on the hardware passes. So does a Space that sleeps on the hardware, because the next
    visitor wakes it up there. A Space that is paused, is being built or has failed does not pass.

    Endpoint: ``GET /api/spaces/{repo_id}/runtime``.

    :param repo_id: the Space. May be a template if there is a context.
    :param hardware: the flavor that the task needs, or a list of flavors or
        :func:`~airflow_provider_hfspaces.hardware.any_hardware`, any of which will do. May be a template if
        there is a context.
    :param context: what Airflow passes to ``pre_execute``.
    :param from_task: id of the RequestHardwareOperator that requested the hardware from a list (default:
        none). If there is a context, the Space has to be on the very flavor that this task took.
    :param sha: the commit that has to run as well, in full or its first seven characters or more (default:
        any). A Space that sleeps passes if this is the last commit of its branch ``main``. May be a template
        if there is a context.
    :param hf_spaces_conn_id: the connection to the Hub (default ``hf_spaces_default``). May be a
        template if there is a context.
    :raises AirflowFailException: if the Space is not on the hardware. The task fails without retries,
        because no retry of this task alone brings the hardware back.
    """
    from airflow_provider_hfspaces.failures import failing_for_good
    from airflow_provider_hfspaces.hardware import hardware_names, is_one_flavor, listed_flavors
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook, describe
    from airflow_provider_hfspaces.hub.checks import checked_sha, is_commit
    from airflow_provider_hfspaces.hub.cost.prices import replicas_of
    from airflow_provider_hfspaces.hub.stages import ASLEEP_STAGES
    from airflow_provider_hfspaces.hub.waiting.goal import Goal

    if context is not None:
        render = context["task"].render_template
        repo_id, hardware, hf_spaces_conn_id = (
            render(value, context) for value in (repo_id, hardware, hf_spaces_conn_id)
        )
        sha = render(sha, context) if sha is not None else None
        hardware = _requested_flavor(context, from_task) or hardware
    with failing_for_good():
        hook = HfSpacesHook(hf_spaces_conn_id)
        runtime = hook.get_runtime(repo_id)
        if is_one_flavor(hardware):
            flavors = [hardware]
        else:
            flavors = [
                name
                for name, _ in listed_flavors(
                    hardware, lambda: hook.price_list().flavors.values(), replicas_of(runtime)
                )
            ]
        is_there = any(Goal(hardware=name).is_reached_by(runtime, or_asleep=True) for name in flavors)
        commit = checked_sha(sha) if sha else None
        current = runtime.sha
        if is_there and commit and runtime.stage in ASLEEP_STAGES:
            current = hook.get_space(repo_id, expand="sha").sha
    if not is_there:
        raise AirflowFailException(
            f"Space {repo_id} is not on {hardware_names(flavors)}, which this task needs: it is "
            f"{describe(runtime)}. Nothing was done. Clear the task that requests the hardware together with "
            f"this one."
        )
    if commit is not None and not is_commit(current, commit):
        runs = current[:7] if current else "a commit that the Hub does not report"
        raise AirflowFailException(
            f"Space {repo_id} runs {runs}, and this task needs commit {commit[:7]}. Nothing was done. "
            f"Clear the tasks that deploy the commit and request the hardware together with this one."
        )


def _requested_flavor(context: Context, from_task: str | None) -> str | None:
    """Return the flavor that a task requested in this run; ``None`` if it is not known."""
    if from_task is None:
        return None
    from airflow_provider_hfspaces.state.records import REQUESTED, pull

    taken = pull(context, from_task, REQUESTED)
    return str(taken) if taken is not None else None


def require_copy(
    reserve_id: str, create_id: str, context: Context, *, hf_spaces_conn_id: str = "hf_spaces_default"
) -> None:
    """Fail unless the copy of a SpaceCopyTaskGroup is on the hardware on which it was created.

    Endpoint: ``GET /api/spaces/{repo_id}/runtime``.

    :param reserve_id: the id of the task that has reserved the copy.
    :param create_id: the id of the task that has created it.
    :param context: what Airflow passes to ``pre_execute``.
    :param hf_spaces_conn_id: the connection to the Hub (default ``hf_spaces_default``). May be a template.
    :raises AirflowFailException: if the copy does not exist or is not on its hardware. The task fails without
        retries, because no retry of this task alone creates the copy.
    """
    from airflow_provider_hfspaces.failures import failing_for_good
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook, describe
    from airflow_provider_hfspaces.hub.errors import SpaceNotFound
    from airflow_provider_hfspaces.hub.waiting.goal import Goal
    from airflow_provider_hfspaces.state.records import pull

    repo_id = pull(context, reserve_id, "repo_id")
    created = pull(context, create_id, "return_value") or {}
    hardware = created.get("hardware")
    remedy = f"Nothing was done. Clear {reserve_id!r} and {create_id!r} together with this task."
    if repo_id is None:
        raise AirflowFailException(f"Task {reserve_id!r} has reserved no copy. {remedy}")
    with failing_for_good():
        hook = HfSpacesHook(context["task"].render_template(hf_spaces_conn_id, context))
        try:
            runtime = hook.get_runtime(repo_id)
        except SpaceNotFound:
            raise AirflowFailException(
                f"Space {repo_id}, the copy for this run, does not exist. {remedy}"
            ) from None
    if not Goal(hardware=hardware).is_reached_by(runtime, or_asleep=True):
        raise AirflowFailException(
            f"Space {repo_id}, the copy for this run, is {describe(runtime)}, and this task needs it to run"
            f"{f' on {hardware}' if hardware else ''}. {remedy}"
        )


def require_before(task: Any, check: Callable[[Context], None]) -> None:
    """Have a task, mapped or not, call ``check`` before it executes, besides its own ``pre_execute``.

    Tasks that do not run on a Space's hardware (``runs_on_space_hardware = False``) are left alone.
    """
    if not getattr(getattr(task, "operator_class", task), "runs_on_space_hardware", True):
        return
    arguments = getattr(task, "partial_kwargs", None)
    if arguments is None:
        task.pre_execute = _ChainedPreExecute(check, task.pre_execute)
    else:
        arguments["pre_execute"] = _ChainedPreExecute(check, arguments.get("pre_execute"))


class _ChainedPreExecute:
    """Calls two functions as one ``pre_execute``: first the check, then the task's own."""

    def __init__(self, first: Callable[[Context], None], second: Callable[..., Any] | None) -> None:
        self._first, self._second = first, second

    def __call__(self, context: Context) -> None:
        self._first(context)
        if self._second is not None:
            self._second(context)
