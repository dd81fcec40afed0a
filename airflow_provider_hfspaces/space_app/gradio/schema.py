"""Compare an input with the JSON schema that the app declares for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_hfspaces.space_app.files import is_path_like
from airflow_provider_hfspaces.space_app.gradio.description import AppParameter

__all__ = ["mismatch"]

_MOST_CHOICES = 20

_WORDS = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "True or False",
    "array": "a list",
    "object": "a mapping",
    "null": "None",
}


def mismatch(value: Any, parameter: AppParameter) -> str | None:
    """Return what the app expects instead of a value; ``None`` if the value matches.

    In doubt, a value matches: with a schema that this version does not know, all values do. ``None`` always
    matches, because the app accepts an empty component.
    """
    return _mismatch(value, parameter.schema, parameter.schema, custom=parameter.allows_custom, depth=0)


def _mismatch(value: Any, schema: Any, whole: Mapping[str, Any], *, custom: bool, depth: int) -> str | None:
    if value is None or not isinstance(schema, Mapping) or depth > 20:
        return None
    if "$ref" in schema:
        return _mismatch(value, _resolve(schema["$ref"], whole), whole, custom=custom, depth=depth + 1)
    choices = schema.get("enum")
    if isinstance(choices, list) and not custom:
        if any(choice == value and isinstance(choice, bool) == isinstance(value, bool) for choice in choices):
            return None
        shown = ", ".join(repr(each) for each in choices[:_MOST_CHOICES])
        return f"one of {shown}{', …' if len(choices) > _MOST_CHOICES else ''}"
    for key in ("anyOf", "oneOf"):
        options = schema.get(key)
        if isinstance(options, list) and options:
            problems = [_mismatch(value, each, whole, custom=custom, depth=depth + 1) for each in options]
            known = [each for each in problems if each]
            return " or ".join(dict.fromkeys(known)) if len(known) == len(problems) else None
    if "const" in schema:
        return None if value == schema["const"] else repr(schema["const"])
    return _wrong_type(value, schema, whole, custom=custom, depth=depth)


def _wrong_type(
    value: Any, schema: Mapping[str, Any], whole: Mapping[str, Any], *, custom: bool, depth: int
) -> str | None:
    kind = schema.get("type")
    if isinstance(kind, list):
        fits = any(_is_of(value, each) for each in kind)
        return None if fits else " or ".join(_WORDS.get(each, str(each)) for each in kind)
    if not isinstance(kind, str):
        return None
    if kind == "object" and is_path_like(value):
        return None
    if not _is_of(value, kind):
        is_file = "path" in (schema.get("properties") or {})
        return "a file (a path, an address, or a mapping with 'path')" if is_file else _WORDS.get(kind, kind)
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        for each in value:
            problem = _mismatch(each, schema["items"], whole, custom=custom, depth=depth + 1)
            if problem:
                return f"a list, each value {problem}"
    return None


def _is_of(value: Any, kind: str) -> bool:
    if value is None:
        return True
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return is_whole and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "array":
        return isinstance(value, (list, tuple))
    if kind == "object":
        return isinstance(value, Mapping)
    return kind != "null"


def _resolve(reference: Any, whole: Mapping[str, Any]) -> Any:
    node: Any = whole
    for part in str(reference).removeprefix("#/").split("/"):
        if not isinstance(node, Mapping):
            return None
        node = node.get(part)
    return node
