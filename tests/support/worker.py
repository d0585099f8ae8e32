"""A worker process that cannot import this project."""

from __future__ import annotations

IN_A_WORKER = """
import pickle, sys
source = pickle.load(sys.stdin.buffer)
reader = source.reader(None)
batches = [b for p in reader.partitions() for b in reader.read(p)]
assert not any(name.startswith("runtime") for name in sys.modules)
print(sum(b.num_rows for b in batches))
"""
