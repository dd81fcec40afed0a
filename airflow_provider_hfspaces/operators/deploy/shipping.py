"""One try of a deployment: what it reads, checks, commits and undoes, without waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.hooks.hfspaces import describe
from airflow_provider_hfspaces.hub.calls import create_space
from airflow_provider_hfspaces.hub.checks import InvalidInput, checked_sha, is_commit
from airflow_provider_hfspaces.hub.choices import SDKS
from airflow_provider_hfspaces.hub.desired import plan_pause
from airflow_provider_hfspaces.hub.errors import HubError, SpaceNotFound
from airflow_provider_hfspaces.hub.stages import IDLE_STAGES, REACHABLE_STAGES, SpaceStage
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.operators.creation import Creation
from airflow_provider_hfspaces.operators.deploy.credentials import refuse_credentials
from airflow_provider_hfspaces.operators.deploy.leases import refuse_leased
from airflow_provider_hfspaces.operators.deploy.record import (
    COMMITTING,
    DEPLOY,
    ROLLING_BACK,
    WAITING,
    Deployment,
    marker_of,
)
from airflow_provider_hfspaces.operators.deploy.report import log_changes
from airflow_provider_hfspaces.operators.deploy.repository import (
    Changes,
    SpaceRepository,
    StaleParent,
    compared,
)
from airflow_provider_hfspaces.operators.deploy.source import Source, open_source
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["Order", "Shipping"]

_CREATE = "create"
"""The retry store's key for a Space whose creation was requested and is not yet confirmed."""


@dataclass(frozen=True)
class Order:
    """What a task was asked to ship, with rendered arguments.

    :ivar base: the folder that a relative source starts from.
    :ivar options: the settings of a new Space, as for ``HfSpacesHook.create_space``; ``sdk`` may be ``None``.
    """

    source: str
    base: Path | None
    ignore: list[str]
    delete: bool | list[str]
    allow_secrets: list[str]
    parent_commit: str | None
    title: str
    waits: bool
    create: bool
    options: Mapping[str, Any] = field(repr=False)


class Shipping:
    """The dealings of one try with the source, the repository and the Space.

    :param order: what to ship.
    :ivar committed_at: a moment shortly before the commit, in seconds since 1970 by the Hub's clock; ``None``
        without a commit.
    """

    def __init__(self, hook: HfSpacesHook, repo_id: str, order: Order, context: Context, log: Any) -> None:
        self.repo_id = repo_id
        self._hook, self._order, self._context, self._log = hook, order, context, log
        self._store = retry_store(context)
        self.committed_at: float | None = None

    @cached_property
    def _repository(self) -> SpaceRepository:
        return SpaceRepository(self._hook, self.repo_id)

    def recorded(self) -> Deployment | None:
        """Return the deployment that an earlier try of this task has begun."""
        deployment = Deployment.from_dict(self._store.get(DEPLOY))
        return deployment if deployment is not None and deployment.repo_id == self.repo_id else None

    def forget(self) -> None:
        """Delete the record, so that the next try deploys anew."""
        self._store.delete(DEPLOY)

    def preview(self) -> dict[str, Any]:
        """Log and return what a deployment would change."""
        with self._open_source() as source:
            exists = self._creation().existing() is not None
            remote = self._repository.files(self._repository.head()) if exists else {}
            changes = compared(source, remote, self._order.delete)
        if not exists:
            self._refuse_missing()
            self._log.info("Space %s would be created (%s).", self.repo_id, self._order.options["visibility"])
        log_changes(self._log, self.repo_id, changes, source, "would be sent")
        return {
            "repo_id": self.repo_id,
            "dry_run": True,
            "create": not exists,
            "changed_files": [file.path for file in changes.sent],
            "deleted_files": list(changes.deleted),
            "bytes": sum(file.size for file in changes.sent),
        }

    def ship(self, earlier: Deployment | None) -> tuple[SpaceRuntime, Deployment]:
        """Commit what differs. Returns the runtime before that, and the deployment.

        :param earlier: the deployment that an earlier try has begun.
        """
        began = earlier.began if earlier else time.time()
        with self._open_source() as source:
            created = self._create(source) or (earlier is not None and earlier.created)
            before = self._hook.get_runtime(self.repo_id)
            self._refuse_paused(before)
            refuse_leased(self._hook, self.repo_id, self._context)
            head = self._repository.head()
            deployment = self._own_commit(earlier, head)
            changes = compared(source, self._repository.files(head), self._order.delete)
            if deployment is None:
                deployment = Deployment(
                    self.repo_id,
                    head,
                    COMMITTING,
                    began,
                    created=created,
                    can_go_back=not created and (before.is_static or before.stage in REACHABLE_STAGES),
                )
            if changes:
                deployment = self._commit(deployment, changes, source, head)
            elif deployment.sha is None:
                self._log.info("Space %s: the source is unchanged, nothing to commit.", self.repo_id)
                deployment = replace(deployment, sha=head)
        deployment = replace(deployment, phase=WAITING)
        self._store.set(DEPLOY, deployment.to_dict())
        return before, deployment

    def goal(self, deployment: Deployment, before: SpaceRuntime) -> tuple[Goal, SpaceRuntime | None]:
        """Return what to wait for, and the runtime that the Hub may still report for a moment.

        Starts a Space that does not run although its repository needs no commit.
        """
        if before.is_static:
            self._log.info("Space %s is static: the Hub serves its last commit at once.", self.repo_id)
            return Goal(), None
        if before.dev_mode:
            self._log.warning(
                "Space %s is in dev mode, in which a commit does not rebuild it. Turn dev mode off, as "
                "SetDevModeOperator does.",
                self.repo_id,
            )
        goal = Goal(sha=deployment.sha)
        if goal.is_reached_by(before):
            return goal, None
        if deployment.committed:
            return goal, before
        if before.stage in IDLE_STAGES:
            self._log.info("Space %s is %s. Restarting it.", self.repo_id, describe(before))
            self._hook.restart(self.repo_id, runtime=before)
            return goal, before
        return goal, None

    def can_roll_back(self, deployment: Deployment) -> bool:
        """Return whether the previous commit can be restored; log the reason if not."""
        if not deployment.committed:
            reason = "this task made no commit"
        elif not deployment.can_go_back:
            reason = "no app ran before"
        else:
            return True
        self._log.warning("Space %s is not rolled back: %s.", self.repo_id, reason)
        return False

    def roll_back(self, deployment: Deployment) -> tuple[SpaceRuntime, Deployment, str]:
        """Restore the content of the previous commit in a new commit.

        Returns the runtime before that, the deployment, and the new commit.
        """
        deployment = replace(deployment, phase=ROLLING_BACK)
        self._store.set(DEPLOY, deployment.to_dict())
        self._log.warning("%s", deployment.failure)
        before = self._hook.get_runtime(self.repo_id)
        failed, parent = str(deployment.sha), deployment.parent
        marker = marker_of(self._context, "rollback", failed)
        sha = self._repository.find(marker)
        if sha is None:
            self._log.warning("Rolling Space %s back to the content of commit %s.", self.repo_id, parent[:7])
            try:
                sha = self._committed(
                    marker,
                    lambda: self._repository.restore(
                        parent,
                        over=failed,
                        title=f"Roll back to {parent[:7]}",
                        description=self._description(f"Commit {failed[:7]} does not serve.", marker),
                    ),
                )
            except StaleParent:
                self.forget()
                raise AirflowFailException(
                    f"{deployment.failure} The Space is not rolled back: somebody has pushed to it since."
                ) from None
        self._log.warning("Space %s: commit %s has the content of %s.", self.repo_id, sha[:7], parent[:7])
        return before, deployment, sha

    def pause(self) -> None:
        """Pause the Space."""
        self._hook.execute(plan_pause(self.repo_id))

    @contextmanager
    def _open_source(self) -> Iterator[Source]:
        order = self._order
        with open_source(order.source, base=order.base, ignore=order.ignore) as source:
            refuse_credentials(source, order.allow_secrets)
            self._check_options()
            self._log.info(
                "Source %s has %s files (%s bytes); %s entries are ignored.",
                source.name,
                len(source.files),
                f"{source.size:,}",
                source.ignored,
            )
            yield source

    def _check_options(self) -> None:
        """Check all arguments, before anything is sent."""
        if self._order.parent_commit is not None:
            checked_sha(self._order.parent_commit)
        options = {**self._order.options, "hardware": None}  # checked with the Hub's list, if it is needed
        create_space(self.repo_id, **{**options, "sdk": options["sdk"] or SDKS[0]})

    def _create(self, source: Source) -> bool:
        """Create the Space if it does not exist. Returns whether this task created it."""
        creation = self._creation()
        if creation.existing() is None:
            self._refuse_missing()
        elif self._store.get(_CREATE) is None:
            return False
        options = {**self._order.options, "sdk": self._required_sdk(source)}

        def send() -> None:
            self._log.info("Creating Space %s (%s, %s).", self.repo_id, options["sdk"], options["visibility"])
            self._hook.create_space(self.repo_id, **options)

        return creation.run(send, exist_ok=True)

    def _refuse_missing(self) -> None:
        """Refuse a Space that does not exist if it may not be created, or was renamed."""
        try:
            current = self._hook.get_space(self.repo_id, expand="sha").id
        except SpaceNotFound:
            if self._order.create:
                return
            raise AirflowFailException(
                f"Space {self.repo_id} does not exist. Nothing was sent. Check the repo_id, or set "
                f"create=True."
            ) from None
        raise AirflowFailException(
            f"Space {self.repo_id} was renamed to {current}. Nothing was sent. Set repo_id to {current}."
        )

    def _creation(self) -> Creation:
        return Creation(
            self._hook,
            self._store,
            self._log,
            key=_CREATE,
            repo_id=self.repo_id,
            request={"repo_id": self.repo_id},
            private=self._order.options["visibility"] == "private",
        )

    def _required_sdk(self, source: Source) -> str:
        sdk = self._order.options["sdk"] or source.sdk()
        if sdk is None:
            raise InvalidInput(
                f"sdk is needed to create Space {self.repo_id}: set it to gradio, docker or static, or let "
                f"the README.md of the source begin with metadata that names it."
            )
        return str(sdk)

    def _refuse_paused(self, before: SpaceRuntime) -> None:
        if before.stage == SpaceStage.PAUSED and self._order.waits:
            raise AirflowFailException(
                f"Space {self.repo_id} is paused, and a commit does not start it. Nothing was sent. Restart "
                f"it first, or set wait=False to ship without starting it."
            )

    def _own_commit(self, earlier: Deployment | None, head: str) -> Deployment | None:
        """The deployment of an earlier try with its commit, if it made one; checks ``parent_commit``."""
        if earlier is not None:
            sha = earlier.sha if earlier.committed else self._repository.find(self._marker(earlier.parent))
            if sha is not None and sha == head:
                self._log.info("Space %s: commit %s was made by an earlier try.", self.repo_id, sha[:7])
                return replace(earlier, sha=sha, committed=True)
            if sha is not None:
                self.forget()
                raise AirflowFailException(
                    f"Space {self.repo_id}: an earlier try of this task has made commit {sha[:7]}, and "
                    f"somebody has pushed {head[:7]} since. Clear the task to deploy the source again."
                )
        wanted = self._order.parent_commit
        if wanted is not None and not is_commit(head, checked_sha(wanted)):
            raise AirflowFailException(
                f"Space {self.repo_id} is at commit {head[:7]}, not at parent_commit {wanted[:7]}: somebody "
                f"has pushed to it. Nothing was sent. Merge that commit into the source, or deploy without "
                f"parent_commit."
            )
        return None

    def _commit(self, deployment: Deployment, changes: Changes, source: Source, head: str) -> Deployment:
        log_changes(self._log, self.repo_id, changes, source, "are sent")
        if deployment.sha is not None:
            self._log.warning("Space %s: the source has changed since the earlier try.", self.repo_id)
        deployment = replace(deployment, phase=COMMITTING, sha=None, committed=False).with_paths(
            [file.path for file in changes.sent], list(changes.deleted)
        )
        marker = self._marker(head)
        self._store.set(DEPLOY, replace(deployment, parent=head).to_dict())
        self._log.info("Committing to Space %s.", self.repo_id)
        try:
            sha = self._committed(
                marker,
                lambda: self._repository.commit(
                    changes,
                    title=self._order.title,
                    description=self._description(f"Source: {source.name}", marker),
                    parent=head,
                ),
            )
        except StaleParent as error:
            if self._order.parent_commit is None:
                raise
            raise AirflowFailException(str(error)) from None
        if sha == head:
            self._log.info("Space %s: the Hub's own ignore rules leave nothing to commit.", self.repo_id)
            return replace(deployment, sha=head).with_paths([], [])
        self._log.info("Space %s: made commit %s.", self.repo_id, sha)
        return replace(deployment, sha=sha, committed=True)

    def _committed(self, marker: str, send: Callable[[], str]) -> str:
        """Send a commit. After a lost answer, find out whether the Hub has made it.

        :raises StaleParent: if somebody has pushed since the repository was read.
        """
        self.committed_at = self._hook.client.hub_time
        try:
            return send()
        except HubError as error:
            # A second try of a request whose answer was lost meets the commit of the first as a push.
            is_uncertain = error.outcome_unknown or isinstance(error, StaleParent)
            sha = self._repository.find(marker) if is_uncertain else None
            if sha is None:
                raise
            self._log.warning("%s Commit %s exists, and was made by this task.", error, sha[:7])
            return sha

    def _marker(self, parent: str) -> str:
        return marker_of(self._context, self.repo_id, parent)

    def _description(self, text: str, marker: str) -> str:
        ti = self._context["ti"]
        return f"{text}\n\nAirflow: DAG {ti.dag_id}, run {ti.run_id}, task {ti.task_id}\n{marker}"
