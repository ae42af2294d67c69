"""The loop of a fit: start, steps, log, previews, checkpoints, signals, going on.

It owns what happens between steps; it stands on methods and runs. It never knows which method it drives.
"""
