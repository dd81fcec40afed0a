"""The commands ``leases`` and ``release``, which use the code of ``RestoreAbandonedLeasesOperator``."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.cli.output import (
    Output,
    UsageError,
    confirmed,
    refuse_without_terminal,
    say,
    write_table,
)
from airflow_provider_hfspaces.cli.spaces import OnCommandLine, selection
from airflow_provider_hfspaces.operators.fleet.target import FAILED, GIVEN_BACK, LEFT_ALONE
from airflow_provider_hfspaces.operators.leases import RestoreAbandonedLeasesOperator

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.cost.runs import RunCost
    from airflow_provider_hfspaces.hub.lease.record import LeaseRecord

__all__ = ["leases", "release"]

_NOT_LEASED = "not leased"


class _Janitor(OnCommandLine, RestoreAbandonedLeasesOperator):
    """The operator that restores abandoned leases, with its log on stderr."""


def leases(arguments: Namespace, hook: HfSpacesHook, output: Output) -> bool:
    """Show the leases of Spaces on paid hardware.

    :returns: whether all leases could be read.
    """
    from airflow_provider_hfspaces.state.fleet_leases import LeaseView
    from airflow_provider_hfspaces.state.lease_states import LeaseState
    from airflow_provider_hfspaces.state.leases import Owners

    records, complete = _records(_janitor(arguments, hook, needs_author=False))
    owners, rows = Owners(), []
    costs = _costs(hook, records)
    for repo_id, record in records.items():
        for holder in record.holders:
            lease = LeaseView.from_holder(repo_id, holder, owners)
            cost = costs.get(holder.holder_id)
            rows.append(
                {
                    "space": repo_id,
                    "state": lease.state.value,
                    "hardware": lease.hardware,
                    "usd_so_far": cost.usd if cost else None,
                    "billed_minutes": cost.minutes if cost else None,
                    "restores_to": lease.restores_to,
                    "since": _moment(holder.since),
                    "until": _moment(holder.until),
                    **lease.run,
                    "holder": holder.holder_id,
                }
            )
    output.write(rows, hidden=("map_index", "holder", "billed_minutes"))
    if any(row["state"] == LeaseState.UNKNOWN.value for row in rows):
        say(
            "The holder of an unknown lease belongs to another Airflow or a script, or this command cannot "
            "read the database of its Airflow."
        )
    return complete


def _costs(hook: HfSpacesHook, records: dict[str, LeaseRecord]) -> dict[str, RunCost]:
    """Return the most that the leases can have cost so far, by the id of the holder that uses the Space.

    Endpoints: ``GET /api/spaces/hardware``, and ``GET /api/spaces/{repo_id}/runtime`` for each leased Space.
    """
    from airflow_provider_hfspaces.hub.cost.prices import replicas_of
    from airflow_provider_hfspaces.hub.errors import HubError
    from airflow_provider_hfspaces.hub.stages import DORMANT_STAGES
    from airflow_provider_hfspaces.state.lease_costs import cost_so_far
    from airflow_provider_hfspaces.state.pricing import prices_or_none

    held = {repo_id: record.current for repo_id, record in records.items() if record.current is not None}
    costs: dict[str, RunCost] = {}
    if not held:
        return costs
    prices = prices_or_none(hook, "The cost of the leases is not known", say)
    if prices is None:
        return costs
    for repo_id, holder in held.items():
        try:
            runtime = hook.get_runtime(repo_id)
        except HubError as error:
            say(f"Space {repo_id}: the cost of its lease is not known. {error}")
            continue
        costs[holder.holder_id] = cost_so_far(
            holder,
            runtime.hardware if runtime.is_billed else None,
            replicas_of(runtime),
            prices,
            hook.clock(),
            has_stopped=runtime.stage in DORMANT_STAGES,
        )
    return costs


def release(arguments: Namespace, hook: HfSpacesHook, output: Output) -> bool:
    """Restore Spaces whose leases were left behind.

    :returns: whether no Space failed, and each named Space was restored or needed no restore.
    :raises UsageError: if no Space is selected, or the user cannot confirm the change without a terminal.
    """
    if arguments.force and not arguments.repo_ids:
        raise UsageError("--force needs the names of the Spaces whose leases to release. Name the Spaces.")
    if not arguments.dry_run and not arguments.yes:
        refuse_without_terminal()
    janitor = _janitor(arguments, hook, needs_author=True)
    records, complete = _records(janitor)
    plan = [_plan(janitor, repo_id, record, arguments.force) for repo_id, record in records.items()]
    if not arguments.repo_ids:
        plan = [each for each in plan if each["reason"] != _NOT_LEASED]
    todo = [each for each in plan if each["outcome"] is None]
    refused = [each for each in plan if each["outcome"] == LEFT_ALONE and each["reason"] != _NOT_LEASED]
    if arguments.dry_run:
        for each in todo:
            each["outcome"] = "would be restored"
    elif todo:
        hook.require_token(todo[0]["space"])
        if not arguments.yes:
            write_table(plan, sys.stderr)
            if not confirmed(f"Restore {len(todo):,} of {len(plan):,} Spaces?"):
                say("Nothing was changed.")
                return False
        for each in todo:
            entry = janitor.restore_space(each["space"], each["reason"], None, force=arguments.force)
            each.update(outcome=entry["outcome"], reason=entry["error"] or entry["reason"])
            each["restores_to"] = entry["hardware"] or each["restores_to"]
            each["cost_usd"] = entry["cost_usd"]
    output.write(plan, hidden=("cost_usd",))
    if refused and arguments.repo_ids:
        say(
            f"Space {refused[0]['space']}: its lease is {refused[0]['reason']}. Wait until that run "
            f"ends, or add --force to take the hardware away from the run."
        )
        return False
    failed = [each for each in todo if each["outcome"] in (FAILED, LEFT_ALONE)]
    return complete and all(each["reason"] == GIVEN_BACK for each in failed)


def _janitor(arguments: Namespace, hook: HfSpacesHook, *, needs_author: bool) -> _Janitor:
    chosen = selection(arguments, hook, needs_author=needs_author)
    more = {"fallback": arguments.fallback} if hasattr(arguments, "fallback") else {}
    janitor = _Janitor(task_id="command", **chosen, **more)
    janitor.hook = hook
    return janitor


def _records(janitor: _Janitor) -> tuple[dict[str, LeaseRecord], bool]:
    """Return the lease record of each Space, and whether all of them could be read."""
    complete, records = True, dict[str, "LeaseRecord"]()
    for repo_id, record in janitor.leases(janitor.billable()).items():
        if isinstance(record, Exception):
            say(f"Space {repo_id}: its lease could not be read. {record}")
            complete = False
        else:
            records[repo_id] = record
    return dict(sorted(records.items(), key=lambda item: item[0].casefold())), complete


def _plan(janitor: _Janitor, repo_id: str, record: LeaseRecord, force: bool) -> dict[str, Any]:
    """Return the planned row of a Space. Its outcome is ``None`` if the Space has to be restored."""
    from airflow_provider_hfspaces.state.fleet_leases import LeaseView
    from airflow_provider_hfspaces.state.leases import Owners, describe_holder

    owners, holder = Owners(), record.current
    lease = None if holder is None else LeaseView.from_holder(repo_id, holder, owners)
    reason, outcome = janitor.reason(record, owners), None
    if reason is None and holder is None:
        reason, outcome = _NOT_LEASED, LEFT_ALONE
    elif reason is None and holder is not None:
        reason = f"held by {describe_holder(holder, owners)}"
        outcome = None if force else LEFT_ALONE
    return {
        "space": repo_id,
        "outcome": outcome,
        "state": lease.state.value if lease else None,
        "restores_to": lease.restores_to if lease else None,
        "cost_usd": None,
        "reason": reason,
    }


def _moment(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"
