"""Match a caller's inputs with the parameters of an endpoint, before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.space_app.errors import InvalidAppInput, UnknownEndpoint
from airflow_provider_hfspaces.space_app.files import as_file_input, is_file_schema, is_path_like
from airflow_provider_hfspaces.space_app.gradio.description import (
    AppDescription,
    AppEndpoint,
    AppParameter,
)
from airflow_provider_hfspaces.space_app.gradio.schema import mismatch

__all__ = ["bind", "find_endpoint", "payload"]

_MOST_NAMES = 20


def find_endpoint(
    description: AppDescription, repo_id: str, api: str | int, *, allow_unlisted: bool
) -> AppEndpoint:
    """Return the endpoint with this name or number.

    :param api: name with or without its slash, or the number of a function.
    :param allow_unlisted: whether the endpoint may be one that the app does not document.
    :raises UnknownEndpoint: with the most similar name and the signatures of all documented endpoints.
    """
    if isinstance(api, int):
        numbered = {each.fn_index: each for each in description.endpoints.values()}
        endpoint = description.unnamed.get(api) or numbered.get(api)
        name = str(api)
    else:
        name = f"/{api.lstrip('/')}"
        endpoint = description.endpoints.get(name)
    if endpoint is None:
        near = description.nearest(name)
        hint = f" Did you mean {near!r}?" if near else ""
        names = ", ".join(each.signature for each in description.listed.values()) or "none"
        raise UnknownEndpoint(
            f"api {name!r} is not an endpoint of Space {repo_id}.{hint} It offers: {names:.2000}.",
            repo_id=repo_id,
            api=name,
        )
    if not endpoint.is_listed and not allow_unlisted:
        raise UnknownEndpoint(
            f"api {name!r} of Space {repo_id} is not documented by the app, and may change without notice. "
            f"Set allow_unlisted=True to call it nevertheless.",
            repo_id=repo_id,
            api=name,
        )
    return endpoint


def bind(endpoint: AppEndpoint, repo_id: str, inputs: Mapping[str, Any] | Sequence[Any] | None) -> list[Any]:
    """Return one value for each parameter of the endpoint, with the app's defaults for missing inputs.

    :param inputs: a mapping of names to values, or a list of values; ``None`` for no inputs.
    :raises InvalidAppInput: with all inputs that are missing, unexpected or of the wrong type.
    """
    if inputs is None:
        inputs = []
    if isinstance(inputs, Mapping):
        chosen, problems = _by_name(endpoint, inputs)
    elif isinstance(inputs, Sequence) and not isinstance(inputs, (str, bytes)):
        chosen, problems = _by_position(endpoint, list(inputs))
    else:
        raise InvalidAppInput(
            f"inputs of {endpoint.api} must be a mapping of names to values, or a list of values; got "
            f"{inputs!r:.100}.",
            repo_id=repo_id,
            api=endpoint.api,
        )
    values = []
    missing = []
    for position, parameter in enumerate(endpoint.parameters):
        if position in chosen:
            value = chosen[position]
            if is_file_schema(parameter.schema):
                value = as_file_input(value)
            problem = mismatch(value, parameter)
            if problem:
                problems.append(f"{_name(parameter, position)} must be {problem}; got {value!r:.100}")
            values.append(value)
        elif parameter.has_default:
            values.append(parameter.default)
        else:
            missing.append(_name(parameter, position))
    if missing:
        problems.insert(0, f"missing: {', '.join(missing)}")
    if problems:
        raise InvalidAppInput(
            f"inputs do not fit {endpoint.api} of Space {repo_id}: {'; '.join(problems)}. Expected: "
            f"{endpoint.signature}.",
            repo_id=repo_id,
            api=endpoint.api,
        )
    _check_json(endpoint, repo_id, values)
    return values


def payload(endpoint: AppEndpoint, values: Sequence[Any]) -> list[Any]:
    """Return the values for all inputs of the function, with ``None`` for session states and buttons."""
    remaining = iter(values)
    filled = [next(remaining, None) if slot.is_shown else None for slot in endpoint.input_slots]
    return [*filled, *remaining]


def _by_name(endpoint: AppEndpoint, inputs: Mapping[str, Any]) -> tuple[dict[int, Any], list[str]]:
    positions = {
        each.name: position for position, each in enumerate(endpoint.parameters) if each.name is not None
    }
    chosen: dict[int, Any] = {}
    unknown = []
    for name, value in inputs.items():
        if name in positions:
            chosen[positions[name]] = value
        else:
            unknown.append(repr(name))
    if not unknown:
        return chosen, []
    problems = [f"unexpected: {', '.join(unknown[:_MOST_NAMES])}"]
    if not positions and endpoint.parameters:
        problems.append("its parameters have no names, so give inputs as a list")
    return chosen, problems


def _by_position(endpoint: AppEndpoint, inputs: list[Any]) -> tuple[dict[int, Any], list[str]]:
    most = len(endpoint.parameters)
    problems = []
    if len(inputs) > most:
        problems.append(f"unexpected: {len(inputs)} values for {most} parameters")
    return dict(enumerate(inputs[:most])), problems


def _check_json(endpoint: AppEndpoint, repo_id: str, values: list[Any]) -> None:
    for position, (parameter, value) in enumerate(zip(endpoint.parameters, values, strict=True)):
        try:
            json.dumps(value, allow_nan=False, default=_placeholder)
        except (TypeError, ValueError, RecursionError) as problem:  # noqa: PERF203
            raise InvalidAppInput(
                f"input {_name(parameter, position)} of {endpoint.api} cannot be sent as JSON: "
                f"{problem!s:.200}",
                repo_id=repo_id,
                api=endpoint.api,
            ) from None


def _placeholder(value: Any) -> Any:
    """Return ``None`` for a file, which is uploaded later, to check the rest of the value."""
    if is_path_like(value):
        return None
    raise TypeError(f"{type(value).__name__} is neither JSON nor a file")


def _name(parameter: AppParameter, position: int) -> str:
    return repr(parameter.name) if parameter.name else f"number {position + 1} ({parameter.label})"
