"""What a report says: a page for each kind of run, and for two runs that are compared.

A section is one function from a run to a `Section`, in the file of its kind. All renderers show it.
"""
