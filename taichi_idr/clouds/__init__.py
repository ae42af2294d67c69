"""Point clouds: read from files, cleaned, given normals and an inside.

It owns the formats of clouds, thinning, outliers, normals and their orientation; it stands on files and numpy. It never
fits a field, and never imports torch.
"""
