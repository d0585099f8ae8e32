"""Maintain a lake: restore, compact, vacuum, pin batches, retry the quarantine, diagnose."""
