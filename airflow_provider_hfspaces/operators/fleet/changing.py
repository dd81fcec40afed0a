"""FleetChange: the work of the operators that change many Spaces. Only a running task imports this module."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.bulk.progress import Progress
from airflow_provider_hfspaces.hub.bulk.queue import Quota, in_parallel, queue_client, stoppable_sleep
from airflow_provider_hfspaces.hub.desired import HURRIED, plan_change
from airflow_provider_hfspaces.hub.errors import HubBadRequest, HubError, SpaceNotFound
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.operators.fleet.report import now, only_owner, summary
from airflow_provider_hfspaces.operators.fleet.target import (
    FAILED,
    LEFT_ALONE,
    FleetIncomplete,
    Target,
    failure,
)
from airflow_provider_hfspaces.state.fleet_leases import FleetLeases, reason_of
from airflow_provider_hfspaces.state.ledger import Journal

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.http.client import HubClient
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.fleet.base import FleetOperator
    from airflow_provider_hfspaces.state.retry_store import RetryStore

__all__ = ["FleetChange"]

_MAX_LOGGED_FAILURES = 20


class FleetChange:
    """The change of many Spaces by a task or a command, in this process.

    :param task: the operator, which says what to change in which Spaces.
    """

    def __init__(self, task: FleetOperator) -> None:
        self._task = task
        self._read_at = 0.0

    def run(self, context: Context, store: RetryStore) -> dict[str, Any]:
        """Change the Spaces, and return the report.

        :param store: keeps what an earlier try has changed.
        :raises InvalidInput: for a parameter that is not valid.
        """
        self._task.check()
        journal = Journal(store, self._task.action)
        if not journal.earlier:
            self._task.skip_if_late(context)
        targets = self._all_targets(journal)
        if targets and not self._task.changes_nothing:
            self._task.hook.require_token(targets[0].repo_id)
        prices = self._task.prices(targets)
        todo = self._judge(targets, journal, prices)
        if self._task.changes_nothing:
            self.find_leased(todo)
            for target in [each for each in todo if each.outcome is None]:
                target.entry["outcome"] = f"would be {self._task.done}"
                self._task.complete_entry(target)
        else:
            try:
                self._change_all(todo, journal, prices)
            finally:
                self._task.after_requests(targets)
        return self._finish(targets, journal, prices, context)

    def _all_targets(self, journal: Journal) -> list[Target]:
        """The selected Spaces, and those that an earlier try of this task has changed."""
        unselected: dict[str, SpaceRuntime] = {}
        self._read_at = time.monotonic()
        targets = self._task.targets(unselected)
        keys = {target.repo_id.casefold() for target in targets}
        earlier = [
            Target(record["repo_id"], unselected.get(key), record=record, stage_before=record.get("stage"))
            for key, record in journal.earlier.items()
            if key not in keys
        ]
        self._task.read_runtimes([target for target in earlier if target.runtime is None])
        changed = [each for each in earlier if each.runtime and self._task.is_done(each, each.runtime)]
        return sorted([*targets, *changed], key=lambda target: target.repo_id.casefold())

    def _judge(self, targets: Sequence[Target], journal: Journal, prices: PriceList | None) -> list[Target]:
        """Complete the entries of the Spaces to leave alone, and return the others."""
        todo = []
        for target in targets:
            target.entry = {"repo_id": target.repo_id, "outcome": None, "reason": None}
            target.entry.update(self._task.describe(target, prices), at=now())
            earlier = journal.record_of(target.repo_id)
            target.stage_before = (earlier or target.entry).get("stage")
            if target.runtime is None:
                self._fail(target, target.problem or LookupError("The Hub returned no runtime."))
            elif earlier and self._task.is_done(target, target.runtime):
                target.entry.update({**earlier, "outcome": self._task.done})
                self._task.complete_entry(target)
            elif reason := self._task.reason_to_leave(target, target.runtime):
                target.entry.update(outcome=LEFT_ALONE, reason=reason)
            else:
                todo.append(target)
        return todo

    def _change_all(self, todo: list[Target], journal: Journal, prices: PriceList | None) -> None:
        looks = 1 if self._task.respect_leases and not self._leases.is_shared else 0
        quota = Quota(self._task.hook.client.budget, per_item=1 + looks)
        progress = Progress(self._task.verb, len(todo), self._task.log.info, waits=quota.seconds_for)
        sender = queue_client(self._task.hook.client, self._task.killed, self._task.max_parallel)

        def prepare(batch: Sequence[Target]) -> list[Target]:
            remaining = list(batch)
            if time.monotonic() - self._read_at > self._task.fresh_seconds:
                self._read_at = time.monotonic()
                remaining = self._judge(self._task.read_runtimes(remaining), journal, prices)
                for _ in range(len(batch) - len(remaining)):
                    progress.count()
            if remaining and self._task.respect_leases:
                self._leases.list(remaining[0].repo_id)
            journal.write({target.repo_id: target.details for target in remaining})
            self._task.before_requests(remaining)
            return remaining

        try:
            for result in in_parallel(
                todo,
                lambda target: self._change(sender, target),
                quota=quota,
                parallel=self._task.max_parallel,
                stop=self._task.killed,
                prepare=prepare,
                batch=self._task.batch_size,
            ):
                target = result.item
                target.entry["at"] = now()
                if result.error is not None:
                    self._fail(target, result.error)
                elif result.value:
                    target.entry["outcome"] = self._task.done
                    self._task.complete_entry(target)
                else:
                    target.entry.update(outcome=LEFT_ALONE, reason=f"already {self._task.done}")
                progress.count(failed=target.outcome == FAILED)
        finally:
            sender.close()
        if todo:
            self._task.log.info("%s.", progress)

    def _change(self, sender: HubClient, target: Target) -> bool:
        """Change one Space; False if it was changed already before any request was sent."""

        def is_done(runtime: SpaceRuntime) -> bool:
            return self._task.is_done(target, runtime)

        if target.unsure and is_done(sender.send(calls.get_runtime(target.repo_id))):
            return True
        if self._task.respect_leases:
            self._leases.check(sender, target.repo_id)
        steps = plan_change(self._task.call(target), is_done, patience=HURRIED, log=self._task.log)
        try:
            execute(steps, sender.send, sleep=stoppable_sleep(self._task.killed))
            return True
        except HubError as error:
            target.unsure |= error.outcome_unknown
            if not isinstance(error, HubBadRequest):
                raise
            # The list may be older than a change by somebody else, after which the Hub rejects this one.
            if not is_done(sender.send(calls.get_runtime(target.repo_id))):
                raise
            return target.unsure or error.tries > 1

    def find_leased(self, targets: Sequence[Target]) -> None:
        """Mark the Spaces that a run has leased, and give that as the reason to leave them alone."""
        if self._task.respect_leases:
            for result in self._leases.check_all(targets, self._task.killed, self._task.max_parallel):
                self._fail(result.item, result.error or LookupError())

    @cached_property
    def _leases(self) -> FleetLeases:
        return FleetLeases(self._task.hook)

    def _fail(self, target: Target, error: Exception) -> None:
        if leased := reason_of(error):
            target.leased = True
            target.entry.update(outcome=LEFT_ALONE, reason=leased)
            return
        target.problem = error
        if isinstance(error, SpaceNotFound) and not target.named:
            target.entry.update(outcome=LEFT_ALONE, reason="it no longer exists")
        else:
            target.entry.update(outcome=FAILED, reason=str(error))

    def _finish(
        self, targets: Sequence[Target], journal: Journal, prices: PriceList | None, context: Context
    ) -> dict[str, Any]:
        """Log the summary, and return the report or fail with it."""
        entries = [target.entry for target in targets if target.outcome]
        outcome = f"would be {self._task.done}" if self._task.changes_nothing else self._task.done
        failed = [target for target in targets if target.outcome == FAILED]
        report = {
            "action": self._task.action,
            "dry_run": self._task.changes_nothing,
            "at": now(),
            "owner": self._task.author or only_owner(entries),
            "spaces": entries,
            **self._task.totals(entries, outcome),
            "failed": len(failed),
            "prices_as_of": prices.as_of.isoformat() if prices else None,
        }
        table = summary(report, outcome, self._task.figure, self._task.column)
        self._task.log.info("%s%s", self._task.headline(entries, outcome), table)
        for target in failed[:_MAX_LOGGED_FAILURES]:
            self._task.log.error("Space %s: %s", target.repo_id, target.entry["reason"])
        if len(failed) > _MAX_LOGGED_FAILURES:
            self._task.log.error("And %d more, listed in the report.", len(failed) - _MAX_LOGGED_FAILURES)
        if self._task.killed.is_set():
            self._task.push_report(context, report)
            raise FleetIncomplete(
                f"The task was stopped after {len(entries):,} of {len(targets):,} Spaces. The other Spaces "
                f"are unchanged."
            )
        if failed and self._task.fail_on_error:
            self._task.push_report(context, report)
            raise failure(failed, len(targets))
        if not self._task.changes_nothing:
            journal.forget()
        return report
