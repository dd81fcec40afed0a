"""DuplicateSpaceOperator: copy a Space, exactly once however often the task is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.hardware.base import SearchingOperator
from airflow_provider_hfspaces.operators.values import KeepsText, SecretArguments

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.models import SpaceInfo, SpaceRuntime
    from airflow_provider_hfspaces.operators.copying import CopyRequest

__all__ = ["DuplicateSpaceOperator"]


class DuplicateSpaceOperator(SecretArguments, KeepsText, SearchingOperator):
    """Copy a Space.

    ::

        DuplicateSpaceOperator(
            task_id="copy",
            from_id="acme/whisper",
            to_id="acme/whisper-{{ ds_nodash }}",
            hardware="t4-small",
            secrets={"HF_TOKEN": "{{ var.value.whisper_token }}"},
            wait=True,
        )

    The copy is private unless you pass ``private=False``. (The Hub's own client publishes the copy of a
    public Space.) The Hub copies variables, but never secrets.

    The task is safe to retry: it looks for the target before it requests the copy and records the
    request. If the answer is lost or the worker dies, the next try finds out whether the copy exists and
    was made by this task. The task fails if somebody else made the target, unless ``exist_ok`` is set.

    With a list of hardware and ``wait=True``, a copy that does not start because the Hub has no such
    hardware moves to the next flavor. After the last flavor the copy is on free CPU, and the task fails.

    Returns ``{"repo_id", "url", "created"}``. ``POST /api/spaces/{from_id}/duplicate``.

    :param from_id: the Space to copy. Templated.
    :param to_id: the new Space (default: the same name in the connection's namespace, or in that of the
        token's owner). Templated.
    :param private: whether only the owner may see the copy (default True).
    :param hardware: a flavor, a list of flavors in order of preference, or
        :func:`~airflow_provider_hfspaces.hardware.any_hardware` (default: free CPU). Templated.
    :param storage: a storage tier, which the Hub is retiring; use ``volumes`` instead. Templated.
    :param sleep_time: seconds without a visitor until the copy sleeps, -1 for never (default: the Hub's).
        Templated.
    :param max_hourly_cost: USD per hour (default: no limit). A flavor that costs more, or has no listed
        price, is not requested. Templated.
    :param capacity_timeout: of a list: seconds that the copy may take to start on a flavor once it is
        built, before the next one is requested (default 600). ``None``: only the Hub's reports count.
    :param retry_capacity_after: seconds after the last flavor of a list until the list is started again
        (default: the task fails then). The copy is on free CPU meanwhile. Also for a single flavor.
    :param retry_capacity_until: until when the list is started again: a time of day such as ``"03:00"`` in
        the DAG's time zone, or a moment in ISO format (default: until ``timeout`` is over). Templated.
    :param secrets: a mapping of keys to values, or a list of ``{"key", "value", "description"}``
        (default: none). Templates and outputs of tasks are rendered when the task runs; secrets are
        masked and never stored. A mapped operator takes no secret that is written out.
    :param variables: variables to add or change, in the same two forms (default: none). Templated.
    :param volumes: the volumes to mount into the copy, as for :class:`SetVolumesOperator
        <airflow_provider_hfspaces.operators.storage.SetVolumesOperator>` (default: none). Templated.
    :param exist_ok: use the target as it is if it already exists (default False). Its hardware and
        settings are not changed.
    :param wait: whether to wait until the copy runs (default False).
    :param health: the answer of the copy's app to wait for as well, with ``wait=True``: ``True`` for its
        start page, a path, or a mapping with ``path``, ``status``, ``json`` and ``text`` (default: none).
        Templated.
    :param timeout: maximum number of seconds to wait (default 1800).
    :param poll_interval: seconds between two looks at the copy (default: as few as the Hub's quota allows,
        and no fewer than 2).
    :param stream_logs: show the Space's own log in the task's log while the task waits: ``"build"``,
        ``"run"`` or ``"both"`` (default: none).
    :param deferrable: wait in the triggerer, without a worker (default: Airflow's ``[operators]
        default_deferrable``).
    :raises AirflowFailException: if the target exists and was not made by this task, and for other errors
        that a retry cannot fix.
    """

    template_fields: Sequence[str] = (
        "from_id",
        "to_id",
        "hf_spaces_conn_id",
        "hardware",
        "storage",
        "sleep_time",
        "variables",
        "volumes",
        "health",
        "max_hourly_cost",
        "retry_capacity_until",
    )
    template_fields_renderers = {
        "variables": "json",
        "volumes": "json",
        "health": "json",
        "hardware": "json",
    }
    space_fields = ("to_id", "from_id")
    text_fields = ("to_id", "variables", "volumes")
    secret_fields = ("secrets",)

    def __init__(
        self,
        *,
        from_id: str,
        to_id: str | None = None,
        private: bool = True,
        hardware: Any = None,
        storage: str | None = None,
        sleep_time: int | str | None = None,
        secrets: Any = None,
        variables: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
        volumes: Sequence[Mapping[str, Any]] | None = None,
        exist_ok: bool = False,
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(repo_id=from_id, hardware=hardware, **kwargs)
        self.refuse_unless_waiting(wait, kwargs.get("default_args"))
        self.from_id = from_id
        self.to_id = to_id
        self.private = private
        self.storage = storage
        self.sleep_time = sleep_time
        self.secrets = secrets
        self.variables = variables
        self.volumes = volumes
        self.exist_ok = exist_ok
        self.wait_until_running = wait
        self.remember_text()
        self.follow_secrets()

    def space(self, context: Context) -> str:
        return self.from_id

    @cached_property
    def space_request(self) -> CopyRequest:
        """The request of this try."""
        from airflow_provider_hfspaces.operators.copying import CopyRequest

        return CopyRequest(self)

    def act(self, repo_id: str, context: Context) -> Any:
        return self.space_request.begin(repo_id, context)

    def target(self, repo_id: str, context: Context) -> str:
        """The id of the copy of a Space."""
        return self.hook.duplicate_target(repo_id, self.text("to_id", context))

    def created(self, repo_id: str, context: Context) -> None:
        """Act on the copy as soon as it exists, for operators that check whether it is still needed."""

    def variables_to_set(self, context: Context) -> Any:
        """The variables of the copy, besides those of its original."""
        return self.structure("variables", context)

    def recognize(self, space: SpaceInfo) -> bool | None:
        """Whether an existing Space was made by this task; ``None`` if the date of its creation tells."""
        return None

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        return self.space_request.arrived(repo_id, runtime, context, **then)

    def on_kill(self) -> None:
        """Stop waiting. The copy stays."""
        self.killed.set()
