"""Meshes over time become one mesh that moves, of `tidr flow` alone: an occupancy network and a velocity field.

It owns their settings, labelled points, integration in time and training; it stands on meshes, clouds and fields. It
never knows another method, and no photos.
"""
