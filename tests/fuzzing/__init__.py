"""Damaged inputs for every reader: small files that are right, mutated, read under bounds of time and memory.

It stands on the readers and on writers of tests; it never tells a reader what is coming.
"""
