"""One file per command: it looks at what it was given, opens, calls, prints.

It stands on everything below. What is missing or mistyped is said before torch is imported, which is why a command
imports its work in its function. Nothing below prints; above, `cli/` prints what they return.
"""
