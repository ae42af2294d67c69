"""Readers that turn a folder into a `Capture`, and a capture of our own."""

from .formats.idr import write_idr_cameras
from .reading import poses_file, read_capture

__all__ = ["poses_file", "read_capture", "write_idr_cameras"]
