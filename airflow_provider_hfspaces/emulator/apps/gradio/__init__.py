"""A miniature Gradio: the protocol of a real Gradio app, of versions 4, 5 and 6, without its weight."""
