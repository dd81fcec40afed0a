"""The emulated Hub's routes, one file per noun of the Hub."""
