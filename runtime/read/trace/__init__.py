"""A row back to what it was made from: rows of lower layers, then records, their files and their lines."""

from runtime.read.trace.tree import Found, Record, Trace
from runtime.read.trace.walk import trace_row

__all__ = ["Found", "Record", "Trace", "trace_row"]
