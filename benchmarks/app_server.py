"""The app of ``benchmarks.app_calls``. Requires an environment with gradio.

``python app_server.py PORT`` serves ``/nap(text, seconds)``, which runs any number of calls at once.
"""

from __future__ import annotations

import asyncio
import sys

import gradio


async def nap(text: str, seconds: float) -> str:
    """Wait, and return the text with an exclamation mark."""
    await asyncio.sleep(float(seconds))
    return f"{text}!"


def main() -> None:
    with gradio.Blocks() as app:
        text, seconds, answer = gradio.Textbox(), gradio.Number(1), gradio.Textbox()
        button = gradio.Button()
        button.click(nap, [text, seconds], answer, api_name="nap", concurrency_limit=None)
    app.queue(max_size=None)
    app.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True, max_threads=3_000)


if __name__ == "__main__":
    main()
