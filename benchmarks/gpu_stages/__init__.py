"""The stages of `first_gpu.py`, one module each; the module's `measure` yields the lines of its table.

`expected` and `record` need only the standard library, so that they can report what is wrong with a machine.
"""
