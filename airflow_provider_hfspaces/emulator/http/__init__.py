"""HTTP as the Hub speaks it: the application that serves requests, routing, checks, payloads, errors."""
