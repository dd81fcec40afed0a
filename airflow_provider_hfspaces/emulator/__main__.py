"""``python -m airflow_provider_hfspaces.emulator``: serve an emulated Hub."""

from __future__ import annotations

import argparse
import json
import signal
import sys
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
        from airflow_provider_hfspaces.emulator.machine import as_markdown

        print(as_markdown())
        return 0
    if options.host not in _LOOPBACK and not options.let_anybody_on_the_network_in:
        parser.error(
            f"{options.host} can be reached from the network, and the emulator asks nobody who they are: "
            f"add {_RISK} if that is meant"
        )
    try:
        from airflow_provider_hfspaces.emulator import HubEmulator

        hub = HubEmulator(speed=options.speed, port=options.port, host=options.host, fleet=options.fleet)
    except (ImportError, ValueError) as problem:
        parser.error(str(problem))
    try:
        hub.start()
    except OSError as problem:
        print(f"Cannot listen on {options.host}:{options.port}: {problem}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _introduce(hub)
        hub.wait()
    except KeyboardInterrupt:
        print("\nStopped.")
    finally:
        hub.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_hfspaces.emulator",
        description="The Hugging Face Hub's Spaces API on this host, for demos and tests.",
    )
    parser.add_argument(
        "--port", type=int, default=8900, help="0 for any that is free (default: %(default)s)"
    )
    parser.add_argument(
        "--fleet", default="demo", help="the Spaces to begin with: demo or empty (default: %(default)s)"
    )
    parser.add_argument(
        "--speed", type=float, default=60.0, help="emulated seconds per second (default: %(default)s)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument(
        _RISK,
        action="store_true",
        help="allow a --host that others can reach: they can do anything with the emulator, and read "
        "whatever secrets it is sent",
    )
    parser.add_argument(
        "--print-state-machine", action="store_true", help="print the stages of a Space as Markdown, and end"
    )
    return parser


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _introduce(hub: HubEmulator) -> None:
    connection = json.dumps({"conn_type": "hf_spaces", "host": hub.url, "password": hub.token})
    spaces = list(hub.world.spaces.values())
    print(f"An emulated Hub listens on {hub.url}, {hub.world.clock.speed:g} times as fast as time.\n")
    print(f"Token of {hub.user}:\n  {hub.token}\n")
    print(f"For Airflow:\n  export AIRFLOW_CONN_HF_SPACES_DEFAULT='{connection}'\n")
    print(f"For the official client:\n  export HF_ENDPOINT={hub.url} HF_TOKEN={hub.token}\n")
    width = max((len(space.repo_id) for space in spaces), default=0)
    for space in spaces:
        print(f"  {space.repo_id:<{width}}  {space.stage:<13}  {space.requested or 'static'}")
    print("\nStop it with Ctrl-C.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
