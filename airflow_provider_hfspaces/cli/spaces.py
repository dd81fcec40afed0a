"""The commands ``list``, ``cost``, ``pause`` and ``restart``, which use the code of the fleet operators."""

from __future__ import annotations

import logging
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.cli.output import (
    Output,
    UsageError,
    confirmed,
    refuse_without_terminal,
    say,
    write_table,
)
from airflow_provider_hfspaces.operators.fleet.pause import PauseSpacesOperator
from airflow_provider_hfspaces.operators.fleet.restart import RestartSpacesOperator
from airflow_provider_hfspaces.operators.fleet.selecting import SelectingOperator
from airflow_provider_hfspaces.operators.fleet.target import FAILED, Target

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.cost.prices import FleetCost, SubtotalCost
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["OnCommandLine", "cost", "list_spaces", "pause", "restart", "selection"]

log = logging.getLogger("airflow_provider_hfspaces.cli")


class OnCommandLine:
    """Makes an operator log to stderr instead of to the log of a task."""

    @property
    def log(self) -> Any:
        """The log of the commands."""
        return log


class _Selected(OnCommandLine, SelectingOperator):
    """The Spaces that a command reads."""


class _Changing(OnCommandLine):
    """Makes a fleet operator remember which Spaces it left alone because a run has leased them."""

    leased: tuple[str, ...] = ()

    def after_requests(self, targets: Sequence[Target]) -> None:
        self.leased = tuple(target.repo_id for target in targets if target.leased)
        super().after_requests(targets)  # type: ignore[misc]


class _Pause(_Changing, PauseSpacesOperator):
    """The command ``pause``."""


class _Restart(_Changing, RestartSpacesOperator):
    """The command ``restart``."""


class _MemoryStore:
    """The retry store of a command, kept in memory: a command has no later try."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self._values.get(key)

    def set(self, key: str, value: Any) -> None:
        self._values[key] = value

    def delete(self, key: str) -> None:
        self._values.pop(key, None)


def selection(arguments: Namespace, hook: HfSpacesHook, *, needs_author: bool) -> dict[str, Any]:
    """Return the selection of a command, as arguments of the fleet operators.

    :param needs_author: whether a command without Spaces has to name their owner.
    :raises UsageError: if no Space is selected, or Spaces are both named and selected.
    """
    author, repo_ids = arguments.author, arguments.repo_ids or None
    criteria = {
        "hardware": arguments.hardware,
        "billed_only": arguments.billed_only,
        "include": arguments.include or (),
        "exclude": arguments.exclude or (),
        "tags": arguments.tag or (),
    }
    if repo_ids is not None:
        if author or any(criteria.values()):
            raise UsageError("Name either Spaces or a selection with --author, not both.")
    elif not author and needs_author:
        raise UsageError("No Space is selected. Name Spaces, or select them with --author.")
    elif not author:
        author = hook.settings.namespace
        if not author and not hook.client.has_token:
            raise UsageError(
                "No Space is selected, and the connection has no token whose owner could be the default. "
                "Set --author."
            )
        author = author or hook.whoami().name
    return {"author": author, "repo_ids": repo_ids, "stages": arguments.stage, **criteria}


def list_spaces(arguments: Namespace, hook: HfSpacesHook, output: Output) -> bool:
    """List Spaces with stage, hardware and cost.

    :returns: whether all Spaces could be read.
    """
    fleet, runtimes, complete = _read(arguments, hook)
    output.write(
        [
            {
                "space": each.repo_id,
                "stage": each.stage,
                "hardware": each.hardware,
                "replicas": each.replicas,
                "sleep_time": getattr(runtimes[each.repo_id], "sleep_time", None),
                "usd_per_hour": each.hourly,
            }
            for each in sorted(fleet.spaces, key=lambda each: each.repo_id.casefold())
        ]
    )
    return complete


def cost(arguments: Namespace, hook: HfSpacesHook, output: Output) -> bool:
    """Show what Spaces cost.

    :returns: whether all Spaces could be read.
    """
    fleet, _, complete = _read(arguments, hook)
    if arguments.by == "space":
        rows = [
            {
                "space": each.repo_id,
                "stage": each.stage,
                "hardware": each.hardware,
                "replicas": each.replicas,
                "usd_per_hour": each.hourly,
                "usd_per_hour_when_built": each.when_started,
            }
            for each in fleet.costing
        ]
    else:
        sums = fleet.by_hardware() if arguments.by == "hardware" else fleet.by_stage()
        rows = [{arguments.by: name, **_sums(each)} for name, each in sums.items()]
    output.write(rows)
    say(
        f"{fleet.total.spaces:,} Spaces cost {fleet.in_words()}, ${fleet.monthly:,.2f} a month if nothing "
        f"changes. Amounts are estimates from the Hub's list prices of "
        f"{fleet.prices_as_of:%Y-%m-%d %H:%M} UTC."
    )
    return complete


def _sums(subtotal: SubtotalCost) -> dict[str, Any]:
    return {
        "spaces": subtotal.spaces,
        "billed": subtotal.billed,
        "usd_per_hour": subtotal.hourly,
        "usd_per_hour_when_built": subtotal.when_started,
        "unknown_prices": subtotal.unknown,
    }


def _read(arguments: Namespace, hook: HfSpacesHook) -> tuple[FleetCost, dict[str, SpaceRuntime | None], bool]:
    """Return the Spaces with their costs and runtimes, and whether all of them could be read."""
    from airflow_provider_hfspaces.hub.bulk.lookup import read_runtimes
    from airflow_provider_hfspaces.hub.cost.prices import FleetCost

    selected = _Selected(task_id="select", **selection(arguments, hook, needs_author=False))
    selected.hook = hook
    if selected.repo_ids is None:
        read = {space.id: each for space, each in selected.selected(always_runtime=True)}
    else:
        read = dict(read_runtimes(hook.client, selected.named(), stop=selected.killed))
    complete, runtimes = True, dict[str, "SpaceRuntime | None"]()
    for repo_id, runtime in read.items():
        if isinstance(runtime, Exception):
            say(str(runtime))
            complete = False
        else:
            runtimes[repo_id] = runtime
    return FleetCost.from_spaces(runtimes.items(), hook.price_list()), runtimes, complete


def pause(arguments: Namespace, hook: HfSpacesHook, output: Output) -> bool:
    """Pause Spaces.

    :returns: whether no Space failed, and no named Space was left alone because of its lease.
    :raises UsageError: if no Space is selected, or the user cannot confirm the change without a terminal.
    """
    chosen = selection(arguments, hook, needs_author=True)
    if arguments.report_to:
        chosen["report_to"] = arguments.report_to
    return _Change(_Pause, "Pause", arguments, hook, output).run(chosen)


def restart(arguments: Namespace, hook: HfSpacesHook, output: Output) -> bool:
    """Restart Spaces.

    :returns: whether no Space failed, and no named Space was left alone because of its lease.
    :raises UsageError: if no Space is selected, or the user cannot confirm the change without a terminal.
    """
    if not arguments.report_from:
        chosen = selection(arguments, hook, needs_author=True)
    elif arguments.repo_ids or arguments.author:
        raise UsageError("Spaces, --author and --report-from exclude each other. Use one of them.")
    else:
        chosen = {"report_from": arguments.report_from}
    return _Change(_Restart, "Restart", arguments, hook, output).run(chosen)


class _Change:
    """One change of many Spaces: plan, confirmation, requests and report."""

    def __init__(
        self,
        operator: type[_Pause] | type[_Restart],
        verb: str,
        arguments: Namespace,
        hook: HfSpacesHook,
        output: Output,
    ) -> None:
        self._operator, self._verb = operator, verb
        self._arguments, self._hook, self._output = arguments, hook, output

    def run(self, chosen: dict[str, Any]) -> bool:
        """Change the chosen Spaces.

        :param chosen: arguments of the fleet operator.
        :returns: whether no Space failed, and no named Space was left alone because of its lease.
        """
        if not self._arguments.dry_run and not self._arguments.yes:
            refuse_without_terminal()
            plan, _ = self._entries(chosen, dry_run=True)
            planned = [each["repo_id"] for each in plan if each["outcome"].startswith("would be")]
            if planned:
                write_table([_row(each) for each in plan], sys.stderr)
                if not confirmed(f"{self._verb} {_number(len(planned))}?"):
                    say("Nothing was changed.")
                    return False
            if "report_from" not in chosen:
                # Exactly the Spaces that the user has seen, whatever the selection would contain now.
                names = ("stages", "report_to")
                chosen = {"repo_ids": planned, **{key: chosen[key] for key in names if key in chosen}}
            if not planned:
                self._output.write([_row(each) for each in plan])
                return not any(each["outcome"] == FAILED for each in plan)
        entries, leased = self._entries(chosen, dry_run=self._arguments.dry_run)
        self._output.write([_row(each) for each in entries])
        return not (leased and self._arguments.repo_ids) and all(
            each["outcome"] != FAILED for each in entries
        )

    def _entries(
        self, chosen: dict[str, Any], *, dry_run: bool
    ) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        """Return the entries of the report, and the Spaces that a run has leased."""
        operator = self._operator(
            task_id="command",
            dry_run=dry_run,
            fail_on_error=False,
            respect_leases=not self._arguments.ignore_leases,
            do_xcom_push=False,
            **chosen,
        )
        operator.hook = self._hook
        report = operator.change_spaces({}, _MemoryStore())
        entries: list[dict[str, Any]] = report["spaces"]
        say(operator.headline(entries, f"would be {operator.done}" if dry_run else operator.done))
        return entries, operator.leased


def _row(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "space": entry["repo_id"],
        "outcome": entry["outcome"],
        "stage": entry["stage"],
        "hardware": entry["hardware"],
        "usd_per_hour": entry["hourly_cost"],
        "reason": entry["reason"],
    }


def _number(count: int) -> str:
    return "1 Space" if count == 1 else f"{count:,} Spaces"
