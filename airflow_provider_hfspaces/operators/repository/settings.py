"""Operators on what a Space shows and how it runs: its visibility, replicas and dev mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.operators.base import SpaceOperator
from airflow_provider_hfspaces.operators.values import refuse_unless_one_of
from airflow_provider_hfspaces.rendered import as_flag, as_whole_number, is_runtime_value, is_template

__all__ = ["SetDevModeOperator", "SetReplicasOperator", "SetVisibilityOperator"]


class SetVisibilityOperator(SpaceOperator):
    """Set who can see a Space.

    ::

        SetVisibilityOperator(task_id="publish", repo_id="acme/whisper", visibility="public")

    Returns ``{"repo_id", "visibility"}``. ``PUT /api/spaces/{repo_id}/settings``.

    :param visibility: ``private`` (only its owner), ``public`` (everybody), or ``protected`` (everybody can
        use the app, and only its owner sees the files). Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "visibility")

    def __init__(self, *, visibility: str, **kwargs: Any) -> None:
        from airflow_provider_hfspaces.hub.choices import VISIBILITIES

        super().__init__(**kwargs)
        self.visibility = visibility
        refuse_unless_one_of(self, "visibility", VISIBILITIES)

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        self.hook.set_visibility(repo_id, self.visibility)
        self.log.info("Space %s is %s.", repo_id, self.visibility)
        return {"repo_id": repo_id, "visibility": self.visibility}


class SetReplicasOperator(SpaceOperator):
    """Run several copies of a Space behind one address. Each of them is billed.

    ::

        SetReplicasOperator(task_id="scale", repo_id="acme/whisper", replicas=3)

    The Hub allows this on paid hardware only. Returns the runtime.
    ``POST /api/spaces/{repo_id}/replicas``.

    :param replicas: how many, at least 1. Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "replicas")

    def __init__(self, *, replicas: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.replicas = replicas
        if not (is_runtime_value(replicas) or is_template(replicas) or _is_count(as_whole_number(replicas))):
            raise ValueError(
                f"replicas of task {self.task_id!r} must be a whole number of at least 1; got "
                f"{replicas!r:.100}."
            )

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        replicas = as_whole_number(self.replicas)
        self.hook.set_replicas(repo_id, replicas)
        runtime = self.hook.get_runtime(repo_id)
        self.log.info("Space %s runs with %s replicas on %s.", repo_id, replicas, runtime.configured_hardware)
        return runtime.to_dict()


class SetDevModeOperator(SpaceOperator):
    """Turn the dev mode of a Space on or off.

    ::

        SetDevModeOperator(task_id="no_dev_mode", repo_id="acme/whisper", enabled=False)

    In dev mode a container accepts SSH, and a commit does not rebuild the Space. The Hub lets only paying
    accounts turn it on. Returns the runtime. ``POST /api/spaces/{repo_id}/dev-mode``.

    :param enabled: whether dev mode is on. Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "enabled")

    def __init__(self, *, enabled: bool | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.enabled = enabled
        is_rendered = is_runtime_value(enabled) or is_template(enabled)
        if not (is_rendered or isinstance(as_flag(enabled), bool)):
            raise ValueError(f"enabled of task {self.task_id!r} must be True or False; got {enabled!r:.100}.")

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        enabled = as_flag(self.enabled)
        runtime = self.hook.set_dev_mode(repo_id, enabled)
        self.log.info("Dev mode of Space %s is %s.", repo_id, "on" if enabled else "off")
        return runtime.to_dict()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
