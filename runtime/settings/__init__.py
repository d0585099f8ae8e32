"""The settings of one command: layers, names and types, paths, secrets."""
