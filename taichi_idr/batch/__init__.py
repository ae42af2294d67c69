"""Many captures, each by the commands that a person would give, on the workers of a Dask cluster.

It owns jobs, what is left of them, clusters and the page over all; it stands on runs and report. It never schedules
anything itself, and no fit runs in its processes.
"""
