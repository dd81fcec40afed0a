"""The apps of emulated Spaces, each at an address of its own, and the edge of the Hub in front of them."""
