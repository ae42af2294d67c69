"""Neural fields: geometry (signed distance) and radiance (colour), and the models that results ask.

It owns encodings, networks and their closed-form gradients; it stands on ops and config. It never traces a ray, and
never knows what a field is trained on.
"""
