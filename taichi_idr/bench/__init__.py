"""Every kernel and bridge timed beside its slow twin, after both agreed.

It owns cases, protocol and results; it stands on everything. Only the command line imports it.
"""
