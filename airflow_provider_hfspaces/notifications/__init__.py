"""Notifiers for Hugging Face Spaces: import them from ``notifications.spaces``."""
