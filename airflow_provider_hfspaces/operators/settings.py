"""Operators on a Space's secrets and variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.compat.imports import Context, hides_value_of
from airflow_provider_hfspaces.operators.base import SpaceOperator

__all__ = [
    "AddSecretOperator",
    "AddVariableOperator",
    "DeleteSecretOperator",
    "DeleteVariableOperator",
]


class AddSecretOperator(SpaceOperator):
    """Add or change a secret of a Space, which restarts it.

    ``POST /api/spaces/{repo_id}/secrets``.

    :param key: name of the environment variable. Templated.
    :param value: rendered when the task runs, masked in its log, and kept out of the rendered
        fields: use ``"{{ conn.my_service.password }}"`` or ``"{{ var.value.my_secret }}"``, so that
        it does not stand in the DAG's file either.
    :param description: shown on the Hub. Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "key", "description")

    def __init__(self, *, key: str, value: str, description: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.key = key
        self.value = value
        self.description = description

    def act(self, repo_id: str, context: Context) -> None:
        value = rendered_secret(self, self.value, context)
        self.hook.add_secret(repo_id, self.key, value, description=self.description)
        self.log.info("Space %s has the secret %s.", repo_id, self.key)


class DeleteSecretOperator(SpaceOperator):
    """Delete a secret of a Space; one that does not exist is no error.

    ``DELETE /api/spaces/{repo_id}/secrets``.

    :param key: name of the environment variable. Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "key")

    def __init__(self, *, key: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.key = key

    def act(self, repo_id: str, context: Context) -> None:
        self.hook.delete_secret(repo_id, self.key)
        self.log.info("Space %s has no secret %s any more.", repo_id, self.key)


class AddVariableOperator(SpaceOperator):
    """Add or change a variable of a Space, which restarts it.

    Variables are public wherever the Space is: use :class:`AddSecretOperator` for what is not.
    Returns all variables by key. A value whose key Airflow takes for a secret's, such as
    ``API_TOKEN``, is masked in the log and in what is returned.
    ``POST /api/spaces/{repo_id}/variables``.

    :param key: name of the environment variable. Templated.
    :param value: Templated.
    :param description: shown on the Hub. Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "key", "value", "description")

    def __init__(self, *, key: str, value: str, description: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.key = key
        self.value = value
        self.description = description

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.failures import mask_written

        if hides_value_of(self.key):
            mask_written(self.value)
            self.log.warning(
                "The key %s looks like a secret's, and everybody who sees Space %s sees its variables: use "
                "AddSecretOperator.",
                self.key,
                repo_id,
            )
        variables = self.hook.add_variable(repo_id, self.key, self.value, description=self.description)
        self.log.info("Space %s has the variable %s.", repo_id, self.key)
        return shown(variables)


class DeleteVariableOperator(SpaceOperator):
    """Delete a variable of a Space; one that does not exist is no error.

    Returns the variables that are left, by key. ``DELETE /api/spaces/{repo_id}/variables``.

    :param key: name of the environment variable. Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "key")

    def __init__(self, *, key: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.key = key

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        variables = self.hook.delete_variable(repo_id, self.key)
        self.log.info("Space %s has no variable %s any more.", repo_id, self.key)
        return shown(variables)


def shown(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables as plain JSON, without the values that Airflow would hide."""
    return {
        key: {**variable.to_dict(), **({"value": "***"} if hides_value_of(key) else {})}
        for key, variable in variables.items()
    }


def rendered_secret(operator: SpaceOperator, value: Any, context: Context) -> Any:
    """A secret, rendered now and masked at once.

    It is no template field, because Airflow stores and shows those.
    """
    from airflow_provider_hfspaces.failures import mask_written

    if isinstance(value, str) and "{{" not in value and "{%" not in value:
        rendered: Any = value
    else:
        rendered = operator.render_template(value, context)
    for each in _texts(rendered):
        mask_written(each)
    return rendered


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, Mapping):
        hidden = [value["value"]] if set(value) & {"key", "value"} == {"key", "value"} else value.values()
        return [text for each in hidden for text in _texts(each)]
    if isinstance(value, Sequence):
        return [text for each in value for text in _texts(each)]
    return []
