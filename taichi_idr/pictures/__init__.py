"""Rendered views of a model, and their way to people: colours for normals and depth, PNG, films.

It owns how a picture is made of rays; it stands on fields and cameras. It never opens a run.
"""
