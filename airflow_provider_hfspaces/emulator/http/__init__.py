"""HTTP as the Hub speaks it: the ASGI application, routing, checks, payloads and error responses."""
