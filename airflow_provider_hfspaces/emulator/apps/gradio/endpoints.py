"""Endpoint, and how a miniature Gradio makes endpoints from Python functions and their annotations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args, get_origin

from airflow_provider_hfspaces.emulator.apps.gradio.components import Component, component_of, outputs_of
from airflow_provider_hfspaces.emulator.apps.gradio.context import CallContext

__all__ = ["Endpoint", "Parameter", "endpoint", "endpoints_of", "visible"]

_OPTIONS = "_hfspaces_endpoint"


@dataclass(frozen=True)
class Parameter:
    """An input of an endpoint.

    :ivar default: initial value of the component; ``None`` for an input without a default.
    """

    name: str
    component: Component
    default: Any = None

    @property
    def label(self) -> str:
        """The label that a user interface would show."""
        return self.name.replace("_", " ").capitalize()


@dataclass(frozen=True)
class Endpoint:
    """An endpoint of a miniature Gradio.

    :ivar index: the endpoint's number in ``/config``.
    :ivar inputs: in the order of the function's parameters, state included.
    :ivar context: name of the parameter that gets the :class:`CallContext`; ``None`` without one.
    :ivar kind: ``plain`` (a cancelled call runs to its end), ``async`` or ``generator``.
    :ivar queue: whether calls wait in the queue.
    :ivar batch: whether the function takes lists of inputs and returns lists of outputs.
    :ivar visibility: ``public``, ``undocumented`` (not listed) or ``private`` (not listed, and refused by
        official clients).
    :ivar concurrency: calls that run at once; ``None`` for no limit, -1 for the app's default.
    """

    index: int
    name: str
    function: Callable[..., Any]
    inputs: tuple[Parameter, ...]
    outputs: tuple[Component, ...]
    context: str | None = None
    kind: str = "async"
    queue: bool = True
    batch: bool = False
    visibility: str = "public"
    concurrency: int | None = -1


def endpoint(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function to set fields of its :class:`Endpoint`, such as ``queue=False``."""

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        setattr(function, _OPTIONS, options)
        return function

    return mark


def endpoints_of(functions: Mapping[str, Callable[..., Any]]) -> list[Endpoint]:
    """The endpoints of an app.

    :param functions: by the names of the endpoints, with or without a leading slash.
    """
    return [
        _endpoint(index, name.strip("/"), function)
        for index, (name, function) in enumerate(functions.items())
    ]


def _endpoint(index: int, name: str, function: Callable[..., Any]) -> Endpoint:
    signature = inspect.signature(function, eval_str=True)
    options: dict[str, Any] = getattr(function, _OPTIONS, {})
    item_type = _item if options.get("batch") else _itself
    context, inputs = None, []
    for parameter in signature.parameters.values():
        if parameter.annotation is CallContext:
            context = parameter.name
        else:
            default = None if parameter.default is inspect.Parameter.empty else parameter.default
            inputs.append(Parameter(parameter.name, component_of(item_type(parameter.annotation)), default))
    made = Endpoint(
        index=index,
        name=name,
        function=function,
        inputs=tuple(inputs),
        outputs=outputs_of(item_type(signature.return_annotation)),
        context=context,
        kind=_kind(function),
    )
    return replace(made, **options)


def _itself(annotation: Any) -> Any:
    return annotation


def _item(annotation: Any) -> Any:
    """The type of one item: the annotations of a batch function are lists of it."""
    if get_origin(annotation) is tuple:
        return tuple[tuple(_item(each) for each in get_args(annotation))]  # type: ignore[misc]
    return get_args(annotation)[0]


def _kind(function: Callable[..., Any]) -> str:
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        return "generator"
    return "async" if inspect.iscoroutinefunction(function) else "plain"


def visible(endpoints: list[Endpoint]) -> Iterator[Endpoint]:
    """The endpoints that ``/info`` lists."""
    return (each for each in endpoints if each.visibility == "public")
