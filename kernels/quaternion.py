"""Rotations by quaternions w x y z, normalised on use (CAM-4)."""

from ._ti import ti


@ti.func
def unit_quaternion(w, x, y, z):
    """q / |q| as its scalar and its vector part."""
    length = ti.sqrt(w * w + x * x + y * y + z * z)
    return w / length, ti.Vector([x, y, z]) / length


@ti.func
def rotate(w, u, v):
    """Q(q) v = v + 2 w (u x v) + 2 u x (u x v), with the unit quaternion q = (w, u)."""
    across = 2.0 * u.cross(v)
    return v + w * across + u.cross(across)
