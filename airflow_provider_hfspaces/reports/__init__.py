"""The HTML report on what Spaces cost.

``cost_report.py`` has the data, ``findings.py`` the Spaces that look forgotten, ``sections.py`` and
``run_sections.py`` the contents of the sections, and ``cost_page.py`` the page.
"""
