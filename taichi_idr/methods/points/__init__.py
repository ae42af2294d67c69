"""Point clouds become signed distance fields: presets `fast`, `igr` and `sal`, of `tidr points` alone.

It owns their settings, samples, losses and training; it stands on clouds, fields and the optimiser of hash grids. It
never knows another method, and no photos.
"""
