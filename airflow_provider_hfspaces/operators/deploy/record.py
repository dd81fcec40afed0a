"""What a deployment keeps for its next try: which commit it makes, or has made, and how far it has come."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context

__all__ = ["COMMITTING", "DEPLOY", "ROLLING_BACK", "WAITING", "Deployment", "marker_of"]

DEPLOY = "deploy"
"""The key of the record in the retry store."""

COMMITTING = "committing"
WAITING = "waiting"
ROLLING_BACK = "rolling back"

_MARKER_DIGITS = 32
_MOST_PATHS = 200
"""Paths that the task's XCom lists; it has the number of all of them too."""


@dataclass(frozen=True)
class Deployment:
    """One deployment, as plain JSON.

    :ivar repo_id: the Space, as ``owner/name``.
    :ivar parent: the last commit before the deployment.
    :ivar phase: ``committing``, ``waiting`` or ``rolling back``.
    :ivar began: when the first try began, in seconds since 1970.
    :ivar sha: the deployed commit; ``None`` before it is known.
    :ivar committed: whether the deployment made that commit. False if the source was unchanged.
    :ivar created: whether the deployment created the Space.
    :ivar can_go_back: whether an app ran before, to which a rollback could return.
    :ivar changed: paths of the first files that it changed; ``changed_count`` is the number of all.
    :ivar deleted: paths of the first files that it deleted; ``deleted_count`` is the number of all.
    :ivar failure: why the deployed commit does not serve, for a rollback.
    """

    repo_id: str
    parent: str
    phase: str
    began: float
    sha: str | None = None
    committed: bool = False
    created: bool = False
    can_go_back: bool = False
    changed: tuple[str, ...] = ()
    changed_count: int = 0
    deleted: tuple[str, ...] = ()
    deleted_count: int = 0
    failure: str | None = None

    @classmethod
    def from_dict(cls, payload: Any) -> Deployment | None:
        """Return the deployment that :meth:`to_dict` wrote, ``None`` for anything else."""
        if not isinstance(payload, Mapping):
            return None
        known = {each.name for each in fields(cls)}
        try:
            deployment = cls(**{name: value for name, value in payload.items() if name in known})
        except TypeError:
            return None
        return replace(deployment, changed=tuple(deployment.changed), deleted=tuple(deployment.deleted))

    def to_dict(self) -> dict[str, Any]:
        """Return the deployment as plain JSON."""
        return {**asdict(self), "changed": list(self.changed), "deleted": list(self.deleted)}

    def with_paths(self, changed: list[str], deleted: list[str]) -> Deployment:
        """Return the deployment with the paths that it changes."""
        return replace(
            self,
            changed=tuple(changed[:_MOST_PATHS]),
            changed_count=len(changed),
            deleted=tuple(deleted[:_MOST_PATHS]),
            deleted_count=len(deleted),
        )


def marker_of(context: Context, *parts: str) -> str:
    """Return the line by which a task recognises its own commit, whichever try made it.

    :param parts: what else the commit depends on, such as its parent.
    """
    ti = context["ti"]
    identity = (ti.dag_id, ti.run_id, ti.task_id, str(getattr(ti, "map_index", -1)), *parts)
    digest = hashlib.sha256("\0".join(identity).encode()).hexdigest()[:_MARKER_DIGITS]
    return f"airflow-deploy: {digest}"
