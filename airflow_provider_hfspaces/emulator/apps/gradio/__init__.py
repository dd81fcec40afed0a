"""A miniature Gradio, which speaks the protocol of Gradio 4, 5 and 6 without requiring gradio."""
