"""The janitor: restore the Spaces whose lease was left behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.fleet.selecting import SafetyNetOperator
from airflow_provider_hfspaces.rendered import as_list

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, LeaseRecord
    from airflow_provider_hfspaces.state.leases import LeaseOwner, Owners

__all__ = ["RestoreAbandonedLeasesOperator"]


class RestoreAbandonedLeasesOperator(SafetyNetOperator):
    """Restore the Spaces on paid hardware whose leases have no task left that restores them.

    ::

        RestoreAbandonedLeasesOperator(task_id="leases", author="acme")

    The second safety net, in addition to the sleep time. A lease is restored if its holder has abandoned it,
    if the holder's run or its restore task has ended, if the holder's DAG is paused or gone and no task of
    the run is running, or if the lease has expired. Run it every ten minutes.

    Returns a list of ``{"repo_id", "reason", "hardware", "outcome", "error", "cost_usd", "billed_seconds",
    "billed_hardware"}``, one for each such Space. An outcome is ``restored``, ``would be restored``, ``left
    alone`` (a run has leased the Space since) or ``failed``. The task fails if a Space failed.

    What the lease cost, from its request to the restore, is an estimate from list prices; it is ``None`` if
    the lease does not say when its hardware was requested. The cost page counts it for the DAG of the run.

    :param dry_run: change nothing and report what would be restored (default False).
    :param fallback: the hardware to move to if the Hub rejects the recorded one (default ``cpu-basic``).
        Templated.
    """

    template_fields: Sequence[str] = (*SafetyNetOperator.template_fields, "fallback")

    done = "restored"
    nothing_left = "No lease was left behind."

    def __init__(self, *, fallback: str = "cpu-basic", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fallback = fallback

    def entries(self, context: Context) -> Iterator[dict[str, Any]]:
        """Restore one Space after the other, and yield its entry in the report."""
        from airflow_provider_hfspaces.state.leases import LeaseOwner

        owner = LeaseOwner.from_task_instance(context["ti"])
        for repo_id, reason in self._left_behind().items():
            yield self.restore_space(repo_id, reason, owner)

    def _left_behind(self) -> dict[str, str]:
        """The Spaces to restore, each with the reason."""
        from airflow_provider_hfspaces.state.leases import Owners

        owners, reasons = Owners(), {}
        for repo_id, record in self.leases(self.billable()).items():
            if isinstance(record, Exception):
                self.log.error("Space %s: its lease could not be read. %s", repo_id, record)
            elif reason := self.reason(record, owners):
                reasons[repo_id] = reason
        return reasons

    def leases(self, repo_ids: list[str]) -> dict[str, LeaseRecord | Exception]:
        """The lease of each Space, or the error of reading it.

        One request for a Space that was never leased, or for all of them if one repository keeps the leases.
        """
        from airflow_provider_hfspaces.state.fleet_leases import FleetLeases

        return FleetLeases(self.hook).read_all(repo_ids, self.killed)

    def billable(self) -> list[str]:
        """The Spaces that can cost money: those set to paid hardware."""
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

        if self.repo_ids is not None:
            return [self.hook.repo_id(each) for each in as_list(self.repo_ids)]
        selection = self.selection()
        return [
            space.id
            for space in self.listed()
            if selection.matches_name(space)
            and (space.runtime is None or space.runtime.configured_hardware not in FREE_HARDWARE)
        ]

    def reason(self, record: LeaseRecord, owners: Owners) -> str | None:
        """Why the Space of a record has to be restored; ``None`` if nothing was left behind."""
        from airflow_provider_hfspaces.hub.errors import HubError
        from airflow_provider_hfspaces.state.release import has_late_request, reason_to_release

        reason = reason_to_release(record, owners)
        if reason is None or record.current is not None:
            return reason
        try:
            return reason if has_late_request(record, self.hook.get_runtime(record.repo_id)) else None
        except HubError as error:
            self.log.warning("%s Whether its lease was left behind is looked at again.", error)
            return reason

    def _describe(self, holder: LeaseHolder, owners: Owners) -> str:
        from airflow_provider_hfspaces.state.leases import describe_holder

        return describe_holder(holder, owners)

    def restore_space(
        self, repo_id: str, reason: str, owner: LeaseOwner | None, *, force: bool = False
    ) -> dict[str, Any]:
        """Restore one Space, and return its entry in the report.

        :param reason: why the Space has to be restored.
        :param owner: the task that restores it; ``None`` for a command.
        :param force: release the lease of a run that is at work, too.
        """
        from airflow_provider_hfspaces.hub.checks import InvalidInput
        from airflow_provider_hfspaces.hub.cost.runs import RESULT_KEYS
        from airflow_provider_hfspaces.hub.errors import HubError
        from airflow_provider_hfspaces.hub.lease.actions import LeaseLost, SpaceLeased
        from airflow_provider_hfspaces.operators.fleet.target import FAILED, GIVEN_BACK, LEFT_ALONE
        from airflow_provider_hfspaces.state.leases import Owners
        from airflow_provider_hfspaces.state.release import NotLeased, release_lease

        entry: dict[str, Any] = {
            "repo_id": repo_id,
            "reason": reason,
            "hardware": None,
            "error": None,
            **dict.fromkeys(RESULT_KEYS),
        }
        self.log.warning("Space %s: its lease is %s.", repo_id, reason)
        if self.changes_nothing:
            return {**entry, "outcome": "would be restored"}
        try:
            released = release_lease(
                self.hook, repo_id, owner=owner, fallback=self.fallback, force=force, log=self.log
            )
            entry["hardware"] = released.hardware
        except NotLeased as error:
            self.log.info("%s", error)
            return {**entry, "outcome": LEFT_ALONE, "reason": GIVEN_BACK}
        except (SpaceLeased, LeaseLost) as error:
            holder = error.holder if isinstance(error, SpaceLeased) else error.current
            who = self._describe(holder, Owners()) if holder else "another run"
            self.log.info("Space %s was leased by %s in the meantime: left alone.", repo_id, who)
            return {**entry, "outcome": LEFT_ALONE, "reason": f"leased by {who}"}
        except (HubError, InvalidInput) as error:
            self.log.error("Space %s could not be restored: %s", repo_id, error)
            return {**entry, "outcome": FAILED, "error": str(error)}
        cost = released.cost.to_result() if released.cost is not None else {}
        return {**entry, **cost, "outcome": "restored"}
