"""``python -m airflow_provider_hfspaces.emulator``: serve an emulated Hub."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.server import HubEmulator

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NETWORK_OPTION = "--let-anybody-on-the-network-in"


def main(arguments: list[str] | None = None) -> int:
    """Run the command: serve an emulated Hub until SIGINT or SIGTERM. Returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.print_state_machine:
        from airflow_provider_hfspaces.emulator.model.machine import as_markdown

        print(as_markdown())
        return 0
    if options.host not in _LOOPBACK and not options.let_anybody_on_the_network_in:
        parser.error(
            f"--host {options.host} is reachable from the network, and the control API asks for no token: "
            f"add {_NETWORK_OPTION} to allow it"
        )
    try:
        from airflow_provider_hfspaces.emulator import HubEmulator
        from airflow_provider_hfspaces.emulator.faults.rules import Fault

        hub = HubEmulator(
            speed=options.speed,
            port=options.port,
            app_port=options.app_port,
            host=options.host,
            token=options.token,
            allowed_hosts=options.allow_host,
            fleet=options.fleet,
            seed=options.seed,
            faults=[Fault.parse(each) for each in options.fault],
        )
        if options.state and Path(options.state).exists():
            hub.load(options.state)
        for each in options.app:
            _serve_app(hub, each)
        if options.bad_day:
            hub.bad_day(options.seed)
        if options.quota:
            hub.set_quota(options.quota)
    except (ImportError, ValueError) as problem:
        parser.error(str(problem))
    try:
        hub.start()
    except OSError as problem:
        print(
            f"Cannot listen on {options.host}:{options.port}: {problem}. Choose another --host or --port.",
            file=sys.stderr,
        )
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _print_connection(hub)
        hub.wait()
    except KeyboardInterrupt:
        print("\nStopped.")
    finally:
        hub.stop()
        if options.state:
            hub.save(options.state)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_hfspaces.emulator",
        description="Serve the Hugging Face Hub's Spaces API on this computer, for demos and tests.",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8900,
        help="the port to listen on; 0 for any free port (default: %(default)s)",
    )
    parser.add_argument(
        "--fleet", default="demo", help="the Spaces to start with: demo or empty (default: %(default)s)"
    )
    parser.add_argument(
        "--speed",
        type=float,
        default=60.0,
        help="emulated seconds per real second; 0 stops the clock (default: %(default)s)",
    )
    parser.add_argument(
        "--app",
        action="append",
        default=[],
        metavar="SPACE=APP",
        help="what a Space serves: the address of a real server, such as acme/caption=http://127.0.0.1:7860, "
        "or gradio or docker for a built-in app. A missing Space is added. Can be repeated",
    )
    parser.add_argument(
        "--app-port",
        type=int,
        default=0,
        help="the port of the first app; each further app gets the next free one (default: any free ports)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument(
        _NETWORK_OPTION,
        action="store_true",
        help="allow a --host that other computers can reach. Every program on them can then change the "
        "emulated Hub and read all secrets that clients send to it",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="let clients use the control API under this host name; addresses and localhost always work",
    )
    parser.add_argument(
        "--token",
        help="the token of the user alice, so that a connection stays valid over restarts (default: random)",
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        help="start from this JSON file if it exists, and save to it at the end. The file contains tokens "
        "and secrets",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="a rule by which requests fail, such as kind=status,status=503,share=0.1,path=/hardware or "
        "kind=reset,after=true,times=1. Can be repeated",
    )
    parser.add_argument(
        "--bad-day",
        action="store_true",
        help="make a tenth of all requests end in a 5xx, lose 3 %% of the answers, and set a low quota",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed of the faults: with equal seeds, faults strike equal requests (default: %(default)s)",
    )
    parser.add_argument(
        "--quota",
        type=int,
        help="API requests that each account may send within five minutes (default: the quota of its plan)",
    )
    parser.add_argument(
        "--print-state-machine",
        action="store_true",
        help="print the state machine of a Space as a Markdown table, and exit",
    )
    return parser


def _serve_app(hub: HubEmulator, text: str) -> None:
    """Set the app of a Space, such as ``owner/name=http://127.0.0.1:7860``. A missing Space is added.

    :raises ValueError: for an invalid id or app.
    """
    repo_id, equals, app = text.partition("=")
    if not equals:
        raise ValueError(
            f"--app must be SPACE=APP, such as acme/caption=http://127.0.0.1:7860; got {text!r}."
        )
    if hub.has_space(repo_id):
        hub.space(repo_id).serve(app)
    else:
        hub.add_space(repo_id, app=app)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _print_connection(hub: HubEmulator) -> None:
    connection = json.dumps({"conn_type": "hf_spaces", "host": hub.url, "password": hub.token})
    spaces = list(hub.world.spaces.values())
    print(f"The emulated Hub listens on {hub.url}, {hub.world.clock.speed:g} times as fast as real time.\n")
    print(f"Start page: {hub.url}/\n")
    print(f"Token of the user {hub.user}:\n  {hub.token}\n")
    print(f"For Airflow:\n  export AIRFLOW_CONN_HF_SPACES_DEFAULT='{connection}'\n")
    print(f"For the official client:\n  export HF_ENDPOINT={hub.url} HF_TOKEN={hub.token}\n")
    width = max((len(space.repo_id) for space in spaces), default=0)
    for space in spaces:
        print(f"  {space.repo_id:<{width}}  {space.stage:<13}  {space.requested or 'static'}")
    print(f"\n{hub.url}/apps/owner/name redirects to the app of a Space.")
    print("\nPress Ctrl-C to stop.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
