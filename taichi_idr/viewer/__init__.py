"""A run to look at in a browser: what is shown, a server of it on this machine alone, a page that needs none.

It stands on runs, pictures and meshes. It never writes into a run and prints nothing; `server` is the only file that
knows the library which serves.
"""
