"""Colours on a mesh that is given, learned from photos: texture fields and surface light fields.

It owns which pixels show the mesh, the networks that are trained on them and the painted mesh; it stands on captures,
meshes, fields and rays cast at triangles. It never moves a vertex and never writes a file.
"""
