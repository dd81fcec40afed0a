"""The connection form of Airflow 2.11 to 3.1, from the same description as the form of newer versions."""

from __future__ import annotations

from typing import Any

__all__ = ["field_behaviour", "form_widgets"]


def field_behaviour() -> dict[str, Any]:
    """Return which standard fields the form shows, and under which names."""
    behaviour = _connection_type()["ui-field-behaviour"]
    return {name.replace("-", "_"): value for name, value in behaviour.items()}


def form_widgets() -> dict[str, Any]:
    """Return the form's own fields, made from ``conn-fields``."""
    return {name: _widget(field) for name, field in _connection_type()["conn-fields"].items()}


def _connection_type() -> dict[str, Any]:
    from airflow_provider_hfspaces import get_provider_info

    connection_type: dict[str, Any] = get_provider_info()["connection-types"][0]
    return connection_type


def _widget(field: dict[str, Any]) -> Any:
    """Return a field of ``conn-fields`` as a field of Flask's form."""
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from flask_babel import lazy_gettext
    from wtforms import BooleanField, IntegerField, StringField
    from wtforms.validators import NumberRange, Optional

    schema, options = field["schema"], {"description": field["description"]}
    label = lazy_gettext(field["label"])
    if "boolean" in schema["type"]:
        return BooleanField(label, default=bool(schema.get("default")), **options)
    if "integer" in schema["type"]:
        validators = [Optional(), NumberRange(min=schema.get("minimum"))]
        return IntegerField(label, validators=validators, widget=BS3TextFieldWidget(), **options)
    return StringField(label, widget=BS3TextFieldWidget(), **options)
