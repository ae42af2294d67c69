"""Bridges between torch and the kernels, one per kernel family.

A bridge checks shapes, hands detached tensors over and owns the adjoint; it stands on runtime. It never knows a
setting, a network or a file.
"""
