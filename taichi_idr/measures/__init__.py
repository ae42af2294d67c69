"""Numbers that say how good a result is: pictures, silhouettes, surfaces, cameras, the DTU benchmark.

It owns the list of measures and their definitions; it stands on pictures and meshes. It never opens a run.
"""
