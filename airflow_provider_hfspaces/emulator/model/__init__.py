"""The state of the emulated Hub: accounts, repositories, Spaces, time and bill."""
