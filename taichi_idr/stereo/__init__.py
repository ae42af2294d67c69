"""Depth maps of photos whose poses are known, and what they make of a visual hull: carved, smooth, with normals.

It owns small photos, neighbouring views, sweeps from coarse to fine and maps that agree; it stands on capture, poses
and ops. It never asks a field.
"""
