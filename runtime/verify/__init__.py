"""Is the data right? Logs, files, keys, references and counts, and every table against a rebuild."""
