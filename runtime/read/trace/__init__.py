"""Trace a row to its origin: rows of lower layers, then records with their files and lines."""

from runtime.read.trace.tree import Found, Record, Trace
from runtime.read.trace.walk import trace_row

__all__ = ["Found", "Record", "Trace", "trace_row"]
