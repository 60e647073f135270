"""The management commands, one module a subject: each command calls one function of the arena and prints its answer.

What takes long to import is imported inside the command that needs it, so that `--help` answers at once.
"""
