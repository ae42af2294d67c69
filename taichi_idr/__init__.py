"""taichi-idr: photos, silhouettes and cameras of one object become a watertight textured mesh."""

__version__ = "0.1.0"
