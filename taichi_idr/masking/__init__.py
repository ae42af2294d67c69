"""Owns silhouettes of photos that have none, from what structure from motion knows of them.

It stands on structure, on visual hulls and on pictures. Never learns anything beforehand, no
weights, no downloads; never looks for cameras.
"""
