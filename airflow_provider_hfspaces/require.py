"""A task that must not work on the wrong hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.compat.imports import AirflowFailException

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context

__all__ = ["require_hardware"]


def require_hardware(
    repo_id: str,
    hardware: str,
    context: Context | None = None,
    *,
    hf_spaces_conn_id: str = "hf_spaces_default",
) -> None:
    """Fail unless a Space runs on this hardware now.

    Called inside a task, or as ``pre_execute`` of any operator::

        pre_execute=partial(require_hardware, "acme/whisper", "t4-small")

    ``GET /api/spaces/{repo_id}/runtime``.

    :param repo_id: the Space; may be a template where there is a context.
    :param hardware: the flavor that the work needs; may be a template where there is a context.
    :param context: what Airflow hands to ``pre_execute``.
    :param hf_spaces_conn_id: the connection to the Hub.
    :raises AirflowFailException: if it does not run there, without using up the task's retries: no
        retry of the work alone brings the hardware back.
    """
    from airflow_provider_hfspaces.failures import failing_for_good
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook, describe
    from airflow_provider_hfspaces.hub.waiting.goal import Goal, Reached

    if context is not None:
        render = context["task"].render_template
        repo_id, hardware = (render(value, context) for value in (repo_id, hardware))
    with failing_for_good():
        runtime = HfSpacesHook(hf_spaces_conn_id).get_runtime(repo_id)
    if not isinstance(Goal(hardware=hardware).judge(runtime), Reached):
        raise AirflowFailException(
            f"This task needs Space {repo_id} to run on {hardware}, and it is {describe(runtime)}: nothing "
            f"was done. Clear the task that requests the hardware together with this one."
        )
