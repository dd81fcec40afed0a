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
_RISK = "--let-anybody-on-the-network-in"


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.print_state_machine:
        from airflow_provider_hfspaces.emulator.model.machine import as_markdown

        print(as_markdown())
        return 0
    if options.host not in _LOOPBACK and not options.let_anybody_on_the_network_in:
        parser.error(
            f"--host {options.host} can be reached from the network, and the emulator does not authenticate "
            f"anybody: add {_RISK} to confirm"
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
            _serve(hub, each)
        if options.bad_day:
            hub.bad_day(options.seed)
        if options.quota:
            hub.set_quota(options.quota)
    except (ImportError, ValueError) as problem:
        parser.error(str(problem))
    try:
        hub.start()
    except OSError as problem:
        print(f"Cannot listen on {options.host}:{options.port}: {problem}.", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _introduce(hub)
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
        help="0 for any free port (default: %(default)s)",
    )
    parser.add_argument(
        "--fleet", default="demo", help="the Spaces to start with: demo or empty (default: %(default)s)"
    )
    parser.add_argument(
        "--speed", type=float, default=60.0, help="emulated seconds per second (default: %(default)s)"
    )
    parser.add_argument(
        "--app",
        action="append",
        default=[],
        metavar="SPACE=APP",
        help="what a Space serves: the address of a real server, as in acme/caption=http://127.0.0.1:7860, "
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
        _RISK,
        action="store_true",
        help="allow a --host that other computers can reach. They can change everything in the emulator and "
        "read all secrets that clients send to it",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="let clients use the control API under this host name; addresses and localhost always work",
    )
    parser.add_argument(
        "--token", help="the token of the user alice, to keep a connection valid; by default a random one"
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        help="start from this JSON file if it exists, and save to it at the end. It contains tokens "
        "and secrets",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="let requests go wrong, for example kind=status,status=503,share=0.1,path=/hardware or "
        "kind=reset,after=true,times=1. Can be repeated",
    )
    parser.add_argument(
        "--bad-day",
        action="store_true",
        help="let a tenth of all requests end in a 5xx, lose 3 %% of the answers, and set a low quota",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="determines which requests are struck by faults (default: %(default)s)",
    )
    parser.add_argument(
        "--quota", type=int, help="API requests that each account may send within five minutes"
    )
    parser.add_argument(
        "--print-state-machine",
        action="store_true",
        help="print the state machine of a Space as a Markdown table, and exit",
    )
    return parser


def _serve(hub: HubEmulator, text: str) -> None:
    """Let a Space serve an app: ``owner/name=http://127.0.0.1:7860``.

    :raises ValueError: for an invalid id or app.
    """
    repo_id, equals, app = text.partition("=")
    if not equals:
        raise ValueError(f"--app takes SPACE=APP, such as acme/caption=http://127.0.0.1:7860; got {text!r}.")
    if hub.has_space(repo_id):
        hub.space(repo_id).serve(app)
    else:
        hub.add_space(repo_id, app=app)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _introduce(hub: HubEmulator) -> None:
    connection = json.dumps({"conn_type": "hf_spaces", "host": hub.url, "password": hub.token})
    spaces = list(hub.world.spaces.values())
    print(f"The emulated Hub listens on {hub.url}, {hub.world.clock.speed:g} times as fast as real time.\n")
    print(f"Its fleet in the browser: {hub.url}/\n")
    print(f"The token of {hub.user}:\n  {hub.token}\n")
    print(f"For Airflow:\n  export AIRFLOW_CONN_HF_SPACES_DEFAULT='{connection}'\n")
    print(f"For the official client:\n  export HF_ENDPOINT={hub.url} HF_TOKEN={hub.token}\n")
    width = max((len(space.repo_id) for space in spaces), default=0)
    for space in spaces:
        print(f"  {space.repo_id:<{width}}  {space.stage:<13}  {space.requested or 'static'}")
    print(f"\nTheir apps: {hub.url}/apps/owner/name leads to the address of each.")
    print("\nPress Ctrl-C to stop.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
