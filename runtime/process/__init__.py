"""This process: streams, environment variables, allocator, CPU time, profile, exit, version."""
