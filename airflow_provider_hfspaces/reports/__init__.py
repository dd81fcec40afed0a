"""The HTML report on what Spaces cost."""
