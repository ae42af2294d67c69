"""Pinhole cameras: poses as quaternions, projections, frames, paths, how well two sets of poses agree.

It stands on torch, numpy and scipy. It never asks a field, and never opens a file.
"""
