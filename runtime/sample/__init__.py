"""Sparkify-like data of our own, the same bytes for the same arguments, with its answers beside it.

The answers (`truth.json`) come from a model of plain dictionaries that shares nothing with the
pipeline, so that the two can be held against each other.
"""

from runtime.sample.write import write_sample

__all__ = ["write_sample"]
