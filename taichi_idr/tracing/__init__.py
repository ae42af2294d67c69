"""Where rays first meet a surface: the published tracer, and the one that marches on a lattice first.

It owns intervals, roots and how a search ended; it stands on fields and ops. It never trains anything.
"""
