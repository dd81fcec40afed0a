"""Triggers: what deferred tasks wait for in the triggerer, without a worker."""
