"""Rotations by quaternions w x y z, normalised on use (CAM-4)."""

from ._ti import ti


@ti.func
def unit_quaternion(quaternions: ti.template(), row):
    """q / |q| as its scalar and its vector part, and |q|; q is a row of quaternions (V, 4)."""
    w, x, y, z = quaternions[row, 0], quaternions[row, 1], quaternions[row, 2], quaternions[row, 3]
    length = ti.sqrt(w * w + x * x + y * y + z * z)
    return w / length, ti.Vector([x, y, z]) / length, length


@ti.func
def rotate(w, u, v):
    """Q(q) v = v + 2 w (u x v) + 2 u x (u x v), with the unit quaternion q = (w, u)."""
    across = 2.0 * u.cross(v)
    return v + w * across + u.cross(across)
