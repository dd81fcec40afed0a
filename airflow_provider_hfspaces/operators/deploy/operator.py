"""DeploySpaceOperator: ship a folder to a Space in one commit, and wait until exactly this commit answers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.operators.base import WaitingOperator
from airflow_provider_hfspaces.operators.values import (
    KeepsText,
    SecretArguments,
    refuse_unless_one_of,
)
from airflow_provider_hfspaces.rendered import as_list, as_whole_number

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.deploy.record import Deployment
    from airflow_provider_hfspaces.operators.deploy.shipping import Shipping

__all__ = ["DeploySpaceOperator"]

ON_FAILURE = ("rollback", "pause", "keep")


class DeploySpaceOperator(SecretArguments, KeepsText, WaitingOperator):
    """Ship a folder to a Space, and succeed when exactly this commit runs and answers.

    ::

        DeploySpaceOperator(
            task_id="deploy",
            repo_id="acme/whisper",
            source="app",
            sdk="gradio",
            health="/",
        )

    The task commits what differs between the folder and the Space's repository, in one commit. Then it waits
    until the Space's runtime reports this commit: RUNNING alone may still be the old container. An unchanged
    folder makes no commit; the task then makes sure that the Space runs the commit that it has.

    If the build or the app fails, or does not answer in time, the task's log ends with the Space's own log,
    and ``on_failure`` decides what becomes of the Space:

    - ``rollback`` restores the content of the previous commit in a new commit, waits until that runs, and
      fails the task;
    - ``pause`` pauses the Space and fails the task;
    - ``keep`` leaves the Space alone and fails the task, whose retry waits for the same commit again.

    The task is safe to retry: its commit carries a mark, by which the next try finds it after a lost answer
    or the death of a worker. Somebody else's push between the look at the repository and the commit makes
    the task fail without a commit. If the task is killed, its commit stays.

    Needs the extra ``deploy`` on the workers (``pip install 'airflow-provider-hfspaces[deploy]'``), whose
    official client uploads large and binary files as the Hub wants them.

    Returns ``{"repo_id", "url", "sha", "previous_sha", "created", "committed", "changed_files",
    "changed_count", "deleted_files", "deleted_count", "seconds"}``; the lists have at most 200 paths. The
    commit alone is the XCom ``sha``, so that ``deploy.output["sha"]`` is what other tasks take as ``sha``.
    Endpoints: ``POST /api/spaces/{repo_id}/commit/main``, and those that read, create, restart and pause the
    Space as far as they are needed.

    :param source: the folder: a local path, relative to the DAG file's folder, or the URL of a folder in an
        object storage, such as ``s3://aws_default@bucket/app``. Templated.
    :param create: whether to create the Space if it does not exist (default True).
    :param sdk: the SDK of a new Space: ``gradio``, ``docker`` or ``static`` (default: the one that the
        source's README.md names). Templated.
    :param visibility: of a new Space: ``private``, ``public`` or ``protected`` (default ``private``).
        Templated.
    :param hardware: the flavor of a new Space (default: free CPU). Templated.
    :param sleep_time: of a new Space: seconds without a visitor until it sleeps, -1 for never (default: the
        Hub's). Templated.
    :param secrets: of a new Space: a mapping of keys to values, or a list of ``{"key", "value",
        "description"}`` (default: none). Rendered when the task runs, masked and never stored. A mapped
        operator takes no secret that is written out.
    :param variables: of a new Space, in the two forms of ``secrets`` (default: none). Templated.
    :param volumes: of a new Space, as for :class:`SetVolumesOperator
        <airflow_provider_hfspaces.operators.storage.SetVolumesOperator>` (default: none). Templated.
    :param ignore: patterns of files that are not shipped, in the form of ``.gitignore``, besides those of the
        source's own ``.gitignore`` files (default: none). Templated.
    :param delete: files of the repository to delete if the source does not have them: True for all, or
        patterns in the form of ``.gitignore`` (default: none). README.md and .gitattributes stay. Templated.
    :param allow_secrets: patterns of files that are shipped although they look like secrets (default: none).
        Templated.
    :param parent_commit: the commit, in full or its first seven characters or more, that has to be the last
        one of the repository (default: any). Templated.
    :param commit_message: the first line of the commit's message (default ``Deploy``). Templated.
    :param wait: whether to wait until the commit runs (default True). Without it, nothing is rolled back.
    :param health: the answer of the app to wait for as well: ``True`` for its start page, a path, or a
        mapping with ``path``, ``status``, ``json`` and ``text`` (default: none). Templated.
    :param on_failure: ``rollback``, ``pause`` or ``keep`` (default ``rollback``).
    :param dry_run: log and return what would be sent, and change nothing (default False).
    :param timeout: maximum number of seconds to wait for the commit, and again for a rollback (default
        1800).
    :param poll_interval: seconds between two looks at the Space (default: as few as the Hub's quota allows,
        and no fewer than 2).
    :param stream_logs: show the Space's own log in the task's log while the task waits: ``"build"``,
        ``"run"`` or ``"both"`` (default: none).
    :param deferrable: wait in the triggerer, without a worker (default: Airflow's ``[operators]
        default_deferrable``). The upload itself needs a worker.
    :raises AirflowFailException: after a rollback or a pause, and for errors that a retry cannot fix.
    """

    template_fields: Sequence[str] = (
        *WaitingOperator.template_fields,
        "source",
        "sdk",
        "visibility",
        "hardware",
        "sleep_time",
        "variables",
        "volumes",
        "ignore",
        "delete",
        "allow_secrets",
        "parent_commit",
        "commit_message",
    )
    template_fields_renderers = {
        **WaitingOperator.template_fields_renderers,
        "variables": "json",
        "volumes": "json",
    }
    text_fields = ("variables", "volumes", "commit_message")
    secret_fields = ("secrets",)

    _result: dict[str, Any] | None = None

    def __init__(
        self,
        *,
        source: str,
        create: bool = True,
        sdk: str | None = None,
        visibility: str = "private",
        hardware: str | None = None,
        sleep_time: int | str | None = None,
        secrets: Any = None,
        variables: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
        volumes: Sequence[Mapping[str, Any]] | None = None,
        ignore: Sequence[str] | str = (),
        delete: bool | Sequence[str] | str = False,
        allow_secrets: Sequence[str] | str = (),
        parent_commit: str | None = None,
        commit_message: str = "Deploy",
        wait: bool = True,
        on_failure: str = "rollback",
        dry_run: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = str(source) if isinstance(source, Path) else source
        self.create_if_missing = create
        self.sdk = sdk
        self.visibility = visibility
        self.hardware = hardware
        self.sleep_time = sleep_time
        self.secrets = secrets
        self.variables = variables
        self.volumes = volumes
        self.ignore = ignore
        self.delete = delete
        self.allow_secrets = allow_secrets
        self.parent_commit = parent_commit
        self.commit_message = commit_message
        self.wait_until_running = wait
        self.refuse_unless_waiting(wait, kwargs.get("default_args"))
        self.on_failure = on_failure
        self.changes_nothing = dry_run
        self._failure: SpaceWaitError | None = None
        self._refuse_bad_arguments()
        self.remember_text()
        self.follow_secrets()

    def act(self, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.operators.deploy.record import ROLLING_BACK

        shipping = self._shipping(repo_id, context)
        deployment = shipping.recorded()
        if deployment is not None and deployment.phase == ROLLING_BACK:
            self.log.info("Space %s: an earlier try has begun to roll it back.", repo_id)
            return self._roll_back(shipping, deployment, context)
        if self.changes_nothing:
            return shipping.preview()
        before, deployment = shipping.ship(deployment)
        if not self.wait_until_running:
            return self._finished(deployment, context)
        self.space_logs.begin(at=shipping.committed_at)
        goal, replaced = shipping.goal(deployment, before)
        return self.wait(repo_id, goal, context, before=replaced, then={"deployment": deployment.to_dict()})

    def wait(self, *args: Any, **options: Any) -> Any:
        try:
            return super().wait(*args, **options)
        except Exception:
            return self._failed(args[0], args[2], options["then"])

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> Any:
        from airflow_provider_hfspaces.operators.deploy.record import DEPLOY, ROLLING_BACK, Deployment
        from airflow_provider_hfspaces.state.retry_store import retry_store

        deployment = Deployment.from_dict(then["deployment"])
        assert deployment is not None
        if deployment.phase == ROLLING_BACK:
            retry_store(context).delete(DEPLOY)
            raise AirflowFailException(
                f"{deployment.failure} The Space is rolled back: it runs the content of commit "
                f"{deployment.parent[:7]} again, as commit {str(then['rollback'])[:7]}."
            )
        return self._finished(deployment, context)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Resume the task after a deferred wait; after a failed one, roll the Space back or pause it."""
        from airflow_provider_hfspaces.failures import failing_for_good

        try:
            return super().execute_complete(context, event)
        except Exception:
            with failing_for_good():
                return self._failed(event["repo_id"], context, event["then"] or {})

    def on_failed_wait(self, error: SpaceWaitError) -> None:
        self._failure = error

    def on_kill(self) -> None:
        """Stop waiting. The commit stays; a retry attaches to it."""
        self.killed.set()

    def _failed(self, repo_id: str, context: Context, then: Mapping[str, Any]) -> Any:
        """Deal with a failed wait, in the handler of its exception."""
        from airflow_provider_hfspaces.operators.deploy.record import ROLLING_BACK, Deployment

        error, self._failure = self._failure, None
        deployment = Deployment.from_dict(then.get("deployment"))
        if error is None or deployment is None:
            raise
        shipping = self._shipping(repo_id, context)
        if deployment.phase == ROLLING_BACK:
            shipping.forget()
            raise AirflowFailException(
                f"{deployment.failure} The rollback to the content of commit {deployment.parent[:7]} does "
                f"not run either: {error} Repair the Space by hand."
            ) from None
        if self.on_failure == "pause":
            shipping.pause()
            shipping.forget()
            raise AirflowFailException(f"{error} The Space is paused, as on_failure says.") from None
        if self.on_failure == "keep" or not shipping.can_roll_back(deployment):
            raise error from None
        return self._roll_back(shipping, replace(deployment, failure=str(error)), context)

    def _roll_back(self, shipping: Shipping, deployment: Deployment, context: Context) -> Any:
        """Restore the content of the previous commit and wait until it runs. Always ends with an error."""
        from airflow_provider_hfspaces.hub.waiting.goal import Goal

        before, deployment, sha = shipping.roll_back(deployment)
        self.health = None  # a check of the new version, which the previous one need not pass
        then = {"deployment": deployment.to_dict(), "rollback": sha}
        if before.is_static:
            return self.wait(shipping.repo_id, Goal(), context, then=then)
        return self.wait(shipping.repo_id, Goal(sha=sha), context, before=before, then=then)

    def _finished(self, deployment: Deployment, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.operators.deploy.record import DEPLOY
        from airflow_provider_hfspaces.state.retry_store import retry_store

        retry_store(context).delete(DEPLOY)
        context["ti"].xcom_push(key="sha", value=deployment.sha)
        seconds = round(time.time() - deployment.began, 1)
        if self.wait_until_running:
            self.log.info(
                "Space %s runs commit %s, after %.0f seconds.", deployment.repo_id, deployment.sha, seconds
            )
        self._result = {
            "repo_id": deployment.repo_id,
            "url": self.hook.page_url(deployment.repo_id),
            "sha": deployment.sha,
            "previous_sha": deployment.parent,
            "created": deployment.created,
            "committed": deployment.committed,
            "changed_files": list(deployment.changed),
            "changed_count": deployment.changed_count,
            "deleted_files": list(deployment.deleted),
            "deleted_count": deployment.deleted_count,
            "seconds": seconds,
        }
        return self._result

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the source and the new version of the Space, for Airflow's provider of OpenLineage."""
        from airflow_provider_hfspaces.lineage import deployment_lineage

        return deployment_lineage(
            self.hook.settings.endpoint, self.hook.repo_id(self.repo_id), self.source, self._result
        )

    def _shipping(self, repo_id: str, context: Context) -> Shipping:
        """The deployment's dealings with source and Hub, with the rendered arguments."""
        from airflow_provider_hfspaces.operators.deploy.shipping import Order, Shipping

        delete = self.delete
        if isinstance(delete, str):
            delete = {"True": True, "False": False, "": False}.get(delete.strip(), as_list(delete))
        order = Order(
            source=self.source,
            base=_folder_of(context.get("dag")),
            ignore=as_list(self.ignore),
            delete=delete if isinstance(delete, bool) else as_list(delete),
            allow_secrets=as_list(self.allow_secrets),
            parent_commit=self.parent_commit or None,
            title=self.text("commit_message", context),
            waits=self.wait_until_running,
            create=self.create_if_missing,
            options={
                "sdk": self.sdk or None,
                "visibility": self.visibility,
                "hardware": self.hardware,
                "sleep_time": as_whole_number(self.sleep_time),
                "secrets": self.secret("secrets", context, structure=True),
                "variables": self.structure("variables", context),
                "volumes": self.structure("volumes", context),
            },
        )
        return Shipping(self.hook, repo_id, order, context, self.log)

    def _refuse_bad_arguments(self) -> None:
        """Refuse arguments that cannot be valid when the DAG is parsed.

        :raises ValueError: naming the task.
        """
        from airflow_provider_hfspaces.hub.choices import SDKS, VISIBILITIES

        if isinstance(self.source, str) and not self.source.strip():
            raise ValueError(f"source of task {self.task_id!r} is empty: set it to the folder with the app.")
        if self.sdk is not None:
            refuse_unless_one_of(self, "sdk", SDKS)
        refuse_unless_one_of(self, "visibility", VISIBILITIES)
        refuse_unless_one_of(self, "on_failure", ON_FAILURE)
        if isinstance(self.commit_message, str) and not self.commit_message.strip():
            raise ValueError(f"commit_message of task {self.task_id!r} is empty: set it to some text.")


def _folder_of(dag: Any) -> Path | None:
    """The folder of the DAG file, which a relative path starts from."""
    file = getattr(dag, "fileloc", None)
    return Path(file).parent if file else None
