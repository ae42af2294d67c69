"""Textures and light meshes of a field, to take away, and how a textured mesh looks in pictures.

It owns texels as points of a surface, their colours and normals; it stands on meshes and rays cast at triangles.
It never reads a run and never writes a file.
"""
