"""Closed meshes become occupancy networks: presets `fast`, `latent` and `published`, of `tidr shapes` alone.

It owns their settings, networks, samples, training and meshes; it stands on fields, meshes and the optimiser of hash
grids. It never knows another method, and no photos.
"""
