"""Owns where plain photos were taken: COLMAP in a process of its own or an engine of our own, and where the object is.

It stands on the capture's formats and images, and on cameras. Never loads COLMAP into the program's own process, and
never cuts silhouettes: that is `masking`.
"""
