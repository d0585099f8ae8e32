"""The demonstrations: `make demo` and `make cluster-demo`."""
