"""make_server, which creates the server for the app that a Space serves. Add new kinds of apps here."""

from __future__ import annotations

from airflow_provider_hfspaces.emulator.apps.choice import (
    DockerApp,
    GradioApp,
    ServerApp,
    StaticApp,
    usual_app,
)
from airflow_provider_hfspaces.emulator.apps.docker import PlainApp
from airflow_provider_hfspaces.emulator.apps.gradio.app import MiniGradio
from airflow_provider_hfspaces.emulator.apps.gradio.context import Host
from airflow_provider_hfspaces.emulator.apps.servers import (
    AppServer,
    CodeServer,
    FileServer,
    ForwardingServer,
)
from airflow_provider_hfspaces.emulator.apps.timing import AppTime
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World

__all__ = ["make_server"]


def make_server(world: World, space: Space, replica: str, time: AppTime) -> AppServer:
    """Create the app of one replica of a Space, without starting it."""
    choice = space.app.choice or usual_app(space.sdk)

    def log(text: str) -> None:
        with world.lock:
            space.logs.run.write(space.now(), text)

    host = Host(space.repo_id, replica, lambda: space.hardware, log)
    if isinstance(choice, GradioApp):
        return MiniGradio(choice, time=time, host=host)
    if isinstance(choice, DockerApp):
        return PlainApp(choice, time=time, host=host)
    if isinstance(choice, StaticApp):
        return FileServer(space)
    if isinstance(choice, ServerApp):
        return ForwardingServer(choice.url)
    return CodeServer(choice)
