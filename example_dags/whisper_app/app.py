"""A Gradio app with one endpoint."""

import gradio as gr


def predict(text: str) -> str:
    return text.upper()


gr.Interface(predict, "text", "text").launch()
