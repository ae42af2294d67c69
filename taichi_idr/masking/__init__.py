"""Owns silhouettes of photos that have none, from what structure from motion knows of them.

It stands on structure, on visual hulls and on pictures. Never learns anything beforehand, brings no
weights, downloads none (a network's file is the user's own); never looks for cameras.
"""
