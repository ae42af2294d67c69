"""Poses that are trained: parameters, their optimisers, bundle adjustment over what photos show of a surface.

It owns corners, sightings and the history of poses; it stands on capture, fields and ops. It never computes a loss.
"""
