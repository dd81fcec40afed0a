"""HfSpacesHook: the Hub's Spaces API behind an Airflow connection, with one method for each call.

This module has the calls on hardware, life cycle and copies. The rest of the hook is in ``connected.py``
(connection and clients), ``reading.py``, ``settings.py``, ``repositories.py``, ``apps.py`` and ``calls.py``
(waits, and calls of apps). Each class extends the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hooks.calls import CallingHook
from airflow_provider_hfspaces.hooks.form import field_behaviour, form_widgets
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.desired import (
    HURRIED,
    Activity,
    Patience,
    describe,
    plan_change,
    plan_pause,
    plan_restart,
    plan_restore,
    restored_state,
)
from airflow_provider_hfspaces.hub.models import DuplicatedSpace, SpaceRuntime, Volume

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.http.client import HubClient
    from airflow_provider_hfspaces.hub.http.sequence import Steps
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

__all__ = ["HfSpacesHook", "describe"]

Settings = Sequence[Mapping[str, str]] | Mapping[str, str]


class HfSpacesHook(CallingHook):
    """The Hub's Spaces API behind an Airflow connection of type ``hf_spaces``::

        hook = HfSpacesHook("hf_spaces_default")
        hook.request_hardware("acme/whisper", "t4-small", sleep_time=3600)
        hook.wait_for("acme/whisper", Goal(hardware="t4-small"), timeout=1800)
        hook.pause("acme/whisper")

    Every method takes the id of a Space as ``owner/name``, as a name alone if the connection has a namespace,
    or as the address of the Space's page. Every method raises
    :class:`~airflow_provider_hfspaces.hub.errors.InvalidInput` for input that is not valid, before
    anything is sent, and a :class:`~airflow_provider_hfspaces.hub.errors.HubError` for an error response.

    :param hf_spaces_conn_id: the connection. Its password is the token, its host the endpoint.
    :param token: use this token instead of the connection's.
    """

    # Airflow 2.11 to 3.1 look for these two descriptions of the form only in the class itself.

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return which standard fields the connection form of Airflow 2.11 to 3.1 shows."""
        return field_behaviour()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the fields of this connection type for the connection form of Airflow 2.11 to 3.1."""
        return form_widgets()

    def request_hardware(self, repo_id: str, hardware: str, *, sleep_time: int | None = None) -> SpaceRuntime:
        """Request other hardware for a Space, which restarts it, and return the runtime.

        The runtime in the answer still shows the old hardware. If the answer is lost, the runtime afterwards
        decides whether the request is sent again.

        Endpoint: ``POST /api/spaces/{repo_id}/hardware``.

        :param hardware: a flavor such as ``t4-small``.
        :param sleep_time: seconds without a visitor until the Space sleeps, -1 for never; by default the Hub
            decides.
        """
        call = calls.request_hardware(
            self.repo_id(repo_id), hardware, sleep_time=sleep_time, offered=self.offered(hardware)
        )
        return self.execute(
            plan_change(call, lambda runtime: runtime.requested_hardware == hardware, log=self.log)
        )

    def set_sleep_time(self, repo_id: str, seconds: int) -> SpaceRuntime:
        """Set the time without a visitor after which a Space sleeps, and return the runtime.

        Endpoint: ``POST /api/spaces/{repo_id}/sleeptime``.

        :param seconds: at least 1, or -1 for never.
        """
        return self._send(calls.set_sleep_time(self.repo_id(repo_id), seconds))

    def pause(self, repo_id: str) -> SpaceRuntime:
        """Pause a Space, and return the runtime.

        A paused Space costs nothing, and only a restart by its owner starts it again. If the Space is already
        paused, nothing is changed.

        Endpoint: ``POST /api/spaces/{repo_id}/pause``.
        """
        return self.execute(plan_pause(self.repo_id(repo_id)))

    def restart(
        self, repo_id: str, *, factory_reboot: bool = False, runtime: SpaceRuntime | None = None
    ) -> SpaceRuntime:
        """Restart a Space, or start a paused or sleeping one, and return the runtime.

        Billing begins when the app starts. If the answer is lost, the runtime afterwards decides whether the
        request is sent again.

        Endpoint: ``POST /api/spaces/{repo_id}/restart``.

        :param factory_reboot: whether to rebuild the Space without caches; by default not.
        :param runtime: the current runtime, if it is known; by default it is read.
        """
        steps = plan_restart(self.repo_id(repo_id), runtime, factory_reboot=factory_reboot, log=self.log)
        return self.execute(steps)

    def restore(
        self,
        snapshot: SpaceSnapshot,
        runtime: SpaceRuntime | None = None,
        *,
        fallback: str = "cpu-basic",
        activity: Activity | None = None,
        restore_dormant: Activity = Activity.PAUSED,
        guard: Callable[[Steps[SpaceRuntime]], Steps[SpaceRuntime]] | None = None,
        retried: frozenset[int] = frozenset(),
        client: HubClient | None = None,
    ) -> SpaceRuntime:
        """Restore hardware, sleep time, replicas and pause, without requests for what has not changed.

        A Space that a user has paused since the snapshot stays paused. If the Hub rejects the
        recorded hardware permanently, the Space moves to ``fallback``; if the Hub rejects that too, the
        Space is paused, because a paused Space costs nothing.

        Endpoints, as far as they are needed: ``GET /api/spaces/{repo_id}/runtime``, and ``POST`` to its
        ``/hardware``, ``/sleeptime``, ``/replicas``, ``/restart`` and ``/pause``.

        :param snapshot: what to restore, as ``SnapshotSpaceOperator`` records it.
        :param runtime: the current runtime, if it is known; by default it is read.
        :param fallback: a flavor; by default the free CPU.
        :param activity: whether the Space should run afterwards, by default as in the snapshot.
        :param restore_dormant: with the default activity, what becomes of a Space that was asleep or had
            failed and would start on paid hardware: paused by default, asleep, or unchanged.
        :param guard: wraps the steps of the restore, as ``LeaseGuard.run`` of ``hub.lease.guard`` does to
            check each request; by default nothing does.
        :param retried: HTTP statuses of rejections that may be temporary. The Space then keeps its hardware
            for a later try.
        :param client: the client of a signal handler, which has little time and no later try.
        :raises RestoreRejected: if the Hub rejected the recorded hardware, after the fallback or the pause.
        """
        steps = plan_restore(
            restored_state(snapshot, activity, restore_dormant=restore_dormant),
            runtime,
            fallback=fallback,
            is_last_try=client is not None,
            retried=retried,
            patience=Patience() if client is None else HURRIED,
            log=self.log,
        )
        return self.execute(guard(steps) if guard else steps, client)

    def duplicate(
        self,
        from_id: str,
        *,
        to_id: str | None = None,
        private: bool = True,
        hardware: str | None = None,
        storage: str | None = None,
        sleep_time: int | None = None,
        secrets: Settings | None = None,
        variables: Settings | None = None,
        volumes: Sequence[Volume | Mapping[str, Any]] | None = None,
        exist_ok: bool = False,
    ) -> DuplicatedSpace:
        """Copy a Space. The Hub copies its variables, but never its secrets.

        Endpoint: ``POST /api/spaces/{from_id}/duplicate``.

        :param from_id: the Space to copy.
        :param to_id: the id of the copy; by default the same name with the connection's namespace as owner,
            or with the token's owner.
        :param private: whether only the owner sees the copy; by default it is private, so that no copy is
            published by accident.
        :param hardware: a flavor; by default the free CPU.
        :param storage: a retired storage tier; the Hub now offers volumes instead.
        :param sleep_time: seconds without a visitor until the copy sleeps, -1 for never.
        :param secrets: a mapping of keys to values, or a list of ``{"key", "value", "description"}``. Airflow
            masks the values in logs.
        :param variables: in the form of ``secrets``. They replace variables of the source with equal keys.
        :param volumes: volumes to mount, as for :meth:`set_volumes`.
        :param exist_ok: return a Space that already has the id of the copy, unchanged.
        :raises HubConflict: if a Space already has the id of the copy.
        """
        from_id, to_id = self.repo_id(from_id), self.duplicate_target(from_id, to_id)
        call = calls.duplicate(
            from_id,
            to_id,
            private=private,
            hardware=hardware,
            storage=storage,
            sleep_time=sleep_time,
            secrets=secrets,
            variables=variables,
            volumes=volumes,
            offered=self.offered(hardware) if hardware else None,
        )
        return self._create(call, DuplicatedSpace, exist_ok)

    def duplicate_target(self, from_id: str, to_id: str | None) -> str:
        """Return the id of a copy: ``to_id``, or the name of the source with the default owner.

        Endpoint: ``GET /api/whoami-v2``, if the connection has no namespace and the owner is not given.
        """
        if to_id:
            if "/" not in to_id and not self.settings.namespace:
                to_id = f"{self.whoami().name}/{to_id}"
            return self.repo_id(to_id)
        name = self.repo_id(from_id).partition("/")[2]
        return self.repo_id(f"{self.settings.namespace or self.whoami().name}/{name}")
