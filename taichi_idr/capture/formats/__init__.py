"""One file per format of captures: which files make one up, and what its numbers mean.

A file finds (without torch) and reads one format, or writes it; it stands on source and conventions. It never knows
another format, and never decodes a photo.
"""
