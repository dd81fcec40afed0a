"""The bodies of ``/config`` and ``/info`` of a miniature Gradio, in the form of each version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_hfspaces.emulator.apps.choice import GRADIO_VERSIONS, GradioApp
from airflow_provider_hfspaces.emulator.apps.gradio.components import Component
from airflow_provider_hfspaces.emulator.apps.gradio.endpoints import Endpoint, Parameter, visible

__all__ = ["config_payload", "info_payload"]


def config_payload(
    app: GradioApp,
    endpoints: list[Endpoint],
    *,
    root: str,
    repo_id: str,
    app_id: int,
    username: str | None,
) -> dict[str, Any]:
    """The body of ``/config``.

    :param root: address of the app as the caller knows it.
    :param app_id: random number of the process, by which clients notice a restart.
    :param username: the user who is logged in; ``None`` without a login.
    """
    components: list[dict[str, Any]] = []

    def add(component: Component, label: str, default: Any = None) -> int:
        components.append(_component(len(components) + 1, component, label, default, app.version))
        return len(components)

    dependencies = [
        _dependency(
            each,
            inputs=[
                add(parameter.component, parameter.label, parameter.default) for parameter in each.inputs
            ],
            outputs=[add(output, f"Output {number}") for number, output in enumerate(each.outputs, 1)],
            version=app.version,
            zero_gpu=app.zero_gpu,
        )
        for each in endpoints
    ]
    prefix = {} if app.version == 4 else {"api_prefix": "/gradio_api"}
    return {
        "version": GRADIO_VERSIONS[app.version],
        **prefix,
        "mode": "blocks",
        "app_id": app_id,
        "dev_mode": False,
        "analytics_enabled": False,
        "components": components,
        "css": None,
        "connect_heartbeat": any(
            parameter.component.is_state for each in endpoints for parameter in each.inputs
        ),
        "js": None,
        "head": None,
        "title": "Gradio",
        "space_id": repo_id,
        "enable_queue": True,
        "show_error": app.show_error,
        "show_api": True,
        "is_colab": False,
        "max_file_size": app.max_file_size,
        "stylesheets": [],
        "theme": "default",
        "protocol": "sse_v3",
        "layout": {"id": 0, "children": [{"id": component["id"]} for component in components]},
        "dependencies": dependencies,
        "root": root,
        "username": username,
    }


def info_payload(app: GradioApp, endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The body of ``/info``: the endpoints that callers may call, with their parameters and results."""
    named = {}
    for each in visible(list(endpoints)):
        described: dict[str, Any] = {
            "parameters": [
                _parameter(parameter) for parameter in each.inputs if not parameter.component.is_state
            ],
            "returns": [
                {"label": f"Output {number}", **_value_payload(output)}
                for number, output in enumerate(each.outputs, 1)
                if not output.is_state
            ],
        }
        if app.version == 6:
            described["api_visibility"] = each.visibility
        else:
            described["show_api"] = True
        if app.version >= 5:
            described["description"] = each.function.__doc__ or ""
        named[f"/{each.name}"] = described
    return {"named_endpoints": named, "unnamed_endpoints": {}}


def _component(number: int, component: Component, label: str, default: Any, version: int) -> dict[str, Any]:
    props = {
        **component.props,
        "label": label,
        "show_label": True,
        "visible": True,
        "name": component.kind,
        "value": default,
    }
    described: dict[str, Any] = {
        "id": number,
        "type": component.kind,
        "props": props,
        "skip_api": component.is_state,
        "component_class_id": component.kind,
        "key": None,
    }
    if not component.is_state:
        schema = component.schema
        described |= {"api_info": schema, "example_inputs": component.example}
        if version >= 6:
            described |= {"api_info_as_input": schema, "api_info_as_output": schema}
    return described


def _dependency(
    each: Endpoint, *, inputs: list[int], outputs: list[int], version: int, zero_gpu: bool
) -> dict[str, Any]:
    name: str | bool = each.name
    if version == 6:
        visibility: dict[str, Any] = {"api_visibility": each.visibility}
    else:
        visibility = {"show_api": each.visibility == "public"}
        if each.visibility == "private":
            name = False
    described = {
        "id": each.index,
        "targets": [[inputs[0] if inputs else 0, "click"]],
        "inputs": inputs,
        "outputs": outputs,
        "backend_fn": True,
        "js": None,
        "queue": each.queue,
        "api_name": name,
        **visibility,
        "scroll_to_output": False,
        "show_progress": "full",
        "batch": each.batch,
        "max_batch_size": 4,
        "cancels": [],
        "types": {"generator": each.kind == "generator", "cancel": False},
        "collects_event_data": False,
        "trigger_after": None,
        "trigger_only_on_success": False,
        "trigger_mode": "once",
        "rendered_in": None,
        "zerogpu": zero_gpu,
    }
    return described if version == 4 else {**described, "connection": "sse", "time_limit": None}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "label": parameter.label,
        "parameter_name": parameter.name,
        "parameter_has_default": parameter.default is not None,
        "parameter_default": parameter.default,
        **_value_payload(parameter.component),
        "example_input": parameter.component.example,
    }


def _value_payload(component: Component) -> dict[str, Any]:
    return {
        "type": component.schema,
        "python_type": {"type": component.python, "description": component.description},
        "component": component.kind.capitalize(),
    }
