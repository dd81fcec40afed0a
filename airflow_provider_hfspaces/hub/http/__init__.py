"""The transport: from a call to an HTTP request and back, sync and async."""
