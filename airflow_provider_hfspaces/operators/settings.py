"""Operators that add and delete a Space's secrets and variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.compat.imports import Context, hides_value_of
from airflow_provider_hfspaces.operators.base import SpaceOperator
from airflow_provider_hfspaces.operators.values import KeepsText, SecretArguments

__all__ = [
    "AddSecretOperator",
    "AddVariableOperator",
    "DeleteSecretOperator",
    "DeleteVariableOperator",
]


class AddSecretOperator(SecretArguments, KeepsText, SpaceOperator):
    """Add or change a secret of a Space. The Hub restarts the Space.

    ::

        AddSecretOperator(
            task_id="add_token",
            repo_id="acme/whisper",
            key="API_TOKEN",
            value="{{ conn.my_service.password }}",
        )

    ``POST /api/spaces/{repo_id}/secrets``.

    :param key: name of the environment variable. Templated.
    :param value: the secret: a template such as ``"{{ var.value.my_secret }}"``, the output of a task, or
        text. Rendered when the task runs, masked in its log, and never in the rendered fields, an XCom or
        the serialized DAG. A mapped operator takes no secret that is written out, because Airflow stores
        the arguments of mapped operators in plain text.
    :param description: shown on the Hub (default: none). Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "key", "description")
    text_fields = ("key", "description")
    secret_fields = ("value",)

    def __init__(self, *, key: str, value: Any, description: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.key = key
        self.value = value
        self.description = description
        self.remember_text()
        self.follow_secrets()

    def act(self, repo_id: str, context: Context) -> None:
        key = self.text("key", context)
        value = self.secret("value", context)
        self.hook.add_secret(repo_id, key, value, description=self.text("description", context))
        self.log.info("Space %s has the secret %s.", repo_id, key)


class _KeyOperator(KeepsText, SpaceOperator):
    """Base of the operators on one secret or variable, of which they need only the key."""

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "key")
    text_fields = ("key",)

    def __init__(self, *, key: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.key = key
        self.remember_text()


class DeleteSecretOperator(_KeyOperator):
    """Delete a secret of a Space. Succeeds if the Space has no such secret.

    ``DELETE /api/spaces/{repo_id}/secrets``.

    :param key: name of the environment variable. Templated.
    """

    def act(self, repo_id: str, context: Context) -> None:
        key = self.text("key", context)
        self.hook.delete_secret(repo_id, key)
        self.log.info("Space %s no longer has a secret %s.", repo_id, key)


class AddVariableOperator(KeepsText, SpaceOperator):
    """Add or change a variable of a Space. The Hub restarts the Space.

    ::

        AddVariableOperator(task_id="set_model", repo_id="acme/whisper", key="MODEL", value="large-v3")

    Everybody who can see the Space can see its variables. Use :class:`AddSecretOperator` for values that
    nobody may see. Returns all variables by key. If Airflow takes the key for a secret's, as in
    ``API_TOKEN``, the value is masked in the log and in the result.
    ``POST /api/spaces/{repo_id}/variables``.

    :param key: name of the environment variable. Templated.
    :param value: the value, as text, also under ``render_template_as_native_obj``. Templated.
    :param description: shown on the Hub (default: none). Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "key", "value", "description")
    text_fields = ("key", "value", "description")

    def __init__(self, *, key: str, value: str, description: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.key = key
        self.value = value
        self.description = description
        self.remember_text()

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.failures import mask_written

        key, value, description = (self.text(name, context) for name in self.text_fields)
        if hides_value_of(key):
            mask_written(value)
            self.log.warning(
                "The key %s looks like a secret's, and everybody who can see Space %s can see its variables. "
                "Use AddSecretOperator instead.",
                key,
                repo_id,
            )
        variables = self.hook.add_variable(repo_id, key, value, description=description)
        self.log.info("Space %s has the variable %s.", repo_id, key)
        return _public(variables)


class DeleteVariableOperator(_KeyOperator):
    """Delete a variable of a Space. Succeeds if the Space has no such variable.

    Returns the remaining variables by key. ``DELETE /api/spaces/{repo_id}/variables``.

    :param key: name of the environment variable. Templated.
    """

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        key = self.text("key", context)
        variables = self.hook.delete_variable(repo_id, key)
        self.log.info("Space %s no longer has a variable %s.", repo_id, key)
        return _public(variables)


def _public(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables as plain JSON, without the values that Airflow would hide."""
    return {
        key: {**variable.to_dict(), **({"value": "***"} if hides_value_of(key) else {})}
        for key, variable in variables.items()
    }
