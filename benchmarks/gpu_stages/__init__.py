"""What `first_gpu.py` does on a GPU that nothing has run on before: a module a stage, whose `measure` yields its lines.

`expected` and `record` need the standard library only, so that what is wrong with a machine can be reported from it.
"""
