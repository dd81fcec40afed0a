"""State that outlives one try of a task: retry values, leases, paused Spaces, copies, costs and budgets."""
