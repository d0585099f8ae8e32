"""Source files: listed, inspected, cut into slices, and read as raw records.

Listing needs names and stat only; inspecting needs NumPy, reading Arrow, and only `datasource` an
engine. So a run that finds nothing new imports `listing` and nothing heavier.
"""
