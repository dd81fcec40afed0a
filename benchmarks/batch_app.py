"""The app of ``benchmarks.batch``: a Gradio function that takes 20 ms. Runs in an environment with gradio."""

from __future__ import annotations

import sys
import time

import gradio as gr

SECONDS = 0.02


def predict(text: str) -> str:
    """The text in capital letters, after 20 ms."""
    time.sleep(SECONDS)
    return text.upper()


if __name__ == "__main__":
    app = gr.Interface(predict, "text", "text", api_name="predict")
    app.queue().launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True)
