"""Verify the data: logs, files, keys, references and counts, and every table against a rebuild."""
