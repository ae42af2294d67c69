"""`python -m taichi_idr` is `tidr`."""

from .cli.main import main

main()
