"""Owns where plain photos were taken: COLMAP in a process of its own, what it found, where the object is in that.

It stands on the capture's formats and images, and on cameras. Never loads COLMAP into the program's own process, and
never cuts silhouettes: that is `masking`.
"""
