"""Photos, silhouettes and cameras of a folder, read, checked and put into a frame; and a capture of our own.

It owns the formats (formats/, one file each) and what is said about bad input; it stands on cameras, files and ops.
It never knows what is fitted to a capture.
"""
