"""The app of ``benchmarks.batch``, whose function takes 20 ms. Requires an environment with gradio.

``python batch_app.py PORT`` serves ``/predict(text)``.
"""

from __future__ import annotations

import sys
import time

import gradio as gr

CALL_SECONDS = 0.02


def predict(text: str) -> str:
    """Return the text in capital letters, after 20 ms."""
    time.sleep(CALL_SECONDS)
    return text.upper()


if __name__ == "__main__":
    app = gr.Interface(predict, "text", "text", api_name="predict")
    app.queue().launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True)
