"""The content of reports: one page per kind of run, and one for the comparison of two runs.

A section is one function from a run to a `Section`, in the module of its kind. Every renderer shows it.
"""
