"""Hardware as a DAG names it: a flavor, a list in order of preference, or a description of a GPU.

Come here to change what an argument ``hardware`` may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.rendered import (
    as_number,
    as_whole_number,
    from_text,
    has_template,
    is_runtime_value,
    is_template,
)

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.any_hardware import AnyHardware
    from airflow_provider_hfspaces.hub.models import HardwareFlavor

__all__ = ["any_hardware", "hardware_names", "is_one_flavor", "listed_flavors", "refuse_bad_hardware"]

_ANY = "any_hardware"
"""The only key of the mapping that stands for :func:`any_hardware`."""


def any_hardware(
    vram_gb: float | str | None = None,
    gpus: int | str | None = 1,
    max_hourly_cost: float | str | None = None,
    prefer: str = "cheapest",
) -> dict[str, Any]:
    """Describe a GPU by memory, number and price, instead of by the name of a flavor.

    ::

        RequestHardwareOperator(
            task_id="upgrade",
            repo_id="acme/whisper",
            hardware=any_hardware(vram_gb=24, max_hourly_cost=2.0),
        )

    Use the description in place of a flavor or of a list of flavors, or as an item of such a list. When the
    task runs, the Hub's price list (``GET /api/spaces/hardware``) turns it into a list of flavors. If no
    flavor fits, the task fails before it requests anything. Every argument may be a template.

    :param vram_gb: the least GPU memory in GB, as the Hub lists it: of all GPUs of a flavor together
        (default: any).
    :param gpus: the number of GPUs (default 1); ``None`` for any number.
    :param max_hourly_cost: USD per hour, for all replicas of the Space together (default: no limit).
    :param prefer: ``"cheapest"`` (default) or ``"fastest"``: the most expensive first, because the Hub lists
        prices, but no speeds.
    :returns: plain JSON, so that it may be mapped over and returned by a task.
    :raises InvalidInput: when the DAG is parsed, for a value that is not valid.
    """
    options = {"vram_gb": vram_gb, "gpus": gpus, "max_hourly_cost": max_hourly_cost, "prefer": prefer}
    if not has_template(options):
        _description(options)
    return {_ANY: options}


def refuse_bad_hardware(value: Any, owner: str) -> None:
    """Check, when the DAG is parsed, hardware that is not a template: its form, not the flavors' names.

    :param owner: the operator or task group, with which the error begins.
    :raises InvalidHardware: for anything but a flavor, :func:`any_hardware`, or a list of these.
    """
    if value is None or isinstance(value, str) or is_runtime_value(value):
        return
    from airflow_provider_hfspaces.hub.errors import InvalidHardware

    is_list = isinstance(value, (list, tuple))
    for each in value if is_list else [value]:
        if is_runtime_value(each) or (isinstance(each, str) and each):
            continue
        options = each.get(_ANY) if isinstance(each, Mapping) and set(each) == {_ANY} else None
        if isinstance(options, Mapping):
            if not has_template(options):
                _description(options)
        else:
            raise InvalidHardware(f"{owner}: {_not_hardware(each)}")
    if is_list and not value:
        raise InvalidHardware(f"{owner}: {_not_hardware(value)}")


def is_one_flavor(value: Any) -> bool:
    """Return whether rendered hardware is a single flavor, and not a list or a description."""
    return isinstance(value, str) and not value.lstrip().startswith(("[", "{", "("))


def listed_flavors(
    value: Any, offered: Callable[[], Iterable[HardwareFlavor]], replicas: int = 1
) -> list[tuple[str, float | None]]:
    """Return the flavors that rendered hardware stands for, in order of preference, without duplicates.

    :param value: one flavor, a list, :func:`any_hardware`, or the text of these.
    :param offered: returns the Hub's price list; called only if the price list is needed.
    :param replicas: the number of replicas that the Space runs.
    :returns: each flavor, with the USD per hour that :func:`any_hardware` allows; ``None`` for no limit.
    :raises InvalidInput: for anything else, for a flavor that neither this version nor the Hub knows, and if
        no flavor fits.
    """
    from airflow_provider_hfspaces.hub.checks import checked_hardware, known_hardware

    flavors: dict[str, float | None] = {}
    for each in _entries(value):
        if isinstance(each, str):
            checked_hardware(each, None if known_hardware(each) else list(offered()))
            flavors.setdefault(each, None)
        else:
            for name in each.flavors(offered(), replicas):
                flavors.setdefault(name, each.max_hourly_cost)
    return list(flavors.items())


def hardware_names(value: Any) -> str:
    """Return hardware in words, for logs: ``l4x1, a10g-small or 1 GPU and 24 GB of GPU memory``."""
    if isinstance(value, str) or is_runtime_value(value):
        return str(value)
    entries = value if isinstance(value, (list, tuple)) else [value]
    names = [str(_words(each)) for each in entries]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _words(value: Any) -> Any:
    options = value.get(_ANY) if isinstance(value, Mapping) else None
    if not isinstance(options, Mapping) or has_template(options):
        return "any hardware" if options is not None else value
    return _description(options)


def _entries(value: Any) -> list[str | AnyHardware]:
    from airflow_provider_hfspaces.hub.errors import InvalidHardware

    if isinstance(value, str) and not is_one_flavor(value):
        try:
            value = from_text(value)
        except ValueError:
            raise InvalidHardware(_not_hardware(value)) from None
    entries: list[str | AnyHardware] = []
    for each in value if isinstance(value, (list, tuple)) else [value]:
        options = each.get(_ANY) if isinstance(each, Mapping) and set(each) == {_ANY} else None
        if isinstance(each, str) and each and not is_template(each):
            entries.append(each)
        elif isinstance(options, Mapping):
            entries.append(_description(options))
        else:
            raise InvalidHardware(_not_hardware(each))
    if not entries:
        raise InvalidHardware(_not_hardware(value))
    return entries


def _description(options: Mapping[str, Any]) -> AnyHardware:
    """Return the description with the numbers that templates rendered as text."""
    from airflow_provider_hfspaces.hub.any_hardware import AnyHardware

    numbers = {"vram_gb": as_number, "gpus": as_whole_number, "max_hourly_cost": as_number}
    return AnyHardware.from_dict(
        {name: numbers.get(name, lambda value: value)(value) for name, value in options.items()}
    )


def _not_hardware(value: Any) -> str:
    return (
        f"hardware must be a flavor such as 't4-small', a list of flavors in order of preference, or "
        f"any_hardware(…); got {value!r:.100}."
    )
