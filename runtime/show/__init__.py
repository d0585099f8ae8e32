"""Show a lake to people: progress in a notebook, batch summary, HTML report."""
