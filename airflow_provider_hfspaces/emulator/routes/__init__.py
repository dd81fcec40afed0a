"""The routes of the emulated Hub: one file for each noun of its API, named as in ``hub/calls``.

To add a route, write its handler in the file of its noun; a new file also needs an entry in :data:`ROUTES`.
"""

from __future__ import annotations

from airflow_provider_hfspaces.emulator.http.routing import Route
from airflow_provider_hfspaces.emulator.routes import (
    app_visits,
    billing,
    branches,
    cards,
    commits,
    control,
    dev_mode,
    events,
    file_pages,
    files,
    hardware,
    large_files,
    lifecycle,
    logs,
    not_emulated,
    replicas,
    repositories,
    runtime,
    secrets,
    sleep_time,
    space_page,
    spaces,
    start_page,
    storage,
    trees,
    variables,
    volumes,
    whoami,
)

__all__ = ["ROUTES"]

ROUTES: list[Route] = [
    # The first match wins. The runtime comes first because clients request it most often.
    *runtime.ROUTES,
    *hardware.ROUTES,
    *sleep_time.ROUTES,
    *lifecycle.ROUTES,
    *replicas.ROUTES,
    *dev_mode.ROUTES,
    *storage.ROUTES,
    *volumes.ROUTES,
    *variables.ROUTES,
    *secrets.ROUTES,
    *logs.ROUTES,
    *events.ROUTES,
    *whoami.ROUTES,
    *billing.ROUTES,
    *repositories.ROUTES,
    *branches.ROUTES,
    *commits.ROUTES,
    *large_files.ROUTES,
    *trees.ROUTES,
    *cards.ROUTES,
    *app_visits.ROUTES,
    *space_page.ROUTES,
    *file_pages.ROUTES,
    *start_page.ROUTES,
    *control.ROUTES,
    # Last: /api/spaces/hardware would match the route of a Space, and /apps/… the files of a model.
    *spaces.ROUTES,
    *files.ROUTES,
    *not_emulated.ROUTES,
]
