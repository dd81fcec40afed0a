"""Mixins and checks for operators whose arguments need more than Airflow's templates.

Text arguments stay text, secret arguments stay hidden, some arguments have the names of Airflow's own
attributes, and some take only a few values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.compat.imports import Context, render_text
from airflow_provider_hfspaces.rendered import from_text, is_runtime_value, is_template

__all__ = [
    "KeepsText",
    "RenamedArguments",
    "SecretArguments",
    "follow",
    "refuse_unless_one_of",
]


class KeepsText:
    """Mixin for operators with text arguments: under native rendering, text stays text.

    With ``render_template_as_native_obj=True`` Airflow turns the argument ``"3"`` into the number 3 and
    ``'{"a": 1}'`` into a dictionary, also where the Hub takes only text.
    """

    text_fields: tuple[str, ...] = ()
    """The template fields that are text, or hold text."""

    def remember_text(self) -> None:
        """Remember the arguments as the DAG's author wrote them. Call it at the end of ``__init__``."""
        self._as_written = {name: getattr(self, name) for name in self.text_fields}

    def text(self, name: str, context: Context) -> Any:
        """Returns a rendered field without parsing its text. An XCom's value is what its task returned."""
        return self._rendered(name, context, structure=False)

    def structure(self, name: str, context: Context) -> Any:
        """Returns a rendered field that is a list or a mapping, also if one template stands for all of it."""
        return _parsed(name, self._rendered(name, context, structure=True))

    def _rendered(self, name: str, context: Context, *, structure: bool) -> Any:
        written, rendered = self._as_written[name], getattr(self, name)
        # An argument that Airflow did not render, such as an XCom, is not a template.
        if rendered is written or is_runtime_value(written) or structure == isinstance(written, str):
            return rendered
        return _render_text(self, written, context) if _is_native(self, context) else rendered


class SecretArguments:
    """Mixin for operators with secret arguments: Airflow neither stores nor shows them.

    Airflow stores and shows template fields, which secrets must not be. They still take a template
    or the output of a task. :meth:`secret` renders them when the task runs and masks them at once.
    """

    secret_fields: tuple[str, ...] = ()
    """The arguments that are secret."""

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Map the operator, as Airflow's own ``partial`` does.

        :raises ValueError: for a secret that is written out, here or in ``expand``: Airflow stores the
            arguments of mapped operators in plain text, in the serialized DAG.
        """
        _refuse_literals(cls, kwargs, "partial")
        return _SecretPartial(cls, super().partial(**kwargs), kwargs)  # type: ignore[misc]

    def follow_secrets(self) -> None:
        """Run after the tasks whose output is a secret of this one. Call it at the end of ``__init__``."""
        for name in self.secret_fields:
            follow(self, getattr(self, name))

    def secret(self, name: str, context: Context, *, structure: bool = False) -> Any:
        """Returns a secret argument: rendered, with its text as text, and masked.

        :param structure: whether it is a list or a mapping, which one template may stand for.
        """
        from airflow_provider_hfspaces.failures import mask_written

        value = getattr(self, name)
        is_written = not isinstance(value, str) or is_template(value)
        if is_written and not _is_mapped_output(self, name, context):
            value = _render_text(self, value, context)
        if structure:
            value = _parsed(name, value)
        for text in secret_texts(value):
            mask_written(str(text))
        return value


class RenamedArguments:
    """Mixin for operators with arguments whose names Airflow uses for attributes of its own.

    Such an argument is kept in a template field of another name. Airflow does not recognize it there if the
    operator is mapped, so this mixin has the mapped task follow the tasks whose output the argument is.
    """

    renamed_arguments: Mapping[str, str] = {}
    """The template field of each such argument."""

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Map the operator, as Airflow's own ``partial`` does."""
        values = [kwargs[name] for name in cls.renamed_arguments if name in kwargs]
        return _FollowingPartial(super().partial(**kwargs), values)  # type: ignore[misc]


class _FollowingPartial:
    """What ``partial`` returns, for an ``expand`` that follows the tasks whose output some arguments are."""

    def __init__(self, partial: Any, values: Sequence[Any]) -> None:
        self._partial, self._values = partial, values

    def expand(self, **mapped: Any) -> Any:
        """Map over lists, as Airflow's own ``expand`` does."""
        return self._followed(self._partial.expand(**mapped))

    def expand_kwargs(self, mapped: Any, **options: Any) -> Any:
        """Map over mappings of arguments, as Airflow's own ``expand_kwargs`` does."""
        return self._followed(self._partial.expand_kwargs(mapped, **options))

    def _followed(self, task: Any) -> Any:
        for value in self._values:
            follow(task, value)
        return task


class _SecretPartial(_FollowingPartial):
    """What ``partial`` of an operator with secrets returns: its ``expand`` refuses literal secrets."""

    def __init__(self, kind: type[SecretArguments], partial: Any, arguments: Mapping[str, Any]) -> None:
        super().__init__(partial, [arguments.get(name) for name in kind.secret_fields])
        self._kind, self._arguments = kind, arguments

    def expand(self, **mapped: Any) -> Any:
        """Map over lists, as Airflow's own ``expand`` does."""
        self._refuse(mapped, "expand")
        return super().expand(**mapped)

    def expand_kwargs(self, mapped: Any, **options: Any) -> Any:
        """Map over mappings of arguments, as Airflow's own ``expand_kwargs`` does."""
        for arguments in () if is_runtime_value(mapped) else mapped:
            if isinstance(arguments, Mapping):
                self._refuse(arguments, "expand_kwargs")
        return super().expand_kwargs(mapped, **options)

    def _refuse(self, arguments: Mapping[str, Any], method: str) -> None:
        _refuse_literals(self._kind, {**arguments, "task_id": self._arguments.get("task_id")}, method)


def refuse_unless_one_of(task: Any, name: str, choice: tuple[str, ...]) -> None:
    """Refuse an argument when the DAG is parsed, unless it is known only when the task runs.

    :raises ValueError: naming the task and the choice.
    """
    value = getattr(task, name)
    if is_runtime_value(value) or is_template(value) or value in choice:
        return
    raise ValueError(
        f"{name} of task {task.task_id!r} must be one of {', '.join(choice)}; got {value!r:.100}."
    )


def follow(task: Any, value: Any) -> None:
    """Run ``task`` after the tasks whose output is in ``value``, as Airflow does for template fields."""
    dag = task.dag if task.has_dag() else None
    # While a mapped task runs, Airflow makes an operator of it that is not part of the DAG.
    if dag is None or dag.task_dict.get(task.task_id) is not task:
        return
    for source in _sources(value):
        task.set_upstream(source)


def _is_mapped_output(task: Any, name: str, context: Context) -> bool:
    """Whether the argument of a mapped task instance is the output of a task, which is never a template."""
    in_file = getattr(context.get("dag"), "task_dict", {}).get(getattr(task, "task_id", None))
    if name in getattr(in_file, "partial_kwargs", {name}):
        return False
    mapped = getattr(getattr(in_file, "expand_input", None), "value", None)
    return is_runtime_value(mapped.get(name) if isinstance(mapped, Mapping) else mapped)


def _is_native(task: Any, context: Context) -> bool:
    """Whether Airflow renders the templates of this task to native objects."""
    # From Airflow 3.3 on an operator decides for itself.
    native = getattr(task, "render_template_as_native_obj", None)
    return bool(
        getattr(context.get("dag"), "render_template_as_native_obj", False) if native is None else native
    )


def _render_text(task: Any, value: Any, context: Context) -> Any:
    """Render a value, and each template in it to text."""
    if isinstance(value, str) and _is_native(task, context):
        return render_text(context["dag"], value, context)
    if isinstance(value, Mapping):
        return {key: _render_text(task, each, context) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_render_text(task, each, context) for each in value]
    return task.render_template(value, context)


def secret_texts(value: Any) -> Iterator[Any]:
    """The values in a secret argument: one, a mapping of keys to values, or a list of settings."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from secret_texts(each)
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for each in value:
            is_setting = isinstance(each, Mapping) and {"key", "value"} <= set(each)
            yield from secret_texts(each["value"] if is_setting else each)
    elif value is not None and value != "":
        yield value


def _refuse_literals(kind: type[SecretArguments], arguments: Mapping[str, Any], method: str) -> None:
    for name in kind.secret_fields:
        for value in secret_texts(arguments.get(name)):
            if not is_runtime_value(value) and not (is_template(value)):
                raise ValueError(
                    f"{name} of {kind.__name__} {arguments.get('task_id', '')!r} is written out in "
                    f"{method}(), and Airflow stores the arguments of mapped operators in plain text. Use a "
                    f"template such as '{{{{ var.value.my_secret }}}}', or the output of a task."
                )


def _parsed(name: str, value: Any) -> Any:
    """A list or mapping, also of text.

    :raises InvalidInput: for other text, which the message does not show: it may be a secret.
    """
    from airflow_provider_hfspaces.hub.checks import InvalidInput

    if not isinstance(value, str):
        return value
    try:
        return from_text(value) if value.strip() else None
    except ValueError:
        raise InvalidInput(
            f"{name} is text that is neither JSON nor a Python literal: pass a list, a mapping, or a "
            f"template that renders to one."
        ) from None


def _sources(value: Any) -> Iterator[Any]:
    if is_runtime_value(value):
        for source, _ in value.iter_references():
            yield source
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _sources(each)
    elif isinstance(value, (list, tuple, set)):
        for each in value:
            yield from _sources(each)
