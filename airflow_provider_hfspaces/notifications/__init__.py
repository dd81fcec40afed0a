"""Notifiers for Hugging Face Spaces."""
