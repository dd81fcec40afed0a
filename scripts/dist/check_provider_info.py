"""Validate the installed provider info against Airflow's schema, and import every name in it.

Runs in an environment of its own, in which this package is installed as a wheel.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import import_module, resources
from importlib.metadata import distribution
from typing import Any

import jsonschema

PROJECT = "airflow-provider-hfspaces"
PACKAGE = "airflow_provider_hfspaces"


def names(value: Any) -> Iterator[str]:
    """Every dotted name of this package in a nested value."""
    if isinstance(value, dict):
        for each in value.values():
            yield from names(each)
    elif isinstance(value, list):
        for each in value:
            yield from names(each)
    elif isinstance(value, str) and re.fullmatch(rf"{PACKAGE}(\.\w+)+", value):
        yield value


def load(name: str) -> None:
    """Import a module, or an attribute of a module."""
    try:
        import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name != name:
            raise
        module, _, attribute = name.rpartition(".")
        getattr(import_module(module), attribute)


points = {point.name: point for point in distribution(PROJECT).entry_points}
info = points["provider_info"].load()()
schema = json.loads(resources.files("airflow").joinpath("provider_info.schema.json").read_text("utf-8"))
jsonschema.validate(info, schema)
for name in names(info):
    load(name)
for point in points.values():
    if point.group == "airflow.plugins":
        point.load()
print(json.dumps(info))
