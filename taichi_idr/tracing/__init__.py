"""Where rays first meet a surface: the published tracer, one that marches on a lattice, one of equal samples; a mesh.

It owns intervals, roots, samples and how a search ended; it stands on fields, meshes and ops. It never trains.
"""
