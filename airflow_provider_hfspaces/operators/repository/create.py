"""CreateSpaceOperator: create a Space with all its settings, exactly once however often the task is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.operators.base import SpaceOperator
from airflow_provider_hfspaces.operators.values import (
    KeepsText,
    SecretArguments,
    refuse_unless_one_of,
)
from airflow_provider_hfspaces.rendered import as_whole_number

__all__ = ["CreateSpaceOperator"]

CREATE = "create"
"""The retry store's key for a Space whose creation was requested and is not yet confirmed."""


class CreateSpaceOperator(SecretArguments, KeepsText, SpaceOperator):
    """Create a Space, with all its settings in one request.

    ::

        CreateSpaceOperator(
            task_id="create",
            repo_id="acme/whisper",
            sdk="gradio",
            hardware="t4-small",
            sleep_time=3600,
            secrets={"HF_TOKEN": "{{ var.value.whisper_token }}"},
        )

    The new Space has no app yet: :class:`DeploySpaceOperator
    <airflow_provider_hfspaces.operators.deploy.DeploySpaceOperator>` ships one, and creates the Space
    itself if it does not exist. With ``template`` the Hub fills the Space and builds it at once.

    The task is safe to retry: if the answer is lost or the worker dies, the next try finds out whether the
    Space was made by this task. The task fails if somebody else made the Space, unless ``exist_ok`` is set.

    Returns ``{"repo_id", "url", "created"}``. ``POST /api/repos/create``.

    :param sdk: ``gradio``, ``docker`` or ``static``. Templated.
    :param visibility: ``private``, ``public`` or ``protected`` (default ``private``). Templated.
    :param hardware: a flavor (default: free CPU). Templated.
    :param sleep_time: seconds without a visitor until the Space sleeps, -1 for never (default: the Hub's).
        Templated.
    :param secrets: a mapping of keys to values, or a list of ``{"key", "value", "description"}``
        (default: none). Templates and outputs of tasks are rendered when the task runs; secrets are
        masked and never stored. A mapped operator takes no secret that is written out.
    :param variables: in the two forms of ``secrets`` (default: none). Templated.
    :param volumes: the volumes to mount, as for :class:`SetVolumesOperator
        <airflow_provider_hfspaces.operators.storage.SetVolumesOperator>` (default: none). Templated.
    :param template: the id of a template of the Hub, such as ``SpacesExamples/jupyterlab`` (default: none);
        ``HfSpacesHook.list_space_templates`` lists them. Templated.
    :param exist_ok: use a Space that already exists as it is (default False).
    :raises AirflowFailException: if the Space exists and was not made by this task, and for other errors
        that a retry cannot fix.
    """

    template_fields: Sequence[str] = (
        *SpaceOperator.template_fields,
        "sdk",
        "visibility",
        "hardware",
        "sleep_time",
        "variables",
        "volumes",
        "template",
    )
    template_fields_renderers = {"variables": "json", "volumes": "json"}
    text_fields = ("variables", "volumes")
    secret_fields = ("secrets",)

    def __init__(
        self,
        *,
        sdk: str,
        visibility: str = "private",
        hardware: str | None = None,
        sleep_time: int | str | None = None,
        secrets: Any = None,
        variables: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
        volumes: Sequence[Mapping[str, Any]] | None = None,
        template: str | None = None,
        exist_ok: bool = False,
        **kwargs: Any,
    ) -> None:
        from airflow_provider_hfspaces.hub.choices import SDKS, VISIBILITIES

        super().__init__(**kwargs)
        self.sdk = sdk
        self.visibility = visibility
        self.hardware = hardware
        self.sleep_time = sleep_time
        self.secrets = secrets
        self.variables = variables
        self.volumes = volumes
        self.template = template
        self.exist_ok = exist_ok
        refuse_unless_one_of(self, "sdk", SDKS)
        refuse_unless_one_of(self, "visibility", VISIBILITIES)
        self.remember_text()
        self.follow_secrets()

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.operators.creation import Creation
        from airflow_provider_hfspaces.state.retry_store import retry_store

        options = self._options(repo_id, context)

        def send() -> None:
            self.log.info("Creating Space %s (%s, %s).", repo_id, self.sdk, self.visibility)
            self.hook.create_space(repo_id, **options)

        creation = Creation(
            self.hook,
            retry_store(context),
            self.log,
            key=CREATE,
            repo_id=repo_id,
            request={"repo_id": repo_id},
            private=self.visibility == "private",
        )
        created = creation.run(send, exist_ok=self.exist_ok)
        return {"repo_id": repo_id, "url": self.hook.page_url(repo_id), "created": created}

    def _options(self, repo_id: str, context: Context) -> dict[str, Any]:
        """The settings of the Space, checked before anything is sent."""
        from airflow_provider_hfspaces.hub.calls import create_space

        options = {
            "sdk": self.sdk,
            "visibility": self.visibility,
            "sleep_time": as_whole_number(self.sleep_time),
            "secrets": self.secret("secrets", context, structure=True),
            "variables": self.structure("variables", context),
            "volumes": self.structure("volumes", context),
            "template": self.template,
        }
        create_space(repo_id, **options)
        return {**options, "hardware": self.hardware}
