"""Rows of arrays as vectors."""

from ._ti import ti


@ti.func
def row3(rows: ti.template(), n):
    """The first three columns of row n: a point, a direction."""
    return ti.Vector([rows[n, 0], rows[n, 1], rows[n, 2]])


@ti.func
def columns3(table: ti.template(), row, first: ti.template()):
    """Three columns of a row, from `first`."""
    return ti.Vector([table[row, first], table[row, first + 1], table[row, first + 2]])


@ti.func
def load_ray(origins: ti.template(), directions: ti.template(), r):
    """Origin and direction of ray r."""
    return row3(origins, r), row3(directions, r)
