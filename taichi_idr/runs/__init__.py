"""The folder that a fit writes: its files, checkpoints and lock, what is in them, its views and its numbers.

It owns every name in a run; it stands on methods and measures. It never drives a fit.
"""
