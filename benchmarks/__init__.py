"""How fast the lake is beside the usual ways of doing the same job: `make bench`, `make bench-large`."""
