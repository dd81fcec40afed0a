"""Notifiers: a failed or late pipeline does not leave its Space burning money."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import BaseNotifier, Context
from airflow_provider_hfspaces.compat.server import in_thread

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.http.sequence import Steps

__all__ = ["PauseSpaceNotifier", "RestoreHardwareNotifier", "SpaceNotifier"]


class SpaceNotifier(BaseNotifier):
    """Base of the notifiers that do something to a Space.

    For ``on_failure_callback``, ``on_retry_callback`` and the like of tasks and DAGs and, from Airflow
    3.1 on, for deadline alerts: as ``AsyncCallback`` in the triggerer and, from 3.3 on, as
    ``SyncCallback`` in the executor. Prefer the first: Airflow 3.3 lets a ``SyncCallback`` read no
    connection from Airflow's database, only those of environment variables and secrets backends.

    What it did is in the log of the place where Airflow ran it: of the task for a task's callback, of
    the DAG processor for a DAG's (Airflow 2.11: of the scheduler), of the triggerer or the executor for
    a deadline's. Where it failed, the log says what to do. As a task's or DAG's callback it raises
    nothing, so that nothing stands between the reader and the failure that it was called for; as a
    deadline's it raises, so that Airflow notes the callback as failed.

    :param repo_id: the Space, as ``owner/name``, as a name alone where the connection has a
        namespace, or as the address of its page. Templated; a deadline alert has nothing but
        ``dag_run``, ``run_id`` and ``deadline`` for templates.
    :param hf_spaces_conn_id: the connection to the Hub. Templated.
    :param timeout: seconds for which a Hub that does not answer is asked again.
    """

    template_fields: Sequence[str] = ("repo_id", "hf_spaces_conn_id")

    failed = "nothing was done to Space {repo_id}: look at {page}"
    """What that means and what to do, where it failed."""

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
        """Be a callback, which gets the context: render the templates and :meth:`notify`.

        One notifier may serve many tasks in one process, and rendering writes into it: hence the copy.
        """
        from airflow_provider_hfspaces.notifications.occasion import filled, is_deadline

        context = filled(args[0])
        rendered = copy.copy(self)
        try:
            super(SpaceNotifier, rendered).__call__(context)
        except Exception as error:
            if is_deadline(context):
                raise
            # What notify() raises it has told of already: this is a template that cannot be rendered.
            self._tell(error, context)

    def __await__(self) -> Generator[Any, Any, None]:
        """Be the callback of a deadline alert, in the triggerer: :meth:`async_notify`."""
        from airflow_provider_hfspaces.notifications.occasion import filled

        rendered = copy.copy(self)
        rendered.context = filled(self.context)
        return super(SpaceNotifier, rendered).__await__()

    def notify(self, context: Context) -> None:
        """Do it, in a worker, the DAG processor or an executor."""
        from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
        from airflow_provider_hfspaces.hub.http.sequence import execute

        hook = HfSpacesHook(self.hf_spaces_conn_id)
        try:
            repo_id = hook.repo_id(self.repo_id)
            steps = self.steps(repo_id, context, hook)
            with hook.client_within(self.timeout) as client:
                execute(steps, client.send)
        except Exception as error:
            self._tell(error, context, hook)

    async def async_notify(self, context: Context) -> None:
        """Do it on the event loop of the triggerer, without holding that up."""
        hook, aexecute = await in_thread(_prepared, self.hf_spaces_conn_id)
        try:
            await hook.read_connection()
            repo_id = hook.repo_id(self.repo_id)
            steps = await in_thread(self.steps, repo_id, context, hook, True)
            async with await hook.async_client(within=self.timeout) as client:
                await aexecute(steps, client.send)
        except Exception as error:
            self._tell(error, context, hook, in_triggerer=True)

    @abstractmethod
    def steps(
        self, repo_id: str, context: Mapping[str, Any], hook: HfSpacesHook, in_triggerer: bool = False
    ) -> Steps[None]:
        """What to do, after all that has to be asked of Airflow for it has been asked."""

    def _tell(
        self,
        error: Exception,
        context: Mapping[str, Any],
        hook: HfSpacesHook | None = None,
        in_triggerer: bool = False,
    ) -> None:
        """Log what went wrong and what to do now, and have a deadline's callback fail."""
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
        said = (
            str(error) if isinstance(error, (HubError, InvalidInput)) else f"{type(error).__name__}: {error}"
        )
        # Where Airflow has not given the connection out, asking for it again could hold the event loop up.
        connected = hook is not None and hook.has_read_connection
        page = "its page"
        if hook is not None and connected:
            with suppress(InvalidInput):
                page = f"{hook.page_url(self.repo_id)}/settings"
        todo = self.failed.format(repo_id=self.repo_id, page=page)
        if is_deadline(context) and hook is not None and not (connected or in_triggerer):
            todo += ". A SyncCallback may read no connection from Airflow's database: use an AsyncCallback"
        self.log.error("%s Therefore %s.", said if said.endswith(".") else f"{said}.", todo)
        if is_deadline(context):
            raise error


class PauseSpaceNotifier(SpaceNotifier):
    """Pause a Space when a task or a DAG fails, or a run is late: it stops, and costs nothing.

    ``on_failure_callback=PauseSpaceNotifier("acme/whisper")``. A Space that is paused already, or
    static, is left alone. A pause is for everybody: other runs that work with this Space lose it, and
    it stays paused until somebody restarts it. ``POST /api/spaces/{repo_id}/pause``.
    """

    failed = "Space {repo_id} was not paused and may go on costing money: pause it at {page}"

    def steps(
        self, repo_id: str, context: Mapping[str, Any], hook: HfSpacesHook, in_triggerer: bool = False
    ) -> Steps[None]:
        from airflow_provider_hfspaces.notifications.occasion import occasion
        from airflow_provider_hfspaces.notifications.steps import pausing

        return pausing(repo_id, occasion(context), self.log)


class RestoreHardwareNotifier(SpaceNotifier):
    """Put a Space's hardware, sleep time and pause back as they were when a task or a DAG fails, or is late.

    As :class:`~airflow_provider_hfspaces.operators.hardware.RestoreHardwareOperator` does it: what
    still is as it was is left alone, and a Space that was paused meanwhile stays paused. How it was is
    looked for in this order:

    1. in what ``from_task`` recorded in this run, or without that in the first that any
       :class:`~airflow_provider_hfspaces.operators.hardware.SnapshotSpaceOperator` or
       :class:`~airflow_provider_hfspaces.operators.hardware.RequestHardwareOperator` of the run did;
    2. in the lease that this run has of the Space;
    3. failing both, the Space goes to ``fallback`` and keeps its sleep time.

    A Space that another run has leased by now is left to that run.

    Airflow does not let every callback read XComs. Tasks' callbacks may, everywhere. DAGs' may, but not
    on 3.0. A deadline's ``AsyncCallback`` may, if ``from_task`` names the task: it does not know the DAG's
    other tasks. A deadline's ``SyncCallback`` may not, and on 3.3 it may not read the lease either.
    Those that may not go by what is left, or fall back.

    :param repo_id: the Space, as ``owner/name``, as a name alone where the connection has a
        namespace, or as the address of its page. Templated.
    :param from_task: id of the task that recorded what was there, or the operator itself. Inside a
        task group the id may be given without the group's prefix, except for a deadline. Templated.
    :param fallback: the hardware to go to where nothing was recorded. Templated.
    :param hf_spaces_conn_id: the connection to the Hub. Templated.
    :param timeout: seconds for which a Hub that does not answer is asked again.
    """

    template_fields: Sequence[str] = (*SpaceNotifier.template_fields, "from_task", "fallback")

    failed = "Space {repo_id} was not put back and may go on costing money: choose its hardware at {page}"

    def __init__(
        self, repo_id: str, *, from_task: Any = None, fallback: str = "cpu-basic", **kwargs: Any
    ) -> None:
        super().__init__(repo_id, **kwargs)
        self.from_task: str | None = getattr(from_task, "task_id", from_task)
        self.fallback = fallback

    def steps(
        self, repo_id: str, context: Mapping[str, Any], hook: HfSpacesHook, in_triggerer: bool = False
    ) -> Steps[None]:
        from airflow_provider_hfspaces.notifications.occasion import occasion
        from airflow_provider_hfspaces.notifications.past import look_back
        from airflow_provider_hfspaces.notifications.steps import restoring

        past = look_back(
            context,
            repo_id,
            self.from_task,
            self.log,
            hook=hook,
            timeout=self.timeout,
            in_triggerer=in_triggerer,
        )
        return restoring(repo_id, past, self.fallback, occasion(context), self.log)


def _prepared(hf_spaces_conn_id: str) -> Any:
    """Import what takes longer than an event loop should wait."""
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.http import aio  # noqa: F401
    from airflow_provider_hfspaces.hub.http.sequence import aexecute
    from airflow_provider_hfspaces.notifications import steps  # noqa: F401

    return HfSpacesHook(hf_spaces_conn_id), aexecute
