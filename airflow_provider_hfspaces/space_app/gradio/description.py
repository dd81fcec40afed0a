"""AppDescription: the declaration of a Gradio app in ``/config`` and ``/info``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["AppDescription", "AppEndpoint", "AppParameter", "Slot"]

_SKIPPED_TYPES = ("state", "button", "uploadbutton", "downloadbutton", "duplicatebutton", "clearbutton")
"""Types of components without a value for callers, for apps whose components have no ``skip_api``."""


@dataclass(frozen=True)
class Slot:
    """One input or output of a function, whether callers see it or not.

    :ivar is_shown: False for a session state or a button, which callers neither send nor receive.
    :ivar is_state: True for a session state, which the app keeps between calls.
    :ivar allows_custom: True if the component accepts values beyond its choices.
    """

    is_shown: bool = True
    is_state: bool = False
    allows_custom: bool = False


@dataclass(frozen=True)
class AppParameter:
    """The declaration of one input of an endpoint.

    :ivar name: name of the Python parameter; ``None`` if the input can only be passed by position.
    :ivar label: label of the component; ``None`` without one.
    :ivar component: type of the component, such as ``Textbox``.
    :ivar schema: JSON schema of the values.
    :ivar has_default: True if the input may be omitted.
    :ivar default: value of an omitted input.
    :ivar allows_custom: True if values beyond the choices in ``schema`` are valid.
    """

    name: str | None
    label: str | None
    component: str | None
    schema: Mapping[str, Any] = field(default_factory=dict)
    has_default: bool = False
    default: Any = None
    allows_custom: bool = False


@dataclass(frozen=True)
class AppEndpoint:
    """The declaration of a function of the app.

    :ivar api: name with its slash, such as ``/predict``; ``None`` for a function without a name.
    :ivar fn_index: the app's number of the function.
    :ivar parameters: the inputs in their order, without session states.
    :ivar outputs: labels of the outputs, without session states.
    :ivar description: the app's documentation of the function; empty without one.
    :ivar is_listed: True if the app documents the function.
    :ivar is_generator: True if the function yields several values. The last value is the answer.
    :ivar is_batch: True if the app may work on several calls of the function at once.
    :ivar is_zero_gpu: True if the function runs on ZeroGPU, where a waiting call ends if no client reads its
        messages.
    :ivar input_slots: all inputs of the function, including session states and buttons.
    :ivar output_slots: all outputs of the function, including session states and buttons.
    """

    api: str | None
    fn_index: int
    parameters: tuple[AppParameter, ...] = ()
    outputs: tuple[str | None, ...] = ()
    description: str = ""
    is_listed: bool = True
    is_generator: bool = False
    is_batch: bool = False
    is_zero_gpu: bool = False
    input_slots: tuple[Slot, ...] = field(default=(), repr=False)
    output_slots: tuple[Slot, ...] = field(default=(), repr=False)

    @property
    def is_state_kept(self) -> bool:
        """Whether the function reads or writes a session state."""
        return any(slot.is_state for slot in (*self.input_slots, *self.output_slots))

    @property
    def signature(self) -> str:
        """The endpoint as a call, such as ``/predict(text, count=1)``."""
        shown = []
        for position, each in enumerate(self.parameters):
            name = each.name or f"<{each.label or position}>"
            shown.append(f"{name}={each.default!r:.40}" if each.has_default else name)
        return f"{self.api or self.fn_index}({', '.join(shown)})"


@dataclass(frozen=True)
class AppDescription:
    """The declaration of a Gradio app: its version and its endpoints.

    ::

        for endpoint in app.describe().listed.values():
            print(endpoint.signature)

    :ivar version: version of Gradio.
    :ivar protocol: version of Gradio's protocol, such as ``sse_v3``.
    :ivar prefix: path of the app's API.
    :ivar app_id: an id that changes with each start of the app; ``None`` if the app has none.
    :ivar max_file_size: largest upload in bytes; ``None`` for no limit.
    :ivar endpoints: all functions with a name, the documented ones first.
    :ivar unnamed: functions without a name, by their number.
    """

    version: str
    protocol: str
    prefix: str
    app_id: int | str | None
    max_file_size: int | None
    endpoints: Mapping[str, AppEndpoint]
    unnamed: Mapping[int, AppEndpoint] = field(default_factory=dict)

    @property
    def listed(self) -> dict[str, AppEndpoint]:
        """The endpoints that the app documents."""
        return {api: each for api, each in self.endpoints.items() if each.is_listed}

    def nearest(self, api: str) -> str | None:
        """Return the documented endpoint whose name is the most similar; ``None`` if none is similar."""
        lowered = {name.lower(): name for name in self.listed}
        near = difflib.get_close_matches(api.lower(), lowered, n=1, cutoff=0.5)
        return lowered[near[0]] if near else None

    @classmethod
    def from_payloads(cls, config: Mapping[str, Any], info: Mapping[str, Any]) -> AppDescription:
        """Return the declaration in the answers to ``GET /config`` and ``GET /info``.

        :raises LookupError, TypeError, ValueError, AttributeError: for an answer of another form.
        """
        components = {each["id"]: each for each in config["components"]}
        documented = info["named_endpoints"]
        listed: dict[str, AppEndpoint] = {}
        others: dict[str, AppEndpoint] = {}
        unnamed: dict[int, AppEndpoint] = {}
        for position, dependency in enumerate(config["dependencies"]):
            endpoint = _endpoint(dependency, position, components, documented)
            if endpoint.api is None:
                unnamed[endpoint.fn_index] = endpoint
            else:
                # If functions share a name, the app calls the first one.
                (listed if endpoint.is_listed else others).setdefault(endpoint.api, endpoint)
        size = config.get("max_file_size")
        return cls(
            version=str(config["version"]),
            protocol=str(config.get("protocol") or "ws"),
            prefix=str(config.get("api_prefix") or "").rstrip("/"),
            app_id=config.get("app_id"),
            max_file_size=size if isinstance(size, int) else None,
            endpoints={**others, **listed} if not listed else {**listed, **_without(others, listed)},
            unnamed=unnamed,
        )


def _without(others: Mapping[str, AppEndpoint], listed: Mapping[str, Any]) -> dict[str, AppEndpoint]:
    return {api: each for api, each in others.items() if api not in listed}


def _endpoint(
    dependency: Mapping[str, Any],
    position: int,
    components: Mapping[Any, Mapping[str, Any]],
    documented: Mapping[str, Any],
) -> AppEndpoint:
    name = dependency.get("api_name")
    api = f"/{name.lstrip('/')}" if isinstance(name, str) and name else None
    number = dependency.get("id")
    inputs = tuple(_slot(components.get(each)) for each in dependency["inputs"])
    outputs = tuple(_slot(components.get(each)) for each in dependency["outputs"])
    about = documented.get(api) if api else None
    types = dependency.get("types") or {}
    return AppEndpoint(
        api=api,
        fn_index=number if isinstance(number, int) else position,
        parameters=_parameters(about, inputs, dependency, components),
        outputs=tuple(_outputs(about, outputs)),
        description=str((about or {}).get("description") or dependency.get("api_description") or ""),
        is_listed=about is not None,
        is_generator=bool(types.get("generator")),
        is_batch=bool(dependency.get("batch")),
        is_zero_gpu=bool(dependency.get("zerogpu")),
        input_slots=inputs,
        output_slots=outputs,
    )


def _slot(component: Mapping[str, Any] | None) -> Slot:
    if component is None:
        return Slot()
    is_state = component.get("type") == "state"
    is_skipped = component.get("skip_api", component.get("type") in _SKIPPED_TYPES)
    properties = component.get("props") or {}
    return Slot(
        is_shown=not (is_state or is_skipped),
        is_state=is_state,
        allows_custom=bool(properties.get("allow_custom_value")),
    )


def _parameters(
    about: Mapping[str, Any] | None,
    inputs: tuple[Slot, ...],
    dependency: Mapping[str, Any],
    components: Mapping[Any, Mapping[str, Any]],
) -> tuple[AppParameter, ...]:
    shown = [slot for slot in inputs if slot.is_shown]
    if about is None:
        ids = [each for each, slot in zip(dependency["inputs"], inputs, strict=True) if slot.is_shown]
        return tuple(_parameter_of_component(components.get(each) or {}) for each in ids)
    parameters = []
    for position, each in enumerate(about["parameters"]):
        parameters.append(
            AppParameter(
                name=each.get("parameter_name"),
                label=each.get("label"),
                component=each.get("component"),
                schema=each["type"] if isinstance(each.get("type"), dict) else {},
                has_default=bool(each.get("parameter_has_default")),
                default=each.get("parameter_default"),
                allows_custom=position < len(shown) and shown[position].allows_custom,
            )
        )
    return tuple(parameters)


def _parameter_of_component(component: Mapping[str, Any]) -> AppParameter:
    """Return the parameter for a component, of which ``/info`` has no declaration."""
    properties = component.get("props") or {}
    value = properties.get("value")
    return AppParameter(
        name=None,
        label=properties.get("label"),
        component=component.get("type"),
        has_default=value is not None,
        default=value,
    )


def _outputs(about: Mapping[str, Any] | None, outputs: tuple[Slot, ...]) -> list[str | None]:
    if about is not None and isinstance(about.get("returns"), list):
        return [each.get("label") for each in about["returns"]]
    return [None for slot in outputs if slot.is_shown]
