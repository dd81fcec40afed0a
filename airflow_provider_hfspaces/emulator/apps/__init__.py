"""The apps of emulated Spaces: what answers at a Space's own address, and the edge of the Hub before it."""
