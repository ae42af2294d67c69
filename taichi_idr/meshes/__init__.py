"""Triangle meshes: extracted from a field, measured, coloured, written and read.

It owns marching cubes on a refined lattice and the mesh formats, one file each; it stands on cameras and ops. It
never knows where a field comes from.
"""
