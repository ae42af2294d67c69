"""One page about a run, with its pictures and charts.

It owns HTML and SVG; it stands on runs, measures and pictures. It never measures anything itself.
"""
