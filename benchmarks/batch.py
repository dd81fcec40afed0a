"""Compare SpaceBatch with the official client, and both with the highest rate of the app.

``python -m benchmarks.batch [--items 5000] [--in-flight 4]`` sends items to a real Gradio app on this
computer. Its function takes 20 ms and runs one call at a time, Gradio's default. Bare HTTP requests that
keep the app's queue filled measure its highest rate. The three ways run one after the other, each in a
process of its own with an app of its own.

Requires the environment that ``make apps`` creates.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

from benchmarks.app_calls import GRADIO, HERE, start_app

WAYS = {
    "limit": "the app with a full queue",
    "batch": "SpaceBatch, journal and results on disk",
    "client": "gradio_client, one Client and threads",
}


def rate(way: str, url: str, items: int, in_flight: int) -> float:
    """Measure the items per second of one way. Prints a message if answers are wrong or missing."""
    own = way != "client"
    settings = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1"}
    if own:
        settings["PYTHONPATH"] = str(HERE.parent)
    done = subprocess.run(
        [
            sys.executable if own else str(GRADIO),
            str(HERE / "batch_callers.py"),
            way,
            url,
            str(items),
            str(in_flight),
        ],
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{WAYS[way]}: {done.stderr[-500:]}")
    result = json.loads(done.stdout.strip().splitlines()[-1])
    if result["right"] != items:
        print(f"{WAYS[way]}: only {result['right']:,} of {items:,} answers are correct")
    return items / float(result["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=5000, help="by default 5000")
    parser.add_argument("--in-flight", type=int, default=4, help="calls at the same time, by default 4")
    options = parser.parse_args()
    if not GRADIO.exists():
        raise SystemExit("Run 'make apps' first: it creates the environment with gradio.")
    print(f"{options.items:,} items, {options.in_flight} in flight, through a function of 20 ms\n")
    rates: dict[str, float] = {}
    for way, name in WAYS.items():
        process, url = start_app(GRADIO, "batch_app.py")
        try:
            rates[way] = rate(way, url, options.items, options.in_flight)
        finally:
            process.terminate()
            process.wait(30)
        share = rates[way] / rates["limit"]
        print(f"{name:<40} {rates[way]:6.1f} items/s  {share:6.1%} of the app's limit", flush=True)
    print(f"\nThe batch is {rates['batch'] / rates['client']:.2f} times as fast as the official client.")


if __name__ == "__main__":
    main()
