"""require_hardware: let a task refuse to work on the wrong hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_hfspaces.compat.imports import Context

__all__ = ["require_before", "require_hardware"]


def require_hardware(
    repo_id: str,
    hardware: str,
    context: Context | None = None,
    *,
    hf_spaces_conn_id: str = "hf_spaces_default",
) -> None:
    """Fail unless a Space is on this hardware.

    Called inside a task, or as ``pre_execute`` of any operator::

        pre_execute=partial(require_hardware, "acme/whisper", "t4-small")

    A Space that runs on the hardware passes, and so does one that sleeps on it, because the next
    visitor wakes it up there. A Space that is paused, is being built or has failed does not.
    ``GET /api/spaces/{repo_id}/runtime``.

    :param repo_id: the Space. May be a template if there is a context.
    :param hardware: the flavor that the task needs. May be a template if there is a context.
    :param context: what Airflow passes to ``pre_execute``.
    :param hf_spaces_conn_id: the connection to the Hub (default ``hf_spaces_default``). May be a
        template if there is a context.
    :raises AirflowFailException: if the Space is not on the hardware. The task fails without retries,
        because no retry of this task alone brings the hardware back.
    """
    from airflow_provider_hfspaces.failures import failing_for_good
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook, describe
    from airflow_provider_hfspaces.hub.stages import ASLEEP_STAGES
    from airflow_provider_hfspaces.hub.waiting.goal import Goal, Reached

    if context is not None:
        render = context["task"].render_template
        repo_id, hardware, hf_spaces_conn_id = (
            render(value, context) for value in (repo_id, hardware, hf_spaces_conn_id)
        )
    with failing_for_good():
        runtime = HfSpacesHook(hf_spaces_conn_id).get_runtime(repo_id)
    is_asleep_there = runtime.stage in ASLEEP_STAGES and runtime.configured_hardware == hardware
    if not is_asleep_there and not isinstance(Goal(hardware=hardware).judge(runtime), Reached):
        raise AirflowFailException(
            f"Space {repo_id} is not on {hardware}, which this task needs: it is {describe(runtime)}. "
            f"Nothing was done. Clear the task that requests the hardware together with this one."
        )


def require_before(task: Any, check: Callable[[Context], None]) -> None:
    """Have a task, mapped or not, call ``check`` before it executes, besides its own ``pre_execute``.

    Tasks that do not run on a Space's hardware (``runs_on_space_hardware = False``) are left alone.
    """
    if not getattr(getattr(task, "operator_class", task), "runs_on_space_hardware", True):
        return
    arguments = getattr(task, "partial_kwargs", None)
    if arguments is None:
        task.pre_execute = _Both(check, task.pre_execute)
    else:
        arguments["pre_execute"] = _Both(check, arguments.get("pre_execute"))


class _Both:
    """Two functions for ``pre_execute`` as one."""

    def __init__(self, first: Callable[[Context], None], second: Callable[..., Any] | None) -> None:
        self._first, self._second = first, second

    def __call__(self, context: Context) -> None:
        self._first(context)
        if self._second is not None:
            self._second(context)
