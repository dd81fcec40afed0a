"""Classes and functions that Airflow's versions keep in different modules, or call in different ways.

Come here first when a new Airflow moves a name.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow import __version__ as _airflow_version

AIRFLOW_VERSION: tuple[int, ...] = tuple(int(part) for part in _airflow_version.split(".")[:2])
AIRFLOW_3 = AIRFLOW_VERSION >= (3, 0)

if TYPE_CHECKING:
    from airflow.sdk import (
        BaseHook,
        BaseNotifier,
        BaseOperator,
        BaseOperatorLink,
        BaseSensorOperator,
        PokeReturnValue,
        TaskGroup,
    )
    from airflow.sdk.definitions.context import Context
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
    from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent
elif AIRFLOW_3:
    from airflow.sdk import BaseOperator, BaseOperatorLink, TaskGroup
    from airflow.sdk.definitions.context import Context

    if AIRFLOW_VERSION >= (3, 2):
        from airflow.sdk.exceptions import (
            AirflowFailException,
            AirflowNotFoundException,
            AirflowSensorTimeout,
            AirflowSkipException,
        )
    else:
        from airflow.exceptions import (
            AirflowFailException,
            AirflowNotFoundException,
            AirflowSensorTimeout,
            AirflowSkipException,
        )
else:
    from airflow.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
    )
    from airflow.models.baseoperator import BaseOperator
    from airflow.models.baseoperatorlink import BaseOperatorLink
    from airflow.utils.context import Context
    from airflow.utils.task_group import TaskGroup

__all__ = [
    "AIRFLOW_3",
    "AIRFLOW_VERSION",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "BaseEventTrigger",
    "BaseHook",
    "BaseNotifier",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "BaseTrigger",
    "Context",
    "PokeReturnValue",
    "TaskGroup",
    "TriggerEvent",
    "airflow_version",
    "asset_class",
    "empty_operator",
    "has_trigger_on_kill",
    "hides_value_of",
    "is_first_start",
    "mask_secret",
    "object_storage_path",
    "redact",
    "render_text",
    "storage_folder",
    "xcom_value",
]


def __getattr__(name: str) -> Any:
    # Only hooks, notifiers, sensors and triggers need these classes. Other DAG files do not load them.
    if name == "BaseHook":
        return import_module("airflow.sdk" if AIRFLOW_VERSION >= (3, 1) else "airflow.hooks.base").BaseHook
    if name == "BaseNotifier":
        return import_module(
            "airflow.sdk" if AIRFLOW_3 else "airflow.notifications.basenotifier"
        ).BaseNotifier
    if name in ("BaseSensorOperator", "PokeReturnValue"):
        return getattr(import_module("airflow.sdk" if AIRFLOW_3 else "airflow.sensors.base"), name)
    if name in ("BaseTrigger", "TriggerEvent"):
        return getattr(import_module("airflow.triggers.base"), name)
    if name == "BaseEventTrigger":
        # Airflow 2.11 has no base class for triggers that start DAGs, and never runs such a trigger.
        module = import_module("airflow.triggers.base")
        return getattr(module, name, module.BaseTrigger)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def airflow_version() -> str:
    """Return the full version, such as ``3.3.2``."""
    return str(_airflow_version)


def mask_secret(secret: str) -> None:
    """Have Airflow replace a value with ``***`` in all logs and rendered fields from now on."""
    _masking("mask_secret")(secret)


def redact(text: str) -> str:
    """Return a text with all secrets masked that Airflow knows in this process."""
    return str(_masking("redact")(text))


def hides_value_of(key: str) -> bool:
    """Return whether Airflow masks the value of a key because of the key's name."""
    return bool(_masking("should_hide_value_for_key")(key))


def _masking(name: str) -> Any:
    if AIRFLOW_VERSION >= (3, 1):
        public = import_module("airflow.sdk.log")
        return getattr(public, name, None) or getattr(
            import_module("airflow.sdk._shared.secrets_masker"), name
        )
    if AIRFLOW_3:
        return getattr(import_module("airflow.sdk.execution_time.secrets_masker"), name)
    return getattr(import_module("airflow.utils.log.secrets_masker"), name)


def xcom_value(ti_key: Any, key: str) -> Any:
    """Return an XCom of a task instance, for an extra link; ``None`` if it is missing."""
    module = "airflow.sdk.execution_time.xcom" if AIRFLOW_3 else "airflow.models.xcom"
    return import_module(module).XCom.get_value(ti_key=ti_key, key=key)


def is_first_start(ti_key: Any) -> bool:
    """Return whether a worker evaluates a link after the first start of a task in this try.

    Airflow 3 does so after every start, and logs an error for an XCom that is missing. Only a task that
    resumes after a deferral can have pushed the XCom in another process.
    """
    context = getattr(ti_key, "_ti_context_from_server", None)
    return context is not None and not getattr(context, "next_method", None)


def asset_class() -> Any:
    """Return the class of assets, which Airflow 2.11 calls ``Dataset``."""
    return import_module("airflow.sdk").Asset if AIRFLOW_3 else import_module("airflow.datasets").Dataset


def object_storage_path(url: str) -> Any:
    """Return Airflow's ``ObjectStoragePath`` of a URL, in any storage that fsspec supports."""
    return import_module("airflow.sdk" if AIRFLOW_3 else "airflow.io.path").ObjectStoragePath(url)


def storage_folder(path: str) -> Any:
    """Return the path-like object of a local folder or of a URL in a storage."""
    if "://" in path and not path.startswith("file://"):
        folder = object_storage_path(path)
        _ = folder.fs  # opens the storage, with its Airflow connection
        return folder
    return Path(path.removeprefix("file://")).expanduser()


def has_trigger_on_kill() -> bool:
    """Return whether Airflow calls ``on_kill`` of a trigger when a user kills its task (3.3 and newer)."""
    return hasattr(import_module("airflow.triggers.base").BaseTrigger, "on_kill")


def render_text(dag: Any, template: str, context: Any) -> str:
    """Render a template to text, also in a DAG that renders native objects."""
    render = import_module("airflow.utils.helpers").render_template
    return str(
        render(dag.get_template_env(force_sandboxed=True).from_string(template), context, native=False)
    )


def empty_operator() -> Any:
    """Return the operator that does nothing and needs no worker."""
    module = "airflow.providers.standard.operators.empty" if AIRFLOW_3 else "airflow.operators.empty"
    return import_module(module).EmptyOperator
