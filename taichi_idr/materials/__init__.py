"""What an object is made of: colours that know how a surface lies and what is around it, and no places (`tidr swap`).

It owns the network, what it is told, how it learns from a fitted object, and that another shape wears it; it stands on
models, pictures and cameras. It never knows a photo, a capture or a run.
"""
