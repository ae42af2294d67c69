"""Files written whole or not at all, and files read without running anything in them.

It owns temporary names, renaming and the limits of readers; it stands on errors alone. It never knows what is in one.
"""
