"""Where rays first meet a surface: the published tracer, one that marches on a lattice, one of equal samples.

It owns intervals, roots, samples of volumes and how a search ended; it stands on fields and ops. It never trains.
"""
