"""The copy of the star schema in PostgreSQL: all rows the first time, then only changes."""
