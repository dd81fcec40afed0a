"""The cost of Spaces.

:mod:`.prices` estimates from list prices, :mod:`.runs` adds up the cost of one run, :mod:`.billing` reads
what the Hub billed, and :mod:`.budget` and :mod:`.limits` compare the spend of a month with a budget.
"""
