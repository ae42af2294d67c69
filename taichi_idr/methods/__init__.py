"""Ways from photos to a surface: one folder each, known to everybody else by catalogue.py.

It owns the contracts Method, Model (in fields) and Trainer, and the terms of losses; it stands on all that is below.
A method never knows another, and what a second one needs moves up.
"""
