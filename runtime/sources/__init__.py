"""Source files: listed, inspected, cut into slices, and read as raw records.

Listing needs names and stat only, inspecting needs NumPy, reading needs Arrow, and only `datasource`
needs an engine. A run without new files imports nothing heavier than `listing`.
"""
