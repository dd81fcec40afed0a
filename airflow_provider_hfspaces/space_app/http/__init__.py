"""The transport of the app's client: one set of exchanges without I/O, and two thin transports."""
