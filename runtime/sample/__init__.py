"""Generated Sparkify-like data with its expected results; the same arguments give the same bytes.

The expected results (`truth.json`) come from a model of plain dictionaries that shares no code with the
pipeline, so that a test can compare the two.
"""

from runtime.sample.write import write_sample

__all__ = ["write_sample"]
