"""``python -m airflow_provider_hfspaces.emulator``: serve an emulated Hub."""

from __future__ import annotations

import argparse
import json
import sys

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_hfspaces.emulator",
        description="The Hugging Face Hub's Spaces API on this host, for demos and tests.",
    )
    parser.add_argument("--port", type=int, default=8900, help="default: %(default)s")
    parser.add_argument("--fleet", default="demo", help="the Spaces to begin with: demo or empty")
    parser.add_argument(
        "--speed", type=float, default=60, help="emulated seconds per second (default: %(default)s)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument(
        "--anybody-on-the-network-may-use-it",
        action="store_true",
        help="listen on an address that is not this host's own",
    )
    parser.add_argument(
        "--print-state-machine", action="store_true", help="print the table of stages and exit"
    )
    options = parser.parse_args(arguments)
    if options.print_state_machine:
        from airflow_provider_hfspaces.emulator.machine import as_markdown

        print(as_markdown())
        return 0
    if options.host not in _LOOPBACK and not options.anybody_on_the_network_may_use_it:
        parser.error(
            f"{options.host} can be reached from the network, and the emulator's token is no secret: add "
            f"--anybody-on-the-network-may-use-it if that is meant"
        )
    try:
        from airflow_provider_hfspaces.emulator.server import HubEmulator
    except ModuleNotFoundError as missing:
        parser.error(f"{missing}: install airflow-provider-hfspaces[emulator]")
    try:
        hub = HubEmulator(speed=options.speed, port=options.port, fleet=options.fleet, host=options.host)
    except KeyError:
        parser.error(f"there is no fleet {options.fleet!r}: there are demo and empty")
    try:
        hub.start()
    except OSError as problem:
        print(f"Cannot listen on {options.host}:{options.port}: {problem}", file=sys.stderr)
        return 1
    _introduce(hub.url, hub.token, [space.repo_id for space in hub.world.spaces.values()])
    try:
        hub.wait()
    except KeyboardInterrupt:
        pass
    finally:
        hub.stop()
    return 0


def _introduce(url: str, token: str, spaces: list[str]) -> None:
    connection = json.dumps({"conn_type": "hf_spaces", "host": url, "password": token})
    print(f"An emulated Hub listens on {url}", f"Spaces: {', '.join(spaces) or 'none'}", sep="\n")
    print("", "For Airflow:", f"  export AIRFLOW_CONN_HF_SPACES_DEFAULT='{connection}'", sep="\n")
    print("", "For the official client:", f"  export HF_ENDPOINT={url} HF_TOKEN={token}", "", sep="\n")
    print("Stop it with Ctrl-C.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
