"""Notifiers that pause or restore a Space when a pipeline fails or is late.

Come here to change how a notifier runs as a callback, and what it logs when it fails.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import BaseNotifier, Context
from airflow_provider_hfspaces.compat.server import callback_may_read_xcoms, in_thread

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.http.sequence import Steps

__all__ = ["PauseSpaceNotifier", "RestoreHardwareNotifier", "SpaceNotifier"]


class SpaceNotifier(BaseNotifier):
    """Base of the notifiers that change a Space.

    Use a notifier as ``on_failure_callback``, ``on_retry_callback`` or another callback of tasks and DAGs.
    Since Airflow 3.1 deadline alerts take it too: as ``AsyncCallback``, in the triggerer, and since 3.3 as
    ``SyncCallback``, in the executor. Prefer ``AsyncCallback``: Airflow 3.3 lets a ``SyncCallback`` read
    connections from environment variables and secrets backends only, and none from its database.

    The log of the process that runs the callback says what the notifier did: the task's log for the callback
    of a task, the DAG processor's for that of a DAG (Airflow 2.11: the scheduler's), the triggerer's or
    the executor's for a deadline. If the notifier fails, the log says what to do. As the callback of a task
    or a DAG it raises nothing, so that it does not hide the failure that it was called for. As the callback
    of a deadline it raises, so that Airflow marks the callback as failed.

    :param repo_id: the Space, as ``owner/name``, as a name alone where the connection has a
        namespace, or as the address of its page. Templated; templates of a deadline alert
        can use ``dag_run``, ``run_id`` and ``deadline`` only.
    :param hf_spaces_conn_id: the connection to the Hub. Templated.
    :param timeout: seconds for which requests to a Hub that does not answer are retried (default 30).
    """

    template_fields: Sequence[str] = ("repo_id", "hf_spaces_conn_id")

    consequence = "nothing was done to Space {repo_id}: look at {page}"
    """What follows from a failure of the notifier, and the remedy, for the log."""

    def __init__(
        self,
        repo_id: str,
        *,
        hf_spaces_conn_id: str = "hf_spaces_default",
        timeout: float = 30.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.repo_id = repo_id
        self.hf_spaces_conn_id = hf_spaces_conn_id
        self.timeout = timeout

    def __call__(self, *args: Any) -> None:
        """Run as a callback: render the templates and call :meth:`notify`.

        Works on a copy, because rendering changes the notifier and many tasks may share one.
        """
        from airflow_provider_hfspaces.notifications.occasion import is_deadline, with_run_id

        context = with_run_id(args[0])
        rendered = copy.copy(self)
        try:
            super(SpaceNotifier, rendered).__call__(context)
        except Exception as error:
            if is_deadline(context):
                raise
            # notify() logs its own errors: this is a template that cannot be rendered.
            self._report(error, context)

    def __await__(self) -> Generator[Any, Any, None]:
        """Run as the callback of a deadline alert, in the triggerer: :meth:`async_notify`."""
        from airflow_provider_hfspaces.notifications.occasion import with_run_id

        rendered = copy.copy(self)
        rendered.context = with_run_id(self.context)
        return super(SpaceNotifier, rendered).__await__()

    def notify(self, context: Context) -> None:
        """Change the Space, from a worker, the DAG processor or an executor."""
        from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
        from airflow_provider_hfspaces.hub.http.sequence import execute

        hook = HfSpacesHook(self.hf_spaces_conn_id)
        try:
            repo_id = hook.repo_id(self.repo_id)
            steps = self.steps(repo_id, context, hook)
            with hook.client_within(self.timeout) as client:
                execute(steps, client.send)
        except Exception as error:
            self._remember(error, context)
            self._report(error, context, hook)

    async def async_notify(self, context: Context) -> None:
        """Change the Space, from the event loop of the triggerer, without blocking the loop."""
        hook, aexecute = await in_thread(_prepared, self.hf_spaces_conn_id)
        try:
            await hook.read_connection()
            repo_id = hook.repo_id(self.repo_id)
            steps = await in_thread(self.steps, repo_id, context, hook, True)
            async with await hook.async_client(within=self.timeout) as client:
                await aexecute(steps, client.send)
        except Exception as error:
            await in_thread(self._remember, error, context, True)
            self._report(error, context, hook, in_triggerer=True)

    @abstractmethod
    def steps(
        self, repo_id: str, context: Mapping[str, Any], hook: HfSpacesHook, in_triggerer: bool = False
    ) -> Steps[None]:
        """Return the plan to execute. What the plan needs from Airflow is read before this method returns."""

    def _remember(self, error: Exception, context: Mapping[str, Any], in_triggerer: bool = False) -> None:
        """Keep the state of a Space that could only be paused, where Airflow answers callbacks."""
        from airflow_provider_hfspaces.hub.desired import RestoreRejected
        from airflow_provider_hfspaces.state.last_resort import remember_pause

        if isinstance(error, RestoreRejected) and callback_may_read_xcoms(context, in_triggerer=in_triggerer):
            remember_pause(error)

    def _report(
        self,
        error: Exception,
        context: Mapping[str, Any],
        hook: HfSpacesHook | None = None,
        in_triggerer: bool = False,
    ) -> None:
        """Log the error and the remedy. In the callback of a deadline, raise the error."""
        from airflow_provider_hfspaces.hub.checks import InvalidInput
        from airflow_provider_hfspaces.hub.desired import RestoreRejected
        from airflow_provider_hfspaces.hub.errors import HubError
        from airflow_provider_hfspaces.notifications.occasion import is_deadline

        if isinstance(error, RestoreRejected):
            # The Space costs no more than before, and the message says what to do.
            self.log.error("%s", error)
            if is_deadline(context):
                raise error
            return
        message = (
            str(error) if isinstance(error, (HubError, InvalidInput)) else f"{type(error).__name__}: {error}"
        )
        # If the connection was not read, reading it here could block the event loop.
        connected = hook is not None and hook.has_read_connection
        page = "its page"
        if hook is not None and connected:
            with suppress(InvalidInput):
                page = f"{hook.page_url(self.repo_id)}/settings"
        remedy = self.consequence.format(repo_id=self.repo_id, page=page)
        if is_deadline(context) and hook is not None and not (connected or in_triggerer):
            remedy += ". A SyncCallback may read no connection from Airflow's database: use an AsyncCallback"
        self.log.error("%s Therefore %s.", message if message.endswith(".") else f"{message}.", remedy)
        if is_deadline(context):
            raise error


class PauseSpaceNotifier(SpaceNotifier):
    """Pause a Space when a task or a DAG fails, or a run is late. A paused Space costs nothing.

    ::

        on_failure_callback=PauseSpaceNotifier("acme/whisper")

    A Space that is already paused or static is left alone, and so is a Space that another run has leased,
    because that run restores it. The pause affects all users: other runs that use the Space without a lease
    lose it, and the Space stays paused until its owner restarts it.

    The parameters are those of :class:`SpaceNotifier`. Endpoint: ``POST /api/spaces/{repo_id}/pause``.
    """

    consequence = "Space {repo_id} was not paused and may keep costing money: pause it at {page}"

    def steps(
        self, repo_id: str, context: Mapping[str, Any], hook: HfSpacesHook, in_triggerer: bool = False
    ) -> Steps[None]:
        from airflow_provider_hfspaces.notifications.occasion import describe_occasion
        from airflow_provider_hfspaces.notifications.plans import pause_and_log
        from airflow_provider_hfspaces.notifications.recorded import read_lease

        lease = read_lease(context, repo_id, self.log, hook=hook, timeout=self.timeout)
        return pause_and_log(repo_id, lease, describe_occasion(context), self.log)


class RestoreHardwareNotifier(SpaceNotifier):
    """Restore a Space's hardware, sleep time, replicas and pause when a task or a DAG fails or is late.

    ::

        on_failure_callback=RestoreHardwareNotifier("acme/whisper", from_task="snapshot")

    Follows the policy of :class:`~airflow_provider_hfspaces.operators.hardware.RestoreHardwareOperator`:
    it sends no request for what has not changed, leaves a Space paused that a user paused in the meantime,
    and pauses the Space if the Hub rejects both the recorded hardware and ``fallback``. It looks for the
    recorded state in this order:

    1. the lease of the Space that this run holds;
    2. what ``from_task`` recorded in this run or, without ``from_task``, the earliest record of a
       :class:`~airflow_provider_hfspaces.operators.hardware.SnapshotSpaceOperator` or
       :class:`~airflow_provider_hfspaces.operators.hardware.RequestHardwareOperator` of the run;
    3. the lease of the Space, if a run that has ended left it behind;
    4. otherwise the Space moves to ``fallback`` and keeps its sleep time.

    A Space that another run has leased is left to that run.

    Airflow does not let every callback read XComs. Callbacks of tasks may on every version, those of DAGs on
    every version but 3.0. The ``AsyncCallback`` of a deadline may if ``from_task`` names the task, because it
    does not know the other tasks of the DAG. The ``SyncCallback`` of a deadline may not. Callbacks that may
    not read XComs use the lease, or fall back.

    :param repo_id: the Space, as ``owner/name``, as a name alone where the connection has a
        namespace, or as the address of its page. Templated.
    :param from_task: id of the task that recorded the state, or the operator itself (default: any task).
        Inside a task group the id may be given without the prefix of the group, except for a deadline.
        Templated.
    :param fallback: the hardware if nothing was recorded or the Hub rejects what was recorded (default
        ``cpu-basic``). Templated.
    :param hf_spaces_conn_id: the connection to the Hub. Templated.
    :param timeout: seconds for which requests to a Hub that does not answer are retried (default 30).
    """

    template_fields: Sequence[str] = (*SpaceNotifier.template_fields, "from_task", "fallback")

    consequence = "Space {repo_id} was not restored and may keep costing money: choose its hardware at {page}"

    def __init__(
        self, repo_id: str, *, from_task: Any = None, fallback: str = "cpu-basic", **kwargs: Any
    ) -> None:
        super().__init__(repo_id, **kwargs)
        self.from_task: str | None = getattr(from_task, "task_id", from_task)
        self.fallback = fallback

    def steps(
        self, repo_id: str, context: Mapping[str, Any], hook: HfSpacesHook, in_triggerer: bool = False
    ) -> Steps[None]:
        from airflow_provider_hfspaces.notifications.occasion import describe_occasion
        from airflow_provider_hfspaces.notifications.plans import restore_and_log
        from airflow_provider_hfspaces.notifications.recorded import find_recorded_state

        recorded = find_recorded_state(
            context,
            repo_id,
            self.from_task,
            self.log,
            hook=hook,
            timeout=self.timeout,
            in_triggerer=in_triggerer,
        )
        return restore_and_log(repo_id, recorded, self.fallback, describe_occasion(context), self.log)


def _prepared(hf_spaces_conn_id: str) -> Any:
    """Import, in a thread, what would block the event loop."""
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.http import aio  # noqa: F401
    from airflow_provider_hfspaces.hub.http.sequence import aexecute
    from airflow_provider_hfspaces.notifications import plans  # noqa: F401

    return HfSpacesHook(hf_spaces_conn_id), aexecute
