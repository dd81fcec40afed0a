"""The emulated Hub's state: Spaces, their stages, time, hardware and bill."""
