"""What the layers stand on: the only code that knows Delta, an engine, or a path."""
